//! Encoding speed on one core, MB/s: `speed VOCAB.gguf[.gz] TEXT…`. Medians of 5 runs over the texts joined and repeated to
//! 16 MB.

use chord_gguf::Gguf;
use chord_tokenizer::Tokenizer;
use std::io::Read;
use std::time::Instant;

const BYTES: usize = 16 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: speed VOCAB.gguf[.gz] TEXT…")?;
    let mut bytes = std::fs::read(&path)?;
    if path.ends_with(".gz") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain)?;
        bytes = plain;
    }
    let tokenizer = Tokenizer::from_gguf(&Gguf::parse(&bytes, &path)?.metadata)?;
    let text = args.map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>()?.concat();
    if text.is_empty() {
        return Err("no text".into());
    }
    let text = text.repeat(BYTES.div_ceil(text.len()));
    let mut runs = Vec::new();
    let mut ids = 0;
    for _ in 0..5 {
        let start = Instant::now();
        ids = tokenizer.encode(&text, false, false).len();
        runs.push(text.len() as f64 / 1e6 / start.elapsed().as_secs_f64());
    }
    runs.sort_by(f64::total_cmp);
    let per_id = text.len() as f64 / ids as f64;
    println!("{path}: {:.1} MB/s ({:.1} to {:.1}), {per_id:.2} bytes per token", runs[2], runs[0], runs[4]);
    Ok(())
}
