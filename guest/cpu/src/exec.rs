//! Compiled plans and one run of them: every thread walks the same stages, sharing the work of each phase.
#![expect(unsafe_code, reason = "views of shared memory, disjoint by the pieces that are dealt out")]

use crate::act::ActFormat;
use crate::arena::{Plain, Shared};
use crate::cache::Cache;
use crate::device::Site;
use crate::kernels::{Kernels, Part, VecKernels};
use crate::ops::{self, Needs, Stage};
use crate::pool::{Pool, Turn};
use crate::profile::{Clock, OpProfile, Profile};
use crate::progress::{Dealer, Progress};
use crate::tensor::{Tensor, WeightBytes, lost};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chord_ops::{
    Budget, CacheSpec, Charge, DeviceError, FusedPlan, Layout, Picked, Rows, Step, StepLimits, ValueId,
    layout_until,
};
use core::mem::size_of;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A plan ready to run: stages over memory that is laid out once.
pub struct Compiled {
    cache: CacheSpec,
    limits: StepLimits,
    output: Slot,
    stages: Vec<Box<dyn Stage>>,
    memory: Memory,
    kernels: Arc<Kernels>,
    threads: usize,
    dealer: Dealer,
    index: StepIndex,
    profile: Option<Profile>,
    /// What its tensors are bound to, each once.
    sources: Vec<WeightBytes>,
    budget: Arc<Budget>,
    /// For all but the buffers of `memory` and the vectors of weights, which have charges of their own.
    _charge: Charge,
}

/// Where a value lies in the arena: `(rows, cols)` from `offset`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) offset: usize,
    pub(crate) cols: usize,
    pub(crate) rows: Rows,
}

/// All memory of a plan but the cache.
pub(crate) struct Memory {
    /// Values, by [`Slot`].
    pub(crate) arena: Shared<f32>,
    /// Normed activations, `(tokens, n_in)` of the project in progress; `(threads, n_in)` where there is but one token.
    pub(crate) normed: Shared<f32>,
    /// Quantised activations of the project in progress, rows as above, by [`ActFormat`].
    pub(crate) q8x32: Planes,
    /// As above.
    pub(crate) q8x256: Planes,
    /// Cosines and sines of each rotation of the plan, see [`ops::rope`].
    pub(crate) angles: Shared<f32>,
    /// Elements of it per token.
    pub(crate) angles_per_token: usize,
    /// Which tokens chose which expert, see [`ops::experts`].
    pub(crate) routes: Shared<u32>,
    /// For each thread on its own.
    scratch: Shared<f32>,
    /// Elements of it per thread.
    scratch_len: usize,
}

/// Planes of quantised activations, see [`crate::act::ActView`].
pub(crate) struct Planes {
    pub(crate) q: Shared<i8>,
    pub(crate) scales: Shared<f32>,
    pub(crate) sums: Shared<i16>,
}

impl Planes {
    /// `rows` of `cols` elements.
    fn new(memory: &Arc<Budget>, rows: usize, cols: usize, block: usize) -> Result<Planes, DeviceError> {
        let too_large = || DeviceError::Limit("the plan's activations are too large for this machine".into());
        let len = cols.checked_mul(rows).ok_or_else(too_large)?;
        let what = "the activations of a plan";
        Ok(Planes {
            q: Shared::new(memory, what, len)?,
            scales: Shared::new(memory, what, len.div_ceil(block))?,
            sums: Shared::new(memory, what, len.div_ceil(16))?,
        })
    }
}

impl Memory {
    fn new(
        memory: &Arc<Budget>,
        arena: usize,
        needs: &Needs,
        tokens: usize,
        threads: usize,
    ) -> Result<Memory, DeviceError> {
        let too_large =
            || DeviceError::Limit("the plan's scratch memory is too large for this machine".into());
        let product = |a: usize, b: usize| a.checked_mul(b).ok_or_else(too_large);
        // Where there is but one token, each thread has a row of activations.
        let rows = tokens.max(threads);
        // Threads do not share cache lines.
        let scratch_len = needs.scratch.next_multiple_of(16);
        Ok(Memory {
            arena: Shared::new(memory, "the values of a plan", arena)?,
            normed: Shared::new(memory, "the normed activations of a plan", product(needs.normed, rows)?)?,
            q8x32: Planes::new(memory, rows, needs.q8x32, 32)?,
            q8x256: Planes::new(memory, rows, needs.q8x256, 256)?,
            angles: Shared::new(memory, "the angles of a plan", product(needs.angles, tokens)?)?,
            angles_per_token: needs.angles,
            routes: Shared::new(
                memory,
                "the routes of a plan",
                product(needs.used, tokens)?.checked_add(needs.experts + 1).ok_or_else(too_large)?,
            )?,
            scratch: Shared::new(memory, "the scratch memory of threads", product(scratch_len, threads)?)?,
            scratch_len,
        })
    }

    /// The planes of a quantised form of activations.
    pub(crate) fn planes(&self, format: ActFormat) -> Option<&Planes> {
        match format {
            ActFormat::F32 => None,
            ActFormat::Q8x32 => Some(&self.q8x32),
            ActFormat::Q8x256 => Some(&self.q8x256),
        }
    }
}

impl Compiled {
    pub(crate) fn new(
        fused: &FusedPlan,
        tensors: &[&Tensor],
        site: &Site<'_>,
        clock: Option<Clock>,
    ) -> Result<Compiled, DeviceError> {
        let (plan, threads, tokens) =
            (fused.plan(), site.pool.threads(), fused.plan().max_step_tokens as usize);
        let Layout { offsets, total } =
            layout_until(fused, || site.check().is_err()).ok_or(DeviceError::Cancelled)?;
        let mut cx = ops::Compiler::new(fused, &offsets, tensors, site);
        let (stages, mut charge) = cx.stages()?;
        let (needs, output) = (cx.needs, cx.slot(plan.output));
        let phases = stages.iter().map(|s| s.phases()).sum();
        charge.grow("the books of a plan", Dealer::bytes(phases, threads) + StepIndex::bytes(tokens))?;
        let profile = clock.map(|clock| Profile::new(fused, stages.len(), clock));
        Ok(Compiled {
            cache: plan.cache.clone(),
            limits: fused.step_limits(),
            output,
            stages,
            memory: Memory::new(site.memory, total, &needs, tokens, threads)?,
            kernels: site.kernels.clone(),
            threads,
            dealer: Dealer::new(phases, threads),
            index: StepIndex::default(),
            profile,
            sources: sources(tensors)?,
            budget: site.memory.clone(),
            _charge: charge,
        })
    }

    /// What each op has done since the last reset, in order. Empty where the device has no clock.
    pub fn profile(&self) -> Vec<OpProfile> {
        self.profile.as_ref().map_or_else(Vec::new, Profile::ops)
    }

    /// Counts from zero again.
    pub fn reset_profile(&mut self) {
        if let Some(profile) = &mut self.profile {
            profile.reset();
        }
    }

    /// Fails if weights of the plan are gone.
    fn check_sources(&self) -> Result<(), DeviceError> {
        if self.sources.iter().any(|source| source.is_lost()) { Err(lost()) } else { Ok(()) }
    }

    pub(crate) fn run(
        &mut self,
        cache: &mut Cache,
        step: &Step<'_>,
        pool: &dyn Pool,
        cancel: &AtomicBool,
    ) -> Result<Picked, DeviceError> {
        if pool.threads() != self.threads {
            let (compiled, now) = (self.threads, pool.threads());
            return Err(DeviceError::Failed(format!("plan compiled for {compiled} threads, run on {now}")));
        }
        self.check_sources()?;
        cache.spec().check_fits(&self.cache)?;
        step.check(&self.limits, |seq| cache.is_open(seq))?;
        let per_row = step.pick.per_row(self.limits.cols) as usize;
        let _results = self.budget.charge("the results of a step", step.wanted.len() * per_row * 8)?;
        cache.reserve(step.spans)?;
        self.index.fill(step, cache);
        self.dealer.reset();
        let run = Run {
            stages: &self.stages,
            memory: &self.memory,
            kernels: &self.kernels,
            dealer: &self.dealer,
            index: &self.index,
            cache,
            step,
            pool,
            cancel,
            stopped: AtomicBool::new(false),
            profile: self.profile.as_ref(),
            marked: AtomicUsize::new(0),
            progress: Progress::new(),
        };
        run.mark(0);
        pool.lend(&|thread| run.work(thread));
        let stopped = run.stopped.into_inner();
        let picked = self.results(step, stopped, cancel).inspect_err(|_| cache.release(step.spans))?;
        cache.commit(step.spans);
        if let Some(profile) = &mut self.profile {
            profile.count(step, &self.index);
        }
        Ok(picked)
    }

    /// What a step has computed, unless it was stopped or read weights that are gone.
    fn results(
        &mut self,
        step: &Step<'_>,
        stopped: bool,
        cancel: &AtomicBool,
    ) -> Result<Picked, DeviceError> {
        self.check_sources()?;
        if stopped {
            return Err(DeviceError::Cancelled);
        }
        let Slot { offset, cols, .. } = self.output;
        let rows = &self.memory.arena.as_slice()[offset..][..step.wanted.len() * cols];
        step.pick.of_rows_until(rows, self.limits.cols, || cancel.load(Ordering::Relaxed))
    }
}

/// The sources of some tensors, each once. Fails if one is lost: what was read of it while compiling may be zeros.
fn sources(tensors: &[&Tensor]) -> Result<Vec<WeightBytes>, DeviceError> {
    let mut sources: Vec<WeightBytes> = Vec::new();
    for tensor in tensors {
        // Uploads cannot be lost, and there may be one for each tensor.
        let source = tensor.source();
        if source.can_be_lost() && !sources.iter().any(|known| Arc::ptr_eq(known, source)) {
            sources.push(source.clone());
        }
    }
    if sources.iter().any(|source| source.is_lost()) { Err(lost()) } else { Ok(sources) }
}

/// A token of a step in its sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenAt {
    /// Index into the step's spans.
    pub(crate) span: usize,
    /// Tokens of the sequence before it.
    pub(crate) index: usize,
}

/// Consecutive tokens of one span that attention computes together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    /// Index of the first one in the step.
    pub(crate) first: usize,
    /// Number of tokens, at most [`TILE`].
    pub(crate) len: usize,
}

/// Most tokens of a [`Tile`].
pub(crate) const TILE: usize = 8;

/// Which token of a step is what; buffers are used again.
#[derive(Debug, Default)]
pub(crate) struct StepIndex {
    pub(crate) tokens: Vec<TokenAt>,
    pub(crate) tiles: Vec<Tile>,
}

impl StepIndex {
    /// Bytes of the index of a step of so many tokens, at most; its vectors grow by doubling.
    fn bytes(tokens: usize) -> usize {
        2 * tokens * (size_of::<TokenAt>() + size_of::<Tile>())
    }

    fn fill(&mut self, step: &Step<'_>, cache: &Cache) {
        self.tokens.clear();
        self.tiles.clear();
        for (span, s) in step.spans.iter().enumerate() {
            let (first, len) = (self.tokens.len(), s.len as usize);
            let held = cache.held(s.seq);
            self.tokens.extend((held..held + len).map(|index| TokenAt { span, index }));
            let tiles = (0..len).step_by(TILE);
            self.tiles.extend(tiles.map(|at| Tile { first: first + at, len: TILE.min(len - at) }));
        }
    }
}

/// One run of a plan: what its threads share.
pub(crate) struct Run<'a> {
    stages: &'a [Box<dyn Stage>],
    pub(crate) memory: &'a Memory,
    pub(crate) kernels: &'a Kernels,
    dealer: &'a Dealer,
    pub(crate) index: &'a StepIndex,
    pub(crate) cache: &'a Cache,
    pub(crate) step: &'a Step<'a>,
    pool: &'a dyn Pool,
    cancel: &'a AtomicBool,
    /// Set once, so that all threads agree.
    stopped: AtomicBool,
    profile: Option<&'a Profile>,
    /// Stages whose end is in the profile. For thread 0.
    marked: AtomicUsize,
    progress: Progress,
}

/// A thread of a run, in one phase.
pub(crate) struct Worker<'a> {
    pub(crate) run: &'a Run<'a>,
    thread: usize,
    stage: usize,
    /// The first one of the stage, counted over all stages.
    first: usize,
    /// Counted over all stages.
    phase: usize,
    /// Pieces of the phase.
    pieces: usize,
    scratch: &'a mut [f32],
}

/// A piece of the work of a phase. Whoever holds it may write to what belongs to it, and nobody else reads that in
/// this phase.
pub(crate) struct Piece {
    /// Items of the phase: rows, tokens, tiles.
    pub(crate) items: Range<usize>,
    /// Who holds it.
    thread: usize,
}

/// Stops the step if a thread panics: the pool passes that on.
struct Alarm<'a>(&'a Run<'a>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
        self.0.pool.notify();
    }
}

impl Run<'_> {
    /// Does what there is to do for a thread, from the current phase on.
    fn work(&self, thread: usize) -> Turn {
        let alarm = Alarm(self);
        let n = self.memory.scratch_len;
        // SAFETY: each thread of the pool has a number of its own and is here once at a time, so no two views overlap.
        let scratch = unsafe { self.memory.scratch.get_mut(thread * n..(thread + 1) * n) };
        let phase = self.progress.current();
        let turn =
            self.walk(&mut Worker { run: self, thread, stage: 0, first: 0, phase, pieces: 0, scratch });
        core::mem::forget(alarm);
        if self.is_stopped() {
            self.pool.notify();
        }
        turn
    }

    fn walk(&self, worker: &mut Worker<'_>) -> Turn {
        while !self.is_stopped() {
            worker.seek();
            let Some(stage) = self.stages.get(worker.stage) else { return Turn::Over };
            worker.pieces = 0;
            stage.run(worker.phase - worker.first, worker);
            let has_pieces = worker.pieces > 0;
            let ended = || self.progress.current() > worker.phase || self.is_stopped();
            if has_pieces && !self.pool.wait(&ended) {
                return Turn::Waiting;
            }
            worker.phase = self.progress.current().max(worker.phase + 1);
            // Nobody ends a phase without pieces: who left after one would come back to it for ever.
            if has_pieces && worker.thread > 0 && self.pool.is_wanted() {
                return Turn::More;
            }
        }
        Turn::Over
    }

    /// So many stages are over. For thread 0.
    fn mark(&self, ended: usize) {
        let Some(profile) = self.profile else { return };
        let from = self.marked.load(Ordering::Relaxed);
        (from..=ended).for_each(|stage| profile.mark(stage));
        self.marked.store(from.max(ended + 1), Ordering::Relaxed);
    }

    /// Whether the step is to end early.
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Looks at the canceller. If it is set, the step ends early, and whatever it has computed is not used: what a piece
    /// leaves unwritten does not matter. Asked within pieces that take long.
    pub(crate) fn poll(&self) -> bool {
        if self.cancel.load(Ordering::Relaxed) {
            self.stopped.store(true, Ordering::Relaxed);
        }
        self.is_stopped()
    }

    /// Rows that a value has in this step.
    pub(crate) fn rows(&self, slot: &Slot) -> usize {
        match slot.rows {
            Rows::Tokens => self.step.tokens.len(),
            Rows::Wanted => self.step.wanted.len(),
        }
    }

    /// Some rows of a value that an earlier stage has written.
    pub(crate) fn value(&self, slot: &Slot, rows: Range<usize>) -> &[f32] {
        self.read(&self.memory.arena, slot.elements(rows))
    }

    /// Elements that an earlier phase has written.
    pub(crate) fn read<'m, T: Plain>(&self, memory: &'m Shared<T>, elements: Range<usize>) -> &'m [T] {
        // SAFETY: what a phase writes, it does not read: outputs never overlap inputs in a layout, and planes are written in
        // one phase and read in the next. The exception is the row of a lone token, which each thread writes for itself,
        // at an index of its own, before it reads it through no mutable view. Who reads holds a piece, so that no later phase
        // begins, and earlier ones have ended; a stage keeps nothing between its phases, so no view outlives the piece.
        unsafe { memory.get(elements) }
    }

    /// Number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Vector kernels.
    pub(crate) fn vecs(&self) -> &VecKernels {
        &self.kernels.vecs
    }
}

impl<'a> Worker<'a> {
    /// Goes to the stage of the phase.
    fn seek(&mut self) {
        while let Some(stage) = self.run.stages.get(self.stage)
            && self.phase >= self.first + stage.phases()
        {
            self.first += stage.phases();
            self.stage += 1;
            if self.thread == 0 {
                self.run.mark(self.stage);
            }
        }
    }

    /// Deals out `n` items in pieces of `size` and calls `f` with each piece that falls to this thread, and with
    /// scratch memory. At most once per phase; without, the phase has no pieces. Outside of `f` a thread must not look at what
    /// other phases write: a late one comes here when they have begun.
    pub(crate) fn each(&mut self, n: usize, size: usize, mut f: impl FnMut(Piece, &mut [f32])) {
        let (run, pieces) = (self.run, n.div_ceil(size));
        self.pieces = pieces;
        let mut done = 0;
        while let Some(piece) = run.dealer.next(self.phase, self.thread, pieces) {
            if run.poll() {
                return;
            }
            let items = piece * size..((piece + 1) * size).min(n);
            f(Piece { items, thread: self.thread }, self.scratch);
            done += 1;
        }
        // A step that is stopped does not go on: the last piece may have ended early.
        if done > 0 && !run.is_stopped() && run.progress.finish(self.phase, done, pieces) {
            run.pool.notify();
        }
    }

    /// What this thread multiplies first after this stage, if that is known.
    pub(crate) fn next(&self) -> Part<'a> {
        let later = self.run.stages[self.stage + 1..].iter();
        later.map(|stage| stage.first(self.run, self.thread)).find(|part| part.rows > 0).unwrap_or_default()
    }

    /// Number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.run.threads()
    }
}

impl Piece {
    /// The number of the thread that holds it.
    pub(crate) fn thread(&self) -> usize {
        self.thread
    }

    /// A piece whose only item is the number of the thread that holds this one: for what each thread has of its own.
    pub(crate) fn own(&self) -> Piece {
        Piece { items: self.thread..self.thread + 1, thread: self.thread }
    }

    /// Memory that belongs to this piece and to no other of the phase.
    pub(crate) fn write<'p, T: Plain>(
        &'p mut self,
        memory: &'p Shared<T>,
        elements: Range<usize>,
    ) -> &'p mut [T] {
        // SAFETY: pieces are dealt out once (or each thread has its own), each stage derives disjoint elements from the items of a piece, and the
        // view borrows the piece mutably, so one thread does not have two. Nothing reads them before the phase ends.
        unsafe { memory.get_mut(elements) }
    }

    /// As [`Piece::write`], in three memories at once.
    pub(crate) fn write3<A: Plain, B: Plain, C: Plain>(
        &mut self,
        a: (&Shared<A>, Range<usize>),
        b: (&Shared<B>, Range<usize>),
        c: (&Shared<C>, Range<usize>),
        f: impl FnOnce(&mut [A], &mut [B], &mut [C]),
    ) {
        // SAFETY: as in `write`; the memories are different ones, since they differ in type or in what owns them.
        let (a, b, c) = unsafe { (a.0.get_mut(a.1), b.0.get_mut(b.1), c.0.get_mut(c.1)) };
        f(a, b, c);
    }

    /// The rows of a value that are the items of this piece.
    pub(crate) fn rows<'p>(&'p mut self, run: &'p Run<'_>, slot: &Slot) -> &'p mut [f32] {
        let elements = slot.elements(self.items.clone());
        self.write(&run.memory.arena, elements)
    }
}

impl Slot {
    pub(crate) fn new(fused: &FusedPlan, offsets: &[usize], id: ValueId) -> Slot {
        let shape = fused.shape(id);
        Slot { offset: offsets[id.0 as usize], cols: shape.cols as usize, rows: shape.rows }
    }

    /// Elements of some rows.
    pub(crate) fn elements(&self, rows: Range<usize>) -> Range<usize> {
        self.offset + rows.start * self.cols..self.offset + rows.end * self.cols
    }

    /// Elements of some columns of a row.
    pub(crate) fn columns(&self, row: usize, cols: Range<usize>) -> Range<usize> {
        let start = self.offset + row * self.cols;
        start + cols.start..start + cols.end
    }
}
