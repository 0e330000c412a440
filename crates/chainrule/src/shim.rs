//! (stand-ins until the engine has them)
use chainrule_engine::*;
use chainrule_engine::ops::Slice;

pub trait Extra {
    fn relu(&self) -> Tensor;
    fn silu(&self) -> Tensor;
    fn gelu(&self) -> Tensor;
    fn gelu_tanh(&self) -> Tensor;
    fn mean(&self) -> Tensor;
    fn layer_norm(&self, w: &Tensor, b: &Tensor, eps: f64) -> Tensor;
    fn select_index(&self, axis: usize, i: usize) -> Tensor;
    fn attention(&self, k: &Tensor, v: &Tensor, causal: bool) -> Tensor;
    fn cross_entropy(&self, labels: &Tensor) -> Tensor;
}
fn mean_last(x: &Tensor) -> Tensor {
    (x.sum_over(&[-1]) / x.shape()[x.rank() - 1] as f64).unsqueeze(-1)
}
impl Extra for Tensor {
    fn relu(&self) -> Tensor { self.maximum(&self.zeros_like()) }
    fn silu(&self) -> Tensor { self * self.sigmoid() }
    fn gelu(&self) -> Tensor { 0.5 * self * (1.0 + (self * 0.5f64.sqrt()).erf()) }
    fn gelu_tanh(&self) -> Tensor {
        0.5 * self * (1.0 + ((self + 0.044715 * self.powf(3.0)) * (2.0 / std::f64::consts::PI).sqrt()).tanh())
    }
    fn mean(&self) -> Tensor { self.sum() / self.len() as f64 }
    fn layer_norm(&self, w: &Tensor, b: &Tensor, eps: f64) -> Tensor {
        if self.error().is_some() { return self.clone(); }
        let c = self - mean_last(self);
        &c / (mean_last(&c.square()) + eps).sqrt() * w + b
    }
    fn select_index(&self, axis: usize, i: usize) -> Tensor {
        let r = self.rank();
        let s = Slice {
            start: (0..r).map(|a| if a == axis { i } else { 0 }).collect(),
            stop: (0..r).map(|a| if a == axis { i + 1 } else { self.shape()[a] }).collect(),
            step: (0..r).map(|_| 1).collect(),
        };
        Tensor::record(s, [self.clone()]).squeeze(axis as isize)
    }
    fn attention(&self, k: &Tensor, v: &Tensor, _causal: bool) -> Tensor {
        let d = self.shape()[3] as f64;
        let t = self.shape()[2];
        let s = self.einsum("bhtd,bhsd->bhts", k) / d.sqrt();
        let i = Tensor::arange(t, DType::I64);
        let ok = i.unsqueeze(0).less_equal(&i.unsqueeze(1));
        let s = ok.select(&s, &Tensor::full((), -1e30, DType::F32));
        let e = (&s - s.max_over(&[-1]).detach().unsqueeze(-1)).exp();
        let p = &e / e.sum_over(&[-1]).unsqueeze(-1);
        p.einsum("bhts,bhsd->bhtd", v)
    }
    fn cross_entropy(&self, labels: &Tensor) -> Tensor {
        let m = self.max_over(&[-1]).detach().unsqueeze(-1);
        let s = self - m;
        let lse = s.exp().sum_over(&[-1]).log();
        let c = self.shape()[self.rank() - 1];
        let hot = labels.unsqueeze(-1).equal(&Tensor::arange(c, labels.dtype()));
        let picked = hot.select(&s, &s.zeros_like()).sum_over(&[-1]);
        (lse - picked).mean()
    }
}

use chainrule_engine::transform::walk::Walk;
use std::collections::HashMap;

pub struct Runtime;
pub struct Step {
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    updates: Vec<(Tensor, Tensor)>,
    values: Vec<Tensor>,
    last: Vec<Tensor>,
}
impl Step {
    pub fn capture(inputs: &[&Tensor], outputs: &[&Tensor], updates: &[(&Tensor, &Tensor)]) -> Result<Step> {
        for t in outputs.iter().copied().chain(updates.iter().map(|u| u.1)) { t.check()?; }
        let own = |t: &[&Tensor]| t.iter().map(|&t| t.clone()).collect();
        Ok(Step {
            inputs: own(inputs), outputs: own(outputs),
            updates: updates.iter().map(|u| (u.0.clone(), u.1.clone())).collect(),
            values: updates.iter().map(|u| u.0.to_leaf()).collect::<Result<_>>()?,
            last: vec![],
        })
    }
    pub fn capture_on(_: &Runtime, inputs: &[&Tensor], outputs: &[&Tensor], updates: &[(&Tensor, &Tensor)]) -> Result<Step> {
        Step::capture(inputs, outputs, updates)
    }
    pub fn run(&mut self, inputs: &[&Tensor]) -> Result<()> {
        let mut map: HashMap<u64, Tensor> = HashMap::new();
        for (p, v) in self.inputs.iter().zip(inputs) { assert_eq!(p.ty(), v.ty()); map.insert(p.id(), (*v).clone()); }
        for ((leaf, _), v) in self.updates.iter().zip(&self.values) { map.insert(leaf.id(), v.clone()); }
        let roots: Vec<&Tensor> = self.outputs.iter().chain(self.updates.iter().map(|u| &u.1)).collect();
        let walk = Walk::new(roots.iter().copied(), |_| true);
        for node in &walk.nodes {
            if map.contains_key(&node.id()) { continue; }
            let new = if node.inputs().is_empty() { node.clone() } else {
                Tensor::record(node.op().clone(), node.inputs().iter().map(|i| map[&i.id()].clone()).collect::<Vec<_>>())
            };
            map.insert(node.id(), new);
        }
        let news: Vec<&Tensor> = roots.iter().map(|r| &map[&r.id()]).collect();
        Tensor::eval_all(&news)?;
        let mut leaves: Vec<Tensor> = news.iter().map(|t| t.to_leaf()).collect::<Result<_>>()?;
        self.values = leaves.split_off(self.outputs.len());
        self.last = leaves;
        Ok(())
    }
    pub fn output(&self, i: usize) -> Tensor { self.last[i].clone() }
    pub fn item(&self, i: usize) -> f64 { self.last[i].item().unwrap() }
    pub fn state(&self, i: usize) -> Tensor { self.values[i].clone() }
}
