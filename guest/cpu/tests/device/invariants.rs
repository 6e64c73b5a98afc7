//! What must not change a single bit: threads, other tokens of a step, forks, repetition.

use super::threads::device;
use chord_cpu::{CpuDevice, Kernels};
use chord_ops::op::{
    Activation, Add, Append, Attention, Embed, Gather, Glu, Linear, Norm, NormKind, Rope, RopeParams,
    RopeStyle,
};
use chord_ops::testing::{Rng, limits, play, random_plan, tensor_bytes};
use chord_ops::{
    CacheSpec, Device, KvType, LayerKv, Pick, Recorder, SeqId, Span, Step, TensorDecl, ValidPlan, validate,
};
use chord_quant::DType;
use proptest::prelude::*;

const VOCABULARY: u32 = 50;

/// A small transformer with everything that a real one has, over matrices of one type; window in the second layer.
pub fn transformer(dtype: DType, kv: KvType, step_tokens: u32) -> ValidPlan {
    let (width, heads, kv_heads, dim, hidden) = (256u64, 4u32, 2u32, 64u32, 512u64);
    let layer = LayerKv { n_kv_heads: kv_heads, k_dim: dim, v_dim: dim };
    let cache = CacheSpec { layers: vec![layer; 2], dtype: kv, max_tokens: 1024 };
    let mut plan = Recorder::new(cache, step_tokens);
    let tensor = |plan: &mut Recorder, name: &str, dtype, rows, cols| {
        plan.tensor(TensorDecl { name: name.into(), dtype, cols, rows })
    };
    let table = tensor(&mut plan, "table", dtype, VOCABULARY.into(), width);
    let mut x = plan.op(Embed { table });
    for layer in 0..2 {
        let weight = tensor(&mut plan, "norm", DType::F32, 1, width);
        let norm = |x, weight| Norm {
            x,
            kind: NormKind::Rms,
            weight: Some(weight),
            bias: None,
            eps: 1e-5,
            group: width as u32,
        };
        let h = plan.op(norm(x, weight));
        let linear = |plan: &mut Recorder, x, rows: u64, cols: u64| {
            let weight = tensor(plan, "matrix", dtype, rows, cols);
            plan.op(Linear { x, weight, scale: None, bias: None })
        };
        let q = linear(&mut plan, h, (heads * dim).into(), width);
        let k = linear(&mut plan, h, (kv_heads * dim).into(), width);
        let v = linear(&mut plan, h, (kv_heads * dim).into(), width);
        let params = RopeParams {
            head_dim: dim,
            rot_dims: dim,
            style: RopeStyle::Halves,
            base: 10_000.0,
            freq_scale: 1.0,
            factors: None,
            yarn: None,
        };
        let q = plan.op(Rope { x: q, params });
        let k = plan.op(Rope { x: k, params });
        plan.effect(Append { k, v, layer });
        let window = (layer == 1).then_some(70);
        let attention = Attention { q, layer, n_heads: heads, scale: 0.125, window, softcap: None };
        let y = plan.op(attention);
        let y = linear(&mut plan, y, width, (heads * dim).into());
        x = plan.op(Add { a: x, b: y });
        let weight = tensor(&mut plan, "norm", DType::F32, 1, width);
        let h = plan.op(norm(x, weight));
        let gate = linear(&mut plan, h, hidden, width);
        let up = linear(&mut plan, h, hidden, width);
        let y = plan.op(Glu { gate, up, act: Activation::Silu });
        let y = linear(&mut plan, y, width, hidden);
        x = plan.op(Add { a: x, b: y });
    }
    let x = plan.op(Gather { x });
    let weight = tensor(&mut plan, "head", dtype, VOCABULARY.into(), width);
    let output = plan.op(Linear { x, weight, scale: None, bias: None });
    validate(plan.finish(output), &Default::default()).unwrap()
}

/// A device with a compiled plan and its cache.
pub struct Bench {
    pub device: CpuDevice,
    pub plan: <CpuDevice as Device>::Plan,
    pub cache: <CpuDevice as Device>::Cache,
}

impl Bench {
    pub fn new(device: CpuDevice, plan: &ValidPlan) -> Bench {
        let mut rng = Rng::new(7);
        let tensors: Vec<_> = plan
            .plan()
            .tensors
            .iter()
            .map(|t| device.upload(t, &tensor_bytes(t, &mut rng)).unwrap())
            .collect();
        let compiled = device.compile(plan, &tensors.iter().collect::<Vec<_>>()).unwrap();
        let cache = device.new_cache(&plan.plan().cache).unwrap();
        Bench { device, plan: compiled, cache }
    }

    pub fn open(&mut self) -> SeqId {
        self.device.open(&mut self.cache).unwrap()
    }

    /// Appends tokens to sequences; returns the bits of each token's output row.
    pub fn step(&mut self, parts: &[(SeqId, &[u32])]) -> Vec<Vec<u32>> {
        let tokens: Vec<u32> = parts.iter().flat_map(|p| p.1.iter().copied()).collect();
        let held: Vec<u32> = parts.iter().map(|p| self.device.len(&self.cache, p.0).unwrap()).collect();
        let positions: Vec<u32> =
            parts.iter().zip(&held).flat_map(|(p, &h)| h..h + p.1.len() as u32).collect();
        let spans: Vec<Span> = parts.iter().map(|p| Span { seq: p.0, len: p.1.len() as u32 }).collect();
        let wanted: Vec<u32> = (0..tokens.len() as u32).collect();
        let step =
            Step { tokens: &tokens, positions: &positions, spans: &spans, wanted: &wanted, pick: Pick::All };
        let picked = self.device.run(&mut self.plan, &mut self.cache, &step).unwrap();
        picked.values.chunks(picked.k as usize).map(|row| row.iter().map(|v| v.to_bits()).collect()).collect()
    }
}

fn tokens(n: u32, salt: u32) -> Vec<u32> {
    (0..n).map(|i| (i * 7 + salt * 13 + i * i) % VOCABULARY).collect()
}

const TYPES: [DType; 4] = [DType::F32, DType::Q8_0, DType::Q4_0, DType::F16];

#[test]
fn prefill_in_any_pieces_is_the_same() {
    for dtype in TYPES {
        for kv in [KvType::F16, KvType::F32] {
            let plan = transformer(dtype, kv, 200);
            let text = tokens(200, 1);
            let mut whole = Bench::new(device(Kernels::detect(), 2), &plan);
            let seq = whole.open();
            let expected = whole.step(&[(seq, &text)]);
            for size in [1, 3, 64, 130] {
                let mut parts = Bench::new(device(Kernels::detect(), 3), &plan);
                let seq = parts.open();
                let found: Vec<_> = text.chunks(size).flat_map(|part| parts.step(&[(seq, part)])).collect();
                assert!(found == expected, "{dtype}, {kv:?}, pieces of {size}");
            }
        }
    }
}

#[test]
fn a_batch_is_the_same_as_one_by_one() {
    for dtype in TYPES {
        let plan = transformer(dtype, KvType::F16, 200);
        let texts = [tokens(90, 1), tokens(1, 2), tokens(70, 3)];
        let mut batch = Bench::new(device(Kernels::detect(), 2), &plan);
        let seqs: Vec<SeqId> = texts.iter().map(|_| batch.open()).collect();
        let parts: Vec<(SeqId, &[u32])> = seqs.iter().zip(&texts).map(|(&s, t)| (s, &t[..])).collect();
        let mut found = batch.step(&parts);
        found.extend(batch.step(&seqs.iter().map(|&s| (s, &[5u32][..])).collect::<Vec<_>>()));
        let mut alone = Bench::new(device(Kernels::detect(), 1), &plan);
        let (mut expected, mut last) = (Vec::new(), Vec::new());
        for text in &texts {
            let seq = alone.open();
            expected.extend(alone.step(&[(seq, text)]));
            last.extend(alone.step(&[(seq, &[5])]));
        }
        expected.extend(last);
        assert!(found == expected, "{dtype}");
    }
}

#[test]
fn forks_and_cuts_are_the_same_as_starting_again() {
    let plan = transformer(DType::Q8_0, KvType::F16, 200);
    let (text, left, right) = (tokens(100, 1), tokens(80, 2), tokens(80, 3));
    let mut bench = Bench::new(device(Kernels::detect(), 2), &plan);
    let trunk = bench.open();
    bench.step(&[(trunk, &text)]);
    // At a page's edge, within one, and of all tokens; the trunk goes on while the fork lives.
    for keep in [64, 70, 100, 0] {
        let fork = bench.device.fork(&mut bench.cache, trunk, keep).unwrap();
        let went_on = bench.step(&[(trunk, &left), (fork, &right)]);
        let mut again = Bench::new(device(Kernels::detect(), 2), &plan);
        let (a, b) = (again.open(), again.open());
        again.step(&[(a, &text)]);
        if keep > 0 {
            again.step(&[(b, &text[..keep as usize])]);
        }
        assert!(went_on == again.step(&[(a, &left), (b, &right)]), "fork at {keep}");
        bench.device.close(&mut bench.cache, fork).unwrap();
        bench.device.truncate(&mut bench.cache, trunk, 100).unwrap();
    }
}

/// Matrices copied into memory of their own, none, some or all of them: the same bits.
#[test]
fn copies_of_weights_change_nothing() {
    for dtype in [DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K, DType::F16] {
        let plan = transformer(dtype, KvType::F16, 64);
        let bits = |device: &CpuDevice| {
            let results = play(device, &plan, 7).unwrap();
            results
                .into_iter()
                .map(|r| r.unwrap().values.into_iter().map(f32::to_bits).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        let plain = bits(&device(Kernels::detect(), 2));
        assert!(plain.iter().any(|values| !values.is_empty()));
        for budget in [0, 300_000, 1 << 30] {
            let copies = device(Kernels::detect(), 2).with_copies(budget, |_, _| {});
            assert_eq!(bits(&copies), plain, "{dtype}, {budget} bytes of copies");
            // What a dropped plan had is there again.
            assert_eq!(bits(&copies), plain, "{dtype}, {budget} bytes of copies, again");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn threads_change_nothing(seed: u64) {
        let plan = validate(random_plan(seed), &limits()).unwrap();
        let bits = |threads| {
            let results = play(&device(Kernels::detect(), threads), &plan, seed).unwrap();
            let values = |p: &chord_ops::Picked| p.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            results.iter().map(|r| r.as_ref().map(values).map_err(Clone::clone)).collect::<Vec<_>>()
        };
        prop_assert_eq!(bits(1), bits(4));
    }
}
