//! Matrix products: the input is normed and quantised once, then meets the rows of all matrices.

use super::elementwise::glu;
use super::norm::Normer;
use super::{Compiler, Needs, Stage, Vector};
use crate::act::{ActFormat, ActView, q_stride};
use crate::copies::WeightCopy;
use crate::exec::{Piece, Run, Slot, Worker};
use crate::kernels::{MatKernel, Part};
use crate::tensor::Tensor;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use chord_ops::op::{self, Epilogue};
use chord_ops::{DeviceError, ValueId};
use core::ops::Range;

/// Tokens whose products are in scratch at the same time.
pub(super) const TOKENS: usize = 512;
/// Up to so many tokens, a piece is at most as many rows as make [`STREAM`] bytes: one pass over memory. Above, products are
/// many per byte, and pieces are [`BLOCK`] rows, whose products stay in the caches.
const FEW: usize = 8;
const STREAM: usize = 512 << 10;
const BLOCK: usize = 64;
/// Most rows of a piece.
const MAX_ROWS: usize = TOKENS * BLOCK / FEW;
/// Pieces of a matrix per thread that are wanted at least, so that a thread that falls behind can be helped.
const PIECES: usize = 4;

pub(crate) struct Project {
    x: Slot,
    norm: Option<Normer>,
    /// Forms of the input that the matrices read.
    formats: Vec<ActFormat>,
    mats: Vec<Mat>,
    epilogue: End,
    outs: Vec<Slot>,
}

pub(super) struct Mat {
    weight: Tensor,
    copy: Option<WeightCopy>,
    pub(super) kernel: MatKernel,
    /// Factors on the products: one, or one for each expert.
    scales: Option<Arc<Vector>>,
    bias: Option<Arc<Vector>>,
    /// Factor on the bias.
    bias_scale: f32,
    pub(super) rows: usize,
    pub(super) row_bytes: usize,
}

/// Some rows of a matrix (of a GLU's first one), and what the thread most likely reads after them.
#[derive(Clone)]
struct Task<'a> {
    mat: usize,
    rows: Range<usize>,
    next: Part<'a>,
}

enum End {
    Each,
    Glu(op::Activation),
    Add(Slot),
}

impl Project {
    pub(crate) fn new(
        cx: &mut Compiler<'_>,
        op: &op::Project,
        outs: &[ValueId],
    ) -> Result<Project, DeviceError> {
        let x = cx.slot(op.x);
        let norm = op.norm.map(|n| Normer::new(cx, &n.as_norm(op.x, x.cols as u32))).transpose()?;
        let mats = op.mats.iter().map(|m| Mat::new(cx, m)).collect::<Result<Vec<_>, _>>()?;
        let mut formats: Vec<ActFormat> = Vec::new();
        for Mat { kernel, .. } in &mats {
            if !formats.contains(&kernel.act) {
                formats.push(kernel.act);
            }
        }
        let epilogue = match op.epilogue {
            Epilogue::Each => End::Each,
            Epilogue::Glu(act) => End::Glu(act),
            Epilogue::Add(residual) => End::Add(cx.slot(residual)),
        };
        let needs = &mut cx.needs;
        if norm.is_some() {
            needs.normed = needs.normed.max(x.cols);
            needs.scratch = needs.scratch.max(x.cols);
        }
        formats.iter().for_each(|&format| needs.activations(format, 1, x.cols));
        mats.iter().for_each(|mat| needs.products(&mat.kernel));
        let outs = outs.iter().map(|&out| cx.slot(out)).collect();
        Ok(Project { x, norm, formats, mats, epilogue, outs })
    }

    /// Whether the input is used as it is.
    fn is_plain(&self) -> bool {
        self.norm.is_none() && self.formats == [ActFormat::F32]
    }

    /// Whether each thread prepares the input for itself: a single row is made sooner than waited for.
    fn is_alone(&self, run: &Run<'_>) -> bool {
        run.rows(&self.x) == 1
    }

    /// Norms and quantises rows of the input.
    fn prepare(&self, worker: &mut Worker<'_>) {
        let run = worker.run;
        if self.is_alone(run) {
            return;
        }
        worker.each(run.rows(&self.x), 1, |mut piece, scratch| {
            self.prepare_row(run, piece.items.start, &mut piece, scratch);
        });
    }

    /// A row of the input, to the row of the activations that is the item of the piece. What is normed is made in scratch,
    /// and kept where a matrix reads it in f32.
    fn prepare_row(&self, run: &Run<'_>, row: usize, piece: &mut Piece, scratch: &mut [f32]) {
        let (to, cols) = (piece.items.start, self.x.cols);
        let mut x = run.value(&self.x, row..row + 1);
        if let Some(norm) = &self.norm {
            let normed = &mut scratch[..cols];
            norm.apply(run.vecs(), x, normed);
            x = normed;
            if self.formats.contains(&ActFormat::F32) {
                piece.write(&run.memory.normed, to * cols..(to + 1) * cols).copy_from_slice(x);
            }
        }
        for &format in &self.formats {
            quantise(run, piece, format, to, x);
        }
    }

    fn multiply(&self, worker: &mut Worker<'_>) {
        let run = worker.run;
        let tokens = run.rows(&self.x);
        if tokens == 0 {
            return;
        }
        let splits = Splits::new(self, tokens, run.threads());
        let few = tokens <= FEW;
        let after = if few { worker.next() } else { Part::default() };
        let mut is_prepared = !self.is_alone(run);
        worker.each(splits.pieces(), 1, |mut piece, scratch| {
            let (mat, rows) = splits.piece(piece.items.start);
            if rows.is_empty() {
                return;
            }
            if !is_prepared {
                self.prepare_row(run, 0, &mut piece.own(), scratch);
                is_prepared = true;
            }
            // A thread gets its own share in order.
            let next = match piece.items.end {
                end if !few || end.is_multiple_of(splits.share()) => after,
                end => self.part(&splits, end),
            };
            let task = Task { mat, rows, next };
            for from in (0..tokens).step_by(TOKENS) {
                if run.poll() {
                    return;
                }
                let tokens = from..tokens.min(from + TOKENS);
                self.block(run, &task, tokens, &mut piece, scratch);
            }
        });
    }

    /// The weights of a piece: of a GLU, those of its first matrix.
    fn part(&self, splits: &Splits, piece: usize) -> Part<'_> {
        let (mat, rows) = splits.piece(piece);
        self.mats[mat].part(&rows)
    }

    /// The products of some rows of a matrix (of both, for a GLU) with some tokens, to where they belong.
    fn block(
        &self,
        run: &Run<'_>,
        task: &Task<'_>,
        tokens: Range<usize>,
        piece: &mut Piece,
        scratch: &mut [f32],
    ) {
        let Task { mat, ref rows, next } = *task;
        let n = rows.len();
        let (products, rest) = scratch.split_at_mut(n * tokens.len());
        let first = if self.is_alone(run) { piece.thread() } else { 0 };
        let ups = match self.epilogue {
            End::Glu(_) => {
                let up = Task { mat: 1, rows: rows.clone(), next };
                let gate = Task { next: self.mats[1].part(rows), ..task.clone() };
                let ups = &mut rest[..n * tokens.len()];
                self.products(run, &gate, &tokens, first, products);
                self.products(run, &up, &tokens, first, ups);
                ups
            }
            End::Each | End::Add(_) => {
                self.products(run, task, &tokens, first, products);
                &mut []
            }
        };
        for (i, (token, products)) in tokens.zip(products.chunks_exact(n)).enumerate() {
            let out = piece.write(&run.memory.arena, self.outs[mat].columns(token, rows.clone()));
            match &self.epilogue {
                End::Each => out.copy_from_slice(products),
                End::Glu(act) => glu(run.vecs(), *act, products, &ups[i * n..][..n], out),
                End::Add(residual) => {
                    let residual = run.read(&run.memory.arena, residual.columns(token, rows.clone()));
                    out.iter_mut().zip(products).zip(residual).for_each(|((y, p), r)| *y = p + r);
                }
            }
        }
    }

    /// `(tokens, rows)` products, scaled, bias added. Token 0 is row `first` of the activations.
    fn products(&self, run: &Run<'_>, task: &Task<'_>, tokens: &Range<usize>, first: usize, out: &mut [f32]) {
        let (mat, rows) = (&self.mats[task.mat], &task.rows);
        (mat.kernel.mul)(
            mat.part(rows),
            task.next,
            &self.acts(run, mat.kernel.act, first),
            tokens.clone(),
            out,
        );
        mat.scale(0, out);
        if let Some(bias) = &mat.bias {
            for out in out.chunks_exact_mut(rows.len()) {
                out.iter_mut().zip(&bias[rows.clone()]).for_each(|(y, b)| *y += b * mat.bias_scale);
            }
        }
    }

    /// All rows of the input in one form, in memory from row `first`.
    fn acts<'r>(&self, run: &'r Run<'_>, format: ActFormat, first: usize) -> ActView<'r> {
        let (n, cols) = (run.rows(&self.x), self.x.cols);
        let rows = first..first + n;
        let f32 = match &self.norm {
            Some(_) => run.read(&run.memory.normed, rows.start * cols..rows.end * cols),
            None => run.value(&self.x, 0..n),
        };
        view(run, format, cols, rows, f32)
    }
}

/// Rows of `cols` activations: in f32, and what [`quantise`] made of them.
pub(super) fn view<'r>(
    run: &'r Run<'_>,
    format: ActFormat,
    cols: usize,
    rows: Range<usize>,
    f32: &'r [f32],
) -> ActView<'r> {
    let q_stride = q_stride(cols);
    let (q, scales, sums): (&[i8], &[f32], &[i16]) = match run.memory.planes(format) {
        None => (&[], &[], &[]),
        Some(p) => {
            let elements = |per_row: usize| rows.start * per_row..rows.end * per_row;
            let block = format.block().unwrap_or(1);
            (
                run.read(&p.q, elements(q_stride)),
                run.read(&p.scales, elements(cols / block)),
                run.read(&p.sums, elements(cols / 16)),
            )
        }
    };
    ActView { format, cols, f32, q, q_stride, scales, sums }
}

pub(super) fn quantise(run: &Run<'_>, piece: &mut Piece, format: ActFormat, row: usize, x: &[f32]) {
    let (Some(planes), Some(block)) = (run.memory.planes(format), format.block()) else { return };
    let kernel = match format {
        ActFormat::Q8x256 => run.vecs().quantise_q8x256,
        _ => run.vecs().quantise_q8x32,
    };
    let range = |per: usize| row * (x.len() / per)..(row + 1) * (x.len() / per);
    let start = row * q_stride(x.len());
    let [q, scales, sums] = [start..start + x.len(), range(block), range(16)];
    piece.write3((&planes.q, q), (&planes.scales, scales), (&planes.sums, sums), |q, scales, sums| {
        kernel(x, q, scales, sums);
    });
}

impl Needs {
    /// Room in scratch for the products of a piece of a matrix, and of a second one.
    pub(super) fn products(&mut self, kernel: &MatKernel) {
        let products = (FEW * MAX_ROWS).max(TOKENS * BLOCK.next_multiple_of(kernel.rows));
        self.scratch = self.scratch.max(2 * products);
    }
}

impl Mat {
    pub(super) fn new(cx: &mut Compiler<'_>, matrix: &op::Matrix) -> Result<Mat, DeviceError> {
        let weight = cx.tensor(matrix.weight).clone();
        let (name, dtype) = (weight.decl.name.escape_debug(), weight.decl.dtype);
        let unsupported = || DeviceError::Tensor(format!("`{name}`: no kernel multiplies {dtype}"));
        let kernel = *cx.site.kernels.mat(dtype).ok_or_else(unsupported)?;
        let (rows, row_bytes) = (weight.decl.rows as usize, weight.row_bytes());
        let (scales, bias) = (cx.vector(matrix.scale.map(|s| s.by))?, cx.vector(matrix.bias)?);
        let of_bias = scales.as_ref().filter(|_| matrix.scale.is_some_and(|s| s.of_bias));
        let bias_scale = of_bias.map_or(1.0, |scales| scales[0]);
        let copy = cx.copy(matrix.weight);
        Ok(Mat { weight, copy, kernel, scales, bias, bias_scale, rows, row_bytes })
    }

    /// Applies factor `i` to products, if there are any.
    pub(super) fn scale(&self, i: usize, products: &mut [f32]) {
        if let Some(scales) = &self.scales {
            products.iter_mut().for_each(|y| *y *= scales[i]);
        }
    }

    /// All rows.
    pub(super) fn bytes(&self) -> &[u8] {
        self.copy.as_ref().map_or_else(|| self.weight.bytes(), WeightCopy::bytes)
    }

    /// Some rows.
    pub(super) fn part(&self, rows: &Range<usize>) -> Part<'_> {
        let bytes = &self.bytes()[rows.start * self.row_bytes..rows.end * self.row_bytes];
        Part { bytes, rows: rows.len() }
    }

    /// How its rows are dealt out.
    pub(super) fn split(&self, tokens: usize, threads: usize) -> Split {
        let few = tokens <= FEW;
        let unit = if few { self.kernel.rows } else { BLOCK.next_multiple_of(self.kernel.rows) };
        let most = if few { (STREAM / self.row_bytes).min(MAX_ROWS) / unit } else { 1 };
        let units = self.rows.div_ceil(unit);
        let pieces = units.div_ceil(most.max(1)).max(threads * PIECES).min(units);
        Split { rows: self.rows, unit, pieces: pieces.next_multiple_of(threads) }
    }
}

/// Pieces of a matrix, as many for each thread: rows in whole units, and as even as these allow. Some are empty where there
/// are fewer units than pieces.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Split {
    rows: usize,
    unit: usize,
    pub(super) pieces: usize,
}

impl Split {
    pub(super) fn piece(&self, piece: usize) -> Range<usize> {
        let units = self.rows.div_ceil(self.unit);
        let start = |piece: usize| (piece * units / self.pieces * self.unit).min(self.rows);
        start(piece)..start(piece + 1)
    }
}

/// How the matrices of a project are split.
struct Splits {
    mats: [Split; op::Project::MAX_MATS],
    n: usize,
    threads: usize,
}

impl Splits {
    fn new(project: &Project, tokens: usize, threads: usize) -> Splits {
        let mut mats = [Split::default(); op::Project::MAX_MATS];
        // Both matrices of a GLU go together, in pieces that suit the first.
        let n = if matches!(project.epilogue, End::Glu(_)) { 1 } else { project.mats.len() };
        for (split, mat) in mats.iter_mut().zip(&project.mats[..n]) {
            *split = mat.split(tokens, threads);
        }
        Splits { mats, n, threads }
    }

    fn pieces(&self) -> usize {
        self.mats[..self.n].iter().map(|split| split.pieces).sum()
    }

    /// Consecutive pieces that are a thread's share.
    fn share(&self) -> usize {
        self.pieces() / self.threads
    }

    /// Matrix and rows of a piece. A thread's share are as many of each matrix.
    fn piece(&self, piece: usize) -> (usize, Range<usize>) {
        let share = self.share();
        let (thread, mut piece) = (piece / share, piece % share);
        for (mat, split) in self.mats[..self.n].iter().enumerate() {
            let share = split.pieces / self.threads;
            if piece < share {
                return (mat, split.piece(thread * share + piece));
            }
            piece -= share;
        }
        (0, 0..0)
    }
}

impl Stage for Project {
    fn phases(&self) -> usize {
        2 - usize::from(self.is_plain())
    }

    fn first<'s>(&'s self, run: &Run<'_>, thread: usize) -> Part<'s> {
        let (tokens, threads) = (run.rows(&self.x), run.threads());
        if !(1..=FEW).contains(&tokens) {
            return Part::default();
        }
        let splits = Splits::new(self, tokens, threads);
        self.part(&splits, thread * splits.share())
    }

    fn run(&self, phase: usize, worker: &mut Worker<'_>) {
        if phase + 1 < self.phases() { self.prepare(worker) } else { self.multiply(worker) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_even_and_cover_all_rows_once() {
        for (rows, unit, pieces) in [(2048, 16, 10), (5632, 16, 22), (100, 16, 4), (7, 16, 4), (1000, 64, 16)]
        {
            let split = Split { rows, unit, pieces };
            let mut next = 0;
            for piece in (0..pieces).map(|i| split.piece(i)) {
                assert!(
                    piece.start == next && (piece.start % unit == 0 || piece.is_empty()),
                    "{split:?}: {piece:?}"
                );
                assert!(piece.len() <= rows.div_ceil(unit).div_ceil(pieces) * unit, "{split:?}: {piece:?}");
                next = piece.end;
            }
            assert_eq!(next, rows, "{split:?}");
        }
    }

    #[test]
    fn threads_share_every_matrix() {
        let split = |rows| Split { rows, unit: 16, pieces: 4 };
        let mats = core::array::from_fn(|i| split([2048, 256, 256][i.min(2)]));
        let splits = Splits { mats, n: 3, threads: 2 };
        let of = |pieces: Range<usize>| {
            let mut rows = [0; 3];
            pieces.map(|piece| splits.piece(piece)).for_each(|(mat, piece)| rows[mat] += piece.len());
            rows
        };
        assert_eq!((of(0..6), of(6..12)), ([1024, 128, 128], [1024, 128, 128]));
    }
}
