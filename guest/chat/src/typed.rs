//! Typed text is text: what the characters of messages are, is known after rendering.
//!
//! A prompt is the template's text with message text in it, and control tokens are recognised in it (`<|im_end|>` ends a
//! turn). Typed by a user, or found in a document, the same characters must stay characters. Templates trim, split,
//! replace and compare what they are given, so message text cannot be kept apart while they run. Instead, single
//! characters of it are marked: a stand-in takes their place, a private-use character that occurs neither in the
//! messages nor in the template. Lengths and positions stay as they are. After rendering each stand-in is turned back,
//! and its place is known: no control token may lie over it.
//!
//! Which characters are marked is the caller's choice, between two ends. Marking where a control token begins in a message
//! hides nothing else from the template. It does not hold if the template itself puts a token together: it removes `/think`
//! from `<|im_/thinkend|>`, or writes the first half before a message that begins with the other. Marking each character
//! that any control token begins or ends with holds always: a token with a message's character in it would have to begin
//! and end in the template's text, which then spells it around the message on purpose (`<|` role `|>`). But templates
//! look for `</think>` and the like in messages, and do not find it. So `chord-engine` renders both, and takes the
//! first if its control tokens are those of the second, in number and order; else the second.
//!
//! No role is trusted: the contents of all messages are text, the assistant's earlier answers too. Roles are words.

use crate::{Error, Message};
use std::collections::{BTreeMap, BTreeSet};

/// A prompt, and where marked characters of messages are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The prompt as a template makes it.
    pub text: String,
    /// Byte offsets, sorted.
    pub typed: Vec<usize>,
}

/// The characters from which stand-ins are taken: plane 16, for private use.
const PRIVATE: std::ops::RangeInclusive<char> = '\u{100000}'..='\u{10FFFD}';

/// Characters that stand for others while a template runs.
#[derive(Debug)]
pub(crate) struct StandIns {
    by_char: BTreeMap<char, char>,
    originals: BTreeMap<char, char>,
    /// In the template or in a message.
    taken: BTreeSet<char>,
}

impl StandIns {
    /// `source`: the template.
    pub(crate) fn new(source: &str, messages: &[Message]) -> StandIns {
        let contents = messages.iter().flat_map(|m| m.content.chars());
        let taken = source.chars().chain(contents).filter(|c| PRIVATE.contains(c)).collect();
        StandIns { by_char: BTreeMap::new(), originals: BTreeMap::new(), taken }
    }

    /// `text` with stand-ins for the characters at these byte offsets, which are sorted.
    pub(crate) fn mark(&mut self, text: &str, offsets: &[usize]) -> Result<String, Error> {
        let mut offsets = offsets.iter().peekable();
        let mark = |(at, c)| match offsets.next_if_eq(&&at) {
            Some(_) => self.stand_in(c),
            None => Ok(c),
        };
        text.char_indices().map(mark).collect()
    }

    fn stand_in(&mut self, c: char) -> Result<char, Error> {
        if let Some(&known) = self.by_char.get(&c) {
            return Ok(known);
        }
        let free = PRIVATE.into_iter().find(|c| !self.taken.contains(c) && !self.originals.contains_key(c));
        let free = free.ok_or_else(|| Error::Failed("the messages use every private character".into()))?;
        self.by_char.insert(c, free);
        self.originals.insert(free, c);
        Ok(free)
    }

    /// The originals by stand-in.
    pub(crate) fn originals(&self) -> &BTreeMap<char, char> {
        &self.originals
    }

    /// Turns stand-ins back.
    pub(crate) fn unmark(&self, rendered: &str) -> Prompt {
        let mut prompt = Prompt { text: String::with_capacity(rendered.len()), typed: Vec::new() };
        for c in rendered.chars() {
            if self.originals.contains_key(&c) {
                prompt.typed.push(prompt.text.len());
            }
            prompt.text.push(*self.originals.get(&c).unwrap_or(&c));
        }
        prompt
    }
}

/// Templates spell tokens with roles (`<|user|>`), so that these cannot be marked: a role is a word.
pub(crate) fn check_role(role: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    if !role.is_empty() && role.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::Role(role.into()))
}
