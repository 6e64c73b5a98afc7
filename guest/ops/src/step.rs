//! Rules of a step and what it hands back: shared by all devices, so that all refuse and pick alike.

use crate::device::{DeviceError, Pick, Picked, SeqId, Span, Step};
use crate::op::Op;
use crate::plan::{Plan, Shape};
use alloc::format;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// What the steps of a plan are checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepLimits {
    /// Most tokens.
    pub tokens: u32,
    /// Token ids are below this: rows of the smallest embedding table of the plan.
    pub vocabulary: u64,
    /// Elements of an output row.
    pub cols: u32,
}

impl StepLimits {
    /// Of a validated plan.
    pub(crate) fn new(plan: &Plan, shapes: &[Shape]) -> StepLimits {
        let rows = |op: &Op| match op {
            Op::Embed(embed) => Some(plan.tensors[embed.table.0 as usize].rows),
            _ => None,
        };
        StepLimits {
            tokens: plan.max_step_tokens,
            vocabulary: plan.nodes.iter().filter_map(|n| rows(&n.op)).min().unwrap_or(0),
            cols: shapes[plan.output.0 as usize].cols,
        }
    }
}

impl Step<'_> {
    /// Checks everything about a step but the room in the cache. `is_open` says whether a sequence is open.
    /// Fails with [`DeviceError::Step`].
    pub fn check(&self, limits: &StepLimits, is_open: impl FnMut(SeqId) -> bool) -> Result<(), DeviceError> {
        self.check_tokens(limits)?;
        self.check_spans(is_open)?;
        self.check_wanted()
    }

    fn check_tokens(&self, limits: &StepLimits) -> Result<(), DeviceError> {
        let (n, max) = (self.tokens.len(), limits.tokens);
        if n == 0 || n as u64 > max.into() {
            return refuse(format!("{n} tokens, expected 1 to {max}"));
        }
        if self.positions.len() != n {
            return refuse(format!("{} positions for {n} tokens", self.positions.len()));
        }
        let known = |&&t: &&u32| u64::from(t) >= limits.vocabulary;
        if let Some(t) = self.tokens.iter().find(known) {
            return refuse(format!("token {t}, expected one below {}", limits.vocabulary));
        }
        match self.pick {
            Pick::Top(0) => refuse("the top 0 elements, expected at least 1".into()),
            Pick::Top(_) | Pick::All => Ok(()),
        }
    }

    fn check_spans(&self, mut is_open: impl FnMut(SeqId) -> bool) -> Result<(), DeviceError> {
        let (n, total) = (self.tokens.len() as u64, self.spans.iter().map(|s| u64::from(s.len)).sum::<u64>());
        if let Some(span) = self.spans.iter().find(|s| s.len == 0) {
            return refuse(format!("no tokens in the span of sequence {}", span.seq.0));
        }
        if total != n {
            return refuse(format!("spans of {total} tokens in all for {n} tokens"));
        }
        if let Some(span) = self.spans.iter().find(|s| !is_open(s.seq)) {
            return refuse(format!("sequence {} is not open", span.seq.0));
        }
        match duplicate(self.spans) {
            Some(seq) => refuse(format!("sequence {} has more than one span", seq.0)),
            None => Ok(()),
        }
    }

    fn check_wanted(&self) -> Result<(), DeviceError> {
        let n = self.tokens.len();
        if let Some(w) = self.wanted.iter().find(|&&w| w as usize >= n) {
            return refuse(format!("token {w} is wanted, the step has {n}"));
        }
        match self.wanted.windows(2).find(|w| w[0] >= w[1]) {
            Some(w) => refuse(format!("wanted tokens {} and {} are not in increasing order", w[0], w[1])),
            None => Ok(()),
        }
    }
}

fn refuse(what: alloc::string::String) -> Result<(), DeviceError> {
    Err(DeviceError::Step(what))
}

/// A sequence that has two spans. Allocates only for more spans than a step usually has.
fn duplicate(spans: &[Span]) -> Option<SeqId> {
    if spans.len() <= 64 {
        let mut earlier = spans.iter().enumerate();
        return earlier.find(|(i, s)| spans[..*i].iter().any(|e| e.seq == s.seq)).map(|(_, s)| s.seq);
    }
    let mut seqs: Vec<SeqId> = spans.iter().map(|s| s.seq).collect();
    seqs.sort_unstable();
    seqs.windows(2).find(|w| w[0] == w[1]).map(|w| w[0])
}

impl Pick {
    /// Picks from output rows `(wanted, cols)`, row-major.
    pub fn of_rows(self, rows: &[f32], cols: u32) -> Picked {
        self.of_rows_until(rows, cols, || false).expect("nothing stops it")
    }

    /// As [`Pick::of_rows`], with a look at `stop` for each row. Fails with [`DeviceError::Cancelled`] if it says so, and with
    /// [`DeviceError::Limit`] where there is no memory for the result.
    pub fn of_rows_until(
        self,
        rows: &[f32],
        cols: u32,
        mut stop: impl FnMut() -> bool,
    ) -> Result<Picked, DeviceError> {
        let n = rows.len() / cols.max(1) as usize * self.per_row(cols) as usize;
        let mut picked = Picked { values: Vec::new(), indices: Vec::new(), k: self.per_row(cols) };
        let no_memory = |_| DeviceError::Limit(format!("no memory for the {n} results of a step"));
        picked.values.try_reserve_exact(n).map_err(no_memory)?;
        if let Pick::Top(_) = self {
            picked.indices.try_reserve_exact(n).map_err(no_memory)?;
        }
        for row in rows.chunks_exact(cols.max(1) as usize) {
            match self {
                _ if stop() => return Err(DeviceError::Cancelled),
                Pick::All => picked.values.extend_from_slice(row),
                Pick::Top(k) => picked.push_top(row, k.min(cols) as usize),
            }
        }
        Ok(picked)
    }

    /// Values that are returned of a row of `cols` elements.
    pub fn per_row(self, cols: u32) -> u32 {
        match self {
            Pick::All => cols,
            Pick::Top(k) => k.min(cols),
        }
    }
}

impl Picked {
    /// Appends the `k <= row.len()` largest elements of `row` with their columns. `k` is at least 1, or `row` empty.
    fn push_top(&mut self, row: &[f32], k: usize) {
        let order = |&a: &u32, &b: &u32| larger_first(row[a as usize], row[b as usize]).then(a.cmp(&b));
        // At most twice as many as wanted are kept; all others are at most the least of the best seen so far.
        let keep = row.len().min(2 * k);
        let mut columns = Vec::with_capacity(row.len().min(2 * k.max(CHUNK)));
        columns.extend(0..keep as u32);
        let shrink = |columns: &mut Vec<u32>| {
            let (_, &mut least, _) = columns.select_nth_unstable_by(k - 1, order);
            columns.truncate(k);
            row[least as usize]
        };
        if keep < row.len() {
            let mut least = shrink(&mut columns);
            for (i, chunk) in row[keep..].chunks(CHUNK).enumerate() {
                // Nothing comes before a NaN but one of an earlier column.
                if least.is_nan() {
                    break;
                }
                // Without leaving early, so that many are compared at once.
                if chunk.iter().fold(true, |none, &x| none & (x <= least)) {
                    continue;
                }
                for (j, &x) in chunk.iter().enumerate() {
                    if x > least || x.is_nan() {
                        columns.push((keep + i * CHUNK + j) as u32);
                    }
                    if columns.len() == 2 * k.max(CHUNK) {
                        least = shrink(&mut columns);
                    }
                }
            }
        }
        columns.sort_unstable_by(order);
        columns.truncate(k);
        self.values.extend(columns.iter().map(|&c| row[c as usize]));
        self.indices.extend(columns);
    }
}

/// Elements of a row that are compared together.
const CHUNK: usize = 64;

/// Descending; NaN first; both zeros are equal.
fn larger_first(a: f32, b: f32) -> Ordering {
    b.partial_cmp(&a).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}
