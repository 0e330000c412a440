//! Which values of a body belong to which stage.
//!
//! Refuses to record anything: positions in the body, no tensors.

use crate::compile::kernel::Binary;
use crate::ops::body::BodyNode;
use crate::ops::{Body, Op, Scan};

/// What is computed when.
pub struct Division {
    /// Products of parts of sequences, for all steps before the first.
    pub before: Vec<usize>,
    /// Of each carry, what is added to it for all steps together; `None` if it is no sum.
    pub sums: Vec<Option<Sums>>,
    /// For each result after the carries, whether it is computed after the steps.
    pub later: Vec<bool>,
    /// What each step hands out for what is computed after the steps.
    pub handed: Vec<usize>,
    /// Bytes of a step that wait between the stages.
    pub bytes: usize,
}

/// A carry that is only added to.
#[derive(Default)]
pub struct Sums {
    /// What is added at every step.
    pub stays: Vec<usize>,
    /// What is added once for all steps.
    pub moves: Vec<Term>,
}

impl Sums {
    /// Terms that are added at every step after all.
    fn keep(&mut self, terms: Vec<Term>) {
        self.stays.extend(terms.iter().map(|term| *term.moved.last().unwrap_or(&term.core)));
    }
}

/// A contraction whose sum over all steps is one contraction.
pub struct Term {
    /// A product or a sum over axes.
    pub core: usize,
    /// Which of its operands differ from step to step.
    pub varies: Vec<bool>,
    /// Movements that are applied to it, first to last.
    pub moved: Vec<usize>,
}

/// What is known of a body's nodes.
struct Analysis<'a> {
    body: &'a Body,
    nodes: &'a [BodyNode],
    /// Whether it depends on a carry.
    carried: Vec<bool>,
    /// Whether it depends on a carry or a part.
    varies: Vec<bool>,
    /// Whether it and all that it varies by are plain.
    plain: Vec<bool>,
    /// How many nodes and results use it.
    uses: Vec<u32>,
}

/// Whether an operation may be done for several steps at once.
fn is_plain(op: &Op) -> bool {
    op.bodies().is_empty() && !matches!(op, Op::HostCall(_) | Op::Random(_) | Op::Barrier(_))
}

impl Analysis<'_> {
    fn of(scan: &Scan) -> Analysis<'_> {
        let (body, nodes) = (&scan.body, scan.body.nodes());
        let count = body.input_types().len();
        let (mut carried, mut varies, mut plain): (Vec<bool>, Vec<bool>, Vec<bool>) = Default::default();
        for (at, node) in nodes.iter().enumerate() {
            let any = |list: &[bool]| node.inputs.iter().any(|&input| list[input as usize]);
            let (own_carry, own_part) = (at < scan.carries, at < scan.carries + scan.sequences);
            let input = at < count;
            carried.push(if input { own_carry } else { any(&carried) });
            varies.push(if input { own_part } else { any(&varies) });
            let all_plain = node.inputs.iter().all(|&input| plain[input as usize] || !varies[input as usize]);
            plain.push(input || (is_plain(&node.op) && all_plain));
        }
        let mut uses = vec![0; nodes.len()];
        nodes.iter().flat_map(|node| &node.inputs).chain(body.outputs()).for_each(|&at| uses[at as usize] += 1);
        Analysis { body, nodes, carried, varies, plain, uses }
    }

    fn is_product(&self, at: usize) -> bool {
        matches!(self.nodes[at].op, Op::Einsum(_))
    }

    fn bytes(&self, at: usize) -> usize {
        let ty = &self.nodes[at].ty;
        ty.len().saturating_mul(ty.dtype.bytes())
    }

    /// Marks what some nodes are made of, and them.
    fn mark(&self, roots: impl IntoIterator<Item = usize>, marked: &mut [bool]) {
        let mut open: Vec<usize> = roots.into_iter().collect();
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut marked[at], true) {
                open.extend(self.nodes[at].inputs.iter().map(|&input| input as usize));
            }
        }
    }

    /// What is added to a carry at every step, if it is only added to.
    fn addends(&self, carry: usize) -> Option<Vec<usize>> {
        let root = self.body.outputs()[carry] as usize;
        let is_sum = |at: usize| matches!(self.nodes[at].op, Op::Binary(Binary::Add)) && self.uses[at] == 1;
        if !is_sum(root) || self.uses[carry] != 1 || !self.nodes[carry].ty.dtype.is_float() {
            return None;
        }
        let (mut terms, mut open) = (Vec::new(), vec![root]);
        while let Some(at) = open.pop() {
            match is_sum(at) {
                true => open.extend(self.nodes[at].inputs.iter().rev().map(|&input| input as usize)),
                false => terms.push(at),
            }
        }
        let own = terms.iter().position(|&term| term == carry)?;
        terms.remove(own);
        Some(terms)
    }

    /// A contraction, perhaps moved.
    fn term(&self, mut at: usize) -> Option<Term> {
        let mut moved = Vec::new();
        loop {
            if !self.varies[at] || !is_plain(&self.nodes[at].op) {
                return None;
            }
            match self.nodes[at].op {
                Op::Einsum(_) | Op::Sum(_) => {
                    moved.reverse();
                    let varies = self.nodes[at].inputs.iter().map(|&input| self.varies[input as usize]).collect();
                    return Some(Term { core: at, varies, moved });
                }
                Op::Permute(_) | Op::Reshape(_) => {
                    moved.push(at);
                    at = self.nodes[at].inputs[0] as usize;
                }
                _ => return None,
            }
        }
    }
}

impl Division {
    /// How a loop is divided, if there is anything to gain.
    pub fn of(scan: &Scan) -> Option<Division> {
        let known = Analysis::of(scan);
        let (nodes, carries) = (known.nodes, scan.carries);
        let outputs: Vec<usize> = known.body.outputs().iter().map(|&at| at as usize).collect();
        let mut sums: Vec<Option<Sums>> = (0..carries).map(|carry| known.sums(carry)).collect();

        // What is done step by step: what the carries need, and what cannot be done for several steps at once.
        let roots = (0..carries).flat_map(|carry| match &sums[carry] {
            Some(sums) => sums.stays.clone(),
            None => vec![outputs[carry]],
        });
        let mut stepwise = vec![false; nodes.len()];
        known.mark(roots.chain((0..nodes.len()).filter(|&at| !is_plain(&nodes[at].op))), &mut stepwise);
        // A term that a carry needs besides is there at every step.
        for sums in sums.iter_mut().flatten() {
            let (stays, moves) = std::mem::take(&mut sums.moves).into_iter().partition(|term| stepwise[term.core]);
            sums.keep(stays);
            sums.moves = moves;
        }
        let before: Vec<usize> = (0..nodes.len()).filter(|&at| known.is_early(at)).collect();
        let mut after = vec![false; nodes.len()];
        for at in 0..nodes.len() {
            let follows = nodes[at].inputs.iter().any(|&input| after[input as usize]);
            after[at] = follows || (known.is_product(at) && known.varies[at] && !stepwise[at]);
        }
        let later: Vec<bool> = outputs[carries..].iter().map(|&at| after[at]).collect();

        // What that reads of a step.
        let mut handed = Handed { known: &known, after: &after, list: Vec::new() };
        outputs[carries..].iter().zip(&later).filter(|(_, later)| **later).for_each(|(&at, _)| handed.reach(at));
        let products = sums.iter().flatten().flat_map(|sums| &sums.moves).filter(|term| known.is_product(term.core));
        let operands: Vec<usize> = products.flat_map(|term| &nodes[term.core].inputs).map(|&at| at as usize).collect();
        operands.into_iter().for_each(|at| handed.reach(at));
        for sums in sums.iter_mut().flatten() {
            let (moves, stays): (Vec<Term>, Vec<Term>) = std::mem::take(&mut sums.moves).into_iter().partition(|term| {
                let operand = nodes[term.core].inputs[0] as usize;
                known.is_product(term.core) || after[operand] || handed.has(operand)
            });
            sums.keep(stays);
            sums.moves = moves;
        }
        sums.iter_mut().for_each(|sums| *sums = sums.take().filter(|sums| !sums.moves.is_empty()));
        let handed = handed.list;
        let gains = !before.is_empty() || later.contains(&true) || sums.iter().any(Option::is_some);
        let early = before.iter().map(|&at| known.bytes(at));
        let late = (0..nodes.len()).filter(|&at| after[at] && known.is_product(at) && !known.is_term(&sums, at)).map(|at| known.bytes(at));
        let bytes = handed.iter().map(|&at| known.bytes(at)).chain(early).chain(late).fold(0, usize::saturating_add);
        gains.then_some(Division { before, sums, later, handed, bytes })
    }
}

impl Analysis<'_> {
    /// The terms of a carry that is only added to.
    fn sums(&self, carry: usize) -> Option<Sums> {
        let mut sums = Sums::default();
        for at in self.addends(carry)? {
            match self.term(at) {
                Some(term) => sums.moves.push(term),
                None => sums.stays.push(at),
            }
        }
        Some(sums)
    }

    /// Whether a product is of parts of sequences alone.
    fn is_early(&self, at: usize) -> bool {
        self.is_product(at) && self.varies[at] && !self.carried[at] && self.plain[at]
    }

    fn is_term(&self, sums: &[Option<Sums>], at: usize) -> bool {
        sums.iter().flatten().flat_map(|sums| &sums.moves).any(|term| term.core == at)
    }
}

/// What steps hand out, as it is found.
struct Handed<'a> {
    known: &'a Analysis<'a>,
    after: &'a [bool],
    list: Vec<usize>,
}

impl Handed<'_> {
    /// What a value is made of after the steps: what is no more computed there, but handed out.
    fn sources(&self, at: usize) -> Vec<usize> {
        let (mut open, mut found) = (vec![at], Vec::new());
        while let Some(at) = open.pop() {
            let moves = matches!(self.known.nodes[at].op, Op::Permute(_) | Op::Reshape(_) | Op::Broadcast(_));
            if !self.known.varies[at] || (!self.known.carried[at] && self.known.plain[at]) {
                continue;
            }
            if self.after[at] || moves {
                open.extend(self.known.nodes[at].inputs.iter().map(|&input| input as usize));
            } else if !found.contains(&at) {
                found.push(at);
            }
        }
        found
    }

    fn reach(&mut self, at: usize) {
        for source in self.sources(at) {
            if !self.list.contains(&source) {
                self.list.push(source);
            }
        }
    }

    /// Whether all that a value is made of is handed out anyway.
    fn has(&self, at: usize) -> bool {
        self.sources(at).iter().all(|source| self.list.contains(source))
    }
}
