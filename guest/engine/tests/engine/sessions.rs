//! Appending, forking, cutting, and what a failure leaves behind.

use crate::memory::{Memory, families, greedy, rest};
use chord_engine::{Error, LoadOptions, Prompt};

fn text() -> Vec<u32> {
    (0..100).map(|i| 1 + (i * 37) % 500).collect()
}

/// Bit by bit, in every family.
#[test]
fn pieces_forks_and_cuts_equal_one_evaluation() {
    for name in families() {
        let host = Memory::model(&name);
        let model = host.load(&LoadOptions { sessions: Some(3), ..Default::default() }).unwrap();
        let text = text();
        let whole = model.open().unwrap();
        let expected = whole.evaluate(&text, &[50, 99]).unwrap();
        let pieces = model.open().unwrap();
        let mut found = pieces.evaluate(&text[..70], &[50]).unwrap();
        pieces.append(&text[70..90]).unwrap();
        found.extend(pieces.evaluate(&text[90..], &[9]).unwrap());
        assert!(found == expected, "{name}: in pieces");
        pieces.truncate(30).unwrap();
        assert_eq!(pieces.len(), 30);
        assert!(pieces.evaluate(&text[30..], &[20, 69]).unwrap() == expected, "{name}: cut and read again");
        let fork = whole.fork(65).unwrap();
        assert_eq!(&*fork.tokens(), &text[..65]);
        let last = &expected[expected.len() / 2..];
        assert!(fork.evaluate(&text[65..], &[34]).unwrap() == last, "{name}: forked and read again");
        assert_eq!(whole.len(), 100, "{name}: the original is as it was");
    }
}

#[test]
fn a_generation_continues_where_the_last_ended() {
    let host = Memory::model("tiny-llama-f32.gguf");
    let model = host.load(&LoadOptions::default()).unwrap();
    let prompt = Prompt::Tokens(vec![1, 30, 31]);
    let session = model.open().unwrap();
    let expected = rest(&mut session.generate(&prompt, &greedy(12)).unwrap()).0;
    let session = model.open().unwrap();
    let mut found = rest(&mut session.generate(&prompt, &greedy(5)).unwrap()).0;
    // The last token has been chosen but not read: an empty prompt continues with it.
    found.extend(rest(&mut session.generate(&Prompt::Tokens(Vec::new()), &greedy(7)).unwrap()).0);
    assert_eq!(found, expected);
    assert_eq!(session.len(), 3 + 12);
}

#[test]
fn refused_requests_leave_the_session_alone() {
    let host = Memory::model("tiny-llama-f32.gguf");
    let model = host.load(&LoadOptions { context_size: Some(64), ..Default::default() }).unwrap();
    let session = model.open().unwrap();
    session.append(&[1, 2, 3]).unwrap();
    let vocabulary = model.info().vocabulary;
    let argument = |e: Error| match e {
        Error::InvalidArgument(m) => m,
        other => panic!("expected an argument error, found {other:?}"),
    };
    let message = argument(session.append(&[1, vocabulary]).unwrap_err());
    assert!(message.contains("index 1") && message.contains(&vocabulary.to_string()), "{message}");
    assert!(argument(session.evaluate(&[1, 2], &[1, 0]).unwrap_err()).starts_with("wanted:"));
    assert!(argument(session.evaluate(&[1, 2], &[2]).unwrap_err()).starts_with("wanted:"));
    assert!(argument(session.truncate(4).unwrap_err()).starts_with("length:"));
    assert!(argument(session.fork(4).err().unwrap()).starts_with("length:"));
    let empty = session.generate(&Prompt::Tokens(Vec::new()), &greedy(1)).err().unwrap();
    assert!(argument(empty).contains("empty"));
    let long = session.append(&[1; 62]).unwrap_err();
    assert_eq!(long, Error::ContextExceeded { n_prompt_tokens: 65, n_ctx: 64 });
    let long = session.generate(&Prompt::Tokens(vec![1; 61]), &greedy(1)).err().unwrap();
    assert_eq!(long, Error::ContextExceeded { n_prompt_tokens: 64, n_ctx: 64 });
    assert_eq!(&*session.tokens(), &[1, 2, 3]);
}

/// What is just allowed.
#[test]
fn requests_at_their_bounds_are_taken() {
    let host = Memory::model("tiny-llama-f32.gguf");
    let model = host.load(&LoadOptions { context_size: Some(64), ..Default::default() }).unwrap();
    let session = model.open().unwrap();
    assert!(session.is_empty());
    let cols = model.info().vocabulary as usize;
    assert_eq!(session.evaluate(&[1, model.info().vocabulary - 1], &[0, 1]).unwrap().len(), 2 * cols);
    assert!(!session.is_empty());
    assert!(session.evaluate(&[1, 2], &[1, 1]).is_err(), "one row twice");
    session.truncate(2).unwrap();
    assert_eq!(session.fork(2).unwrap().len(), 2);
    assert_eq!(session.fork(0).unwrap().len(), 0);
    session.append(&[1; 62]).unwrap();
    assert_eq!(session.len(), 64);
    session.truncate(0).unwrap();
    let (tokens, ..) = rest(&mut session.generate(&Prompt::Tokens(vec![1; 63]), &greedy(9)).unwrap());
    assert_eq!(tokens.len(), 1, "one place was left");
}

#[test]
fn a_busy_session_says_so() {
    let host = Memory::model("tiny-llama-f32.gguf");
    let model = host.load(&LoadOptions::default()).unwrap();
    let session = model.open().unwrap();
    let mut generation = session.generate(&Prompt::Tokens(vec![1, 2]), &greedy(3)).unwrap();
    generation.advance().unwrap();
    for refused in [session.append(&[1]).err(), session.truncate(0).err()] {
        let Some(Error::InvalidArgument(message)) = refused else { panic!("{refused:?}") };
        assert!(message.contains("generation in progress"), "{message}");
    }
    drop(generation);
    session.append(&[1]).unwrap();
}

#[test]
fn sessions_beyond_the_cache_are_told_so() {
    let host = Memory::model("tiny-llama-f32.gguf");
    let model = host.load(&LoadOptions { context_size: Some(64), ..Default::default() }).unwrap();
    let (a, b) = (model.open().unwrap(), model.open().unwrap());
    a.append(&[1; 60]).unwrap();
    let full = b.append(&[1; 10]).unwrap_err();
    let Error::Limit(message) = &full else { panic!("{full:?}") };
    assert!(message.contains("KV cache is full") && message.contains("context size"), "{message}");
    assert_eq!(b.len(), 0);
    drop(a);
    b.append(&[1; 10]).unwrap();
}
