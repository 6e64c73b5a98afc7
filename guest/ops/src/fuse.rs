//! Fusing: neighbouring ops of a validated plan become one, so that devices read and write less memory.
//!
//! [`PATTERNS`] is the whole of it: each pattern looks at one node and rewrites it together with its neighbours. What a
//! pattern makes stands where all that it reads is defined and no earlier than any effect that it has, so the order of
//! execution stays legal; and no pattern makes more memory alive than there was.

use crate::WeightReads;
use crate::op::{Epilogue, Linear, Matrix, Norm, Op, Project, Prologue, RopeAppend};
use crate::plan::{Node, Plan, Shape, ValueId};
use crate::step::StepLimits;
use crate::validate::ValidPlan;
use alloc::vec;
use alloc::vec::Vec;

/// A plan for devices: no [`Op::Linear`] is left, so they need only [`Op::Project`]; value ids are those of the
/// recorded plan, and some of them are no longer defined.
#[derive(Clone, Debug, PartialEq)]
pub struct FusedPlan {
    plan: Plan,
    shapes: Vec<Shape>,
}

impl FusedPlan {
    /// Tensors, cache, fused nodes, output and largest step.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Nodes in execution order.
    pub fn nodes(&self) -> &[Node] {
        &self.plan.nodes
    }

    /// Shape of every value of the recorded plan, by value id.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// Shape of one value.
    pub fn shape(&self, id: ValueId) -> Shape {
        self.shapes[id.0 as usize]
    }

    /// What a step over this plan is checked against.
    pub fn step_limits(&self) -> StepLimits {
        StepLimits::new(&self.plan, &self.shapes)
    }

    /// What its steps read of the weights.
    pub fn weight_reads(&self) -> WeightReads {
        WeightReads::of(&self.plan, &self.shapes)
    }
}

/// Rewrites the node at an index, if it is the anchor of the pattern and the pattern holds.
type Pattern = fn(&mut Graph<'_>, usize) -> Option<()>;

/// Every pattern in the order in which they run, each over the whole plan.
const PATTERNS: &[Pattern] = &[
    unread,      // ops whose outputs nothing reads: none
    linear,      // every linear is a project of one matrix
    glu,         // glu(project(x), project(x)): one project
    residual,    // project + value: one project
    shared,      // projects of one x in a row: one project of several matrices
    norm,        // norm, read by one project only: its prologue
    rope_append, // rope of keys, read by an append only: one op
];

/// Fuses a plan.
pub fn fuse(valid: &ValidPlan) -> FusedPlan {
    fuse_with(valid, PATTERNS)
}

fn fuse_with(valid: &ValidPlan, patterns: &[Pattern]) -> FusedPlan {
    let (mut plan, shapes) = (valid.plan().clone(), valid.shapes().to_vec());
    for pattern in patterns {
        let mut graph = Graph::new(&mut plan, &shapes);
        for at in 0..graph.nodes.len() {
            pattern(&mut graph, at);
        }
        let nodes = graph.nodes.into_iter().flatten().collect();
        plan.nodes = nodes;
    }
    FusedPlan { plan, shapes }
}

/// The op at `at` is dropped if nothing reads its outputs, and then what only it has read.
fn unread(graph: &mut Graph<'_>, at: usize) -> Option<()> {
    let mut candidates = vec![at];
    while let Some(at) = candidates.pop() {
        let Some(Node { outs, .. }) = &graph.nodes[at] else { continue };
        if !outs.is_empty() && outs.iter().all(|&out| graph.is_unread(out)) {
            let inputs = graph.take(at)?.op.inputs();
            candidates.extend(inputs.map(|input| graph.defined_at(input)));
        }
    }
    Some(())
}

/// `linear` at `at` becomes a project of one matrix.
fn linear(graph: &mut Graph<'_>, at: usize) -> Option<()> {
    let &Op::Linear(Linear { x, weight, scale, bias }) = graph.op(at)? else { return None };
    let mats = vec![Matrix { weight, scale, bias }];
    let project = Project { x, norm: None, mats, epilogue: Epilogue::Each };
    let outs = graph.take(at)?.outs;
    graph.put(at, Node { op: project.into(), outs });
    Some(())
}

/// The glu at `at` and the two projects that only it reads become one, where the later of the two was.
fn glu(graph: &mut Graph<'_>, at: usize) -> Option<()> {
    let &Op::Glu(op) = graph.op(at)? else { return None };
    let (gate_at, up_at) = (graph.defined_at(op.gate), graph.defined_at(op.up));
    let only = graph.only_reader(op.gate)? == at && graph.only_reader(op.up)? == at;
    let (gate, up) = (graph.single(gate_at)?, graph.single(up_at)?);
    if !only || gate_at == up_at || gate.x != up.x {
        return None;
    }
    let (x, mats) = (gate.x, vec![gate.mats[0], up.mats[0]]);
    let outs = graph.take(at)?.outs;
    graph.take(gate_at)?;
    graph.take(up_at)?;
    let op = Project { x, norm: None, mats, epilogue: Epilogue::Glu(op.act) }.into();
    graph.put(gate_at.max(up_at), Node { op, outs });
    Some(())
}

/// The project at `at` takes over the add that alone reads its product, if the other operand is defined before it.
fn residual(graph: &mut Graph<'_>, at: usize) -> Option<()> {
    let project = graph.single(at)?.clone();
    let &[product] = &graph.nodes[at].as_ref()?.outs[..] else { return None };
    let add_at = graph.only_reader(product)?;
    let &Op::Add(add) = graph.op(add_at)? else { return None };
    let residual = if add.a == product { add.b } else { add.a };
    if graph.defined_at(residual) >= at {
        return None;
    }
    graph.take(at)?;
    let outs = graph.take(add_at)?.outs;
    graph.put(at, Node { op: Project { epilogue: Epilogue::Add(residual), ..project }.into(), outs });
    Some(())
}

/// The project at `at` takes over those that follow it directly and read the same value.
fn shared(graph: &mut Graph<'_>, at: usize) -> Option<()> {
    let x = graph.plain(at)?.x;
    let follows = |graph: &Graph<'_>, next: usize, n: usize| {
        graph.plain(next).is_some_and(|p| p.x == x && p.mats.len() + n <= Project::MAX_MATS)
    };
    let mut node = graph.take(at)?;
    let mut next = at + 1;
    while follows(graph, next, node.outs.len()) {
        let other = graph.take(next)?;
        node.outs.extend(other.outs);
        if let (Op::Project(p), Op::Project(other)) = (&mut node.op, other.op) {
            p.mats.extend(other.mats);
        }
        next += 1;
    }
    graph.put(at, node);
    Some(())
}

/// The project at `at` takes over the norm of whole rows that only it reads.
fn norm(graph: &mut Graph<'_>, at: usize) -> Option<()> {
    let &Op::Project(Project { x, norm: None, .. }) = graph.op(at)? else { return None };
    let norm_at = graph.defined_at(x);
    let &Op::Norm(Norm { x: before, kind, weight, bias, eps, group }) = graph.op(norm_at)? else {
        return None;
    };
    if graph.only_reader(x)? != at || group != graph.shapes[x.0 as usize].cols {
        return None;
    }
    graph.take(norm_at)?;
    let mut node = graph.take(at)?;
    if let Op::Project(p) = &mut node.op {
        (p.x, p.norm) = (before, Some(Prologue { kind, weight, bias, eps }));
    }
    graph.put(at, node);
    Some(())
}

/// The append at `at` takes over the rope of its keys, if only it reads them and their heads are the layer's.
fn rope_append(graph: &mut Graph<'_>, at: usize) -> Option<()> {
    let &Op::Append(append) = graph.op(at)? else { return None };
    let rope_at = graph.defined_at(append.k);
    let &Op::Rope(rope) = graph.op(rope_at)? else { return None };
    let k_dim = graph.k_dims[append.layer as usize];
    if graph.only_reader(append.k)? != at || rope.params.head_dim != k_dim {
        return None;
    }
    graph.take(rope_at)?;
    graph.take(at)?;
    let op = RopeAppend { k: rope.x, v: append.v, layer: append.layer, rope: rope.params };
    graph.put(at, Node { op: op.into(), outs: Vec::new() });
    Some(())
}

/// Nodes under rewriting. `None`: taken over by another node.
struct Graph<'a> {
    nodes: Vec<Option<Node>>,
    shapes: &'a [Shape],
    /// Elements of a key head, by cache layer.
    k_dims: Vec<u32>,
    output: ValueId,
    /// By value id.
    values: Vec<Uses>,
}

/// Where a value comes from and goes to.
#[derive(Clone, Copy, Default)]
struct Uses {
    defined_at: usize,
    n_reads: usize,
    /// Sum of the indices of the nodes that read it: the index, if there is but one read.
    readers: usize,
}

impl<'a> Graph<'a> {
    fn new(plan: &mut Plan, shapes: &'a [Shape]) -> Graph<'a> {
        let taken = core::mem::take(&mut plan.nodes);
        let mut graph = Graph {
            nodes: vec![None; taken.len()],
            shapes,
            k_dims: plan.cache.layers.iter().map(|kv| kv.k_dim).collect(),
            output: plan.output,
            values: vec![Uses::default(); shapes.len()],
        };
        taken.into_iter().enumerate().for_each(|(at, node)| graph.put(at, node));
        graph
    }

    fn put(&mut self, at: usize, node: Node) {
        for out in &node.outs {
            self.values[out.0 as usize].defined_at = at;
        }
        for input in node.op.inputs() {
            let uses = &mut self.values[input.0 as usize];
            (uses.n_reads, uses.readers) = (uses.n_reads + 1, uses.readers + at);
        }
        self.nodes[at] = Some(node);
    }

    fn take(&mut self, at: usize) -> Option<Node> {
        let node = self.nodes[at].take()?;
        for input in node.op.inputs() {
            let uses = &mut self.values[input.0 as usize];
            (uses.n_reads, uses.readers) = (uses.n_reads - 1, uses.readers - at);
        }
        Some(node)
    }

    fn op(&self, at: usize) -> Option<&Op> {
        Some(&self.nodes.get(at)?.as_ref()?.op)
    }

    fn defined_at(&self, value: ValueId) -> usize {
        self.values[value.0 as usize].defined_at
    }

    fn is_unread(&self, value: ValueId) -> bool {
        self.values[value.0 as usize].n_reads == 0 && value != self.output
    }

    /// The one node that reads `value`, once, if no other does and a step does not return it.
    fn only_reader(&self, value: ValueId) -> Option<usize> {
        let uses = self.values[value.0 as usize];
        (uses.n_reads == 1 && value != self.output).then_some(uses.readers)
    }

    /// The project at `at`, if it is nothing but products.
    fn plain(&self, at: usize) -> Option<&Project> {
        match self.op(at)? {
            Op::Project(p) if p.norm.is_none() && p.epilogue == Epilogue::Each => Some(p),
            _ => None,
        }
    }

    /// The project at `at`, if it is nothing but one product.
    fn single(&self, at: usize) -> Option<&Project> {
        self.plain(at).filter(|p| p.mats.len() == 1)
    }
}
