//! The shared workloads, written out in tensor operations: the same shapes and the same arithmetic as the
//! peers' scripts. Attention, normalisation and activations are the library's, as they are in the script for PyTorch.

use chainrule::functions::{AttentionOptions, attention, layer_norm as normalized};
use chainrule::ops::{Pad, Window};
use chainrule::{DType, Rng, Tensor};

/// Parameters made in order, with the distributions of the peers' scripts.
pub struct Parameters {
    /// Leaves with values.
    pub all: Vec<Tensor>,
    rng: Rng,
}

/// A workload: parameters, placeholders for a batch, and the loss.
pub struct Workload {
    /// What is trained.
    pub parameters: Vec<Tensor>,
    /// What a step is given.
    pub inputs: Vec<Tensor>,
    /// Values for the inputs.
    pub batch: Vec<Tensor>,
    /// A scalar.
    pub loss: Tensor,
}

/// A workload whose parameters and data are there, and whose graph is recorded when it is called.
pub type Recording = Box<dyn FnOnce() -> chainrule::Result<Workload>>;

impl Parameters {
    fn new() -> Parameters {
        Parameters { all: Vec::new(), rng: Rng::new(0) }
    }

    fn keep(&mut self, value: Tensor) -> Tensor {
        // Evaluation of a random leaf can only fail for want of memory; the error then travels in the tensor.
        let leaf = value.to_leaf().unwrap_or(value);
        self.all.push(leaf.clone());
        leaf
    }

    fn uniform(&mut self, shape: &[usize], bound: f64) -> Tensor {
        let value = (Tensor::rand(shape, &mut self.rng) * 2.0 - 1.0) * bound;
        self.keep(value)
    }

    fn normal(&mut self, shape: &[usize]) -> Tensor {
        let value = Tensor::randn(shape, &mut self.rng) * 0.02;
        self.keep(value)
    }

    fn full(&mut self, shape: &[usize], value: f64) -> Tensor {
        self.keep(Tensor::full(shape, value, DType::F32))
    }

    fn linear(&mut self, inputs: usize, outputs: usize) -> Linear {
        let w = self.uniform(&[inputs, outputs], 1.0 / (inputs as f64).sqrt());
        Linear { w, b: Some(self.full(&[outputs], 0.0)) }
    }

    fn norm(&mut self, width: usize) -> (Tensor, Tensor) {
        (self.full(&[width], 1.0), self.full(&[width], 0.0))
    }
}

struct Linear {
    w: Tensor,
    b: Option<Tensor>,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Tensor {
        let y = x.matmul(&self.w);
        self.b.as_ref().map_or(y.clone(), |b| y + b)
    }
}

fn layer_norm(x: &Tensor, (gain, bias): &(Tensor, Tensor)) -> Tensor {
    normalized(x, 1, Some(gain), Some(bias), 1e-5)
}

/// The mean over rows of `log(sum(exp(row))) - row[target]`.
fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Tensor {
    let classes = logits.shape()[logits.rank() - 1];
    let rows = logits.len() / classes;
    let (logits, targets) = (logits.reshape([rows, classes]), targets.reshape([rows]));
    let top = logits.max_over(&[-1]).detach();
    let total = (&logits - top.unsqueeze(-1)).exp().sum_over(&[-1]).log() + top;
    let picked = Tensor::record(chainrule::ops::Gather { batch: 1 }, [logits, targets]);
    (total - picked).sum() / rows as f64
}

fn random_inputs(shape: &[usize], rng: &mut Rng) -> (Tensor, Tensor) {
    let batch = Tensor::rand(shape, rng);
    (Tensor::placeholder(shape, DType::F32), batch.to_leaf().unwrap_or(batch))
}

fn random_classes(shape: &[usize], classes: usize, rng: &mut Rng) -> (Tensor, Tensor) {
    let batch = Tensor::randint(shape, classes, rng);
    (Tensor::placeholder(shape, DType::I64), batch.to_leaf().unwrap_or(batch))
}

fn classifier(parameters: Parameters, (x, x_batch): (Tensor, Tensor), (y, y_batch): (Tensor, Tensor), logits: &Tensor) -> Workload {
    let loss = cross_entropy(logits, &y);
    Workload { parameters: parameters.all, inputs: vec![x, y], batch: vec![x_batch, y_batch], loss }
}

/// A fully connected network with ReLU.
pub fn mlp(sizes: &[usize], batch: usize) -> Recording {
    let (mut parameters, mut rng) = (Parameters::new(), Rng::new(1));
    let layers: Vec<Linear> = sizes.windows(2).map(|pair| parameters.linear(pair[0], pair[1])).collect();
    let x = random_inputs(&[batch, sizes[0]], &mut rng);
    let y = random_classes(&[batch], 10, &mut rng);
    Box::new(move || {
        let mut h = x.0.clone();
        for (i, layer) in layers.iter().enumerate() {
            h = layer.forward(&h);
            if i + 1 < layers.len() {
                h = h.relu();
            }
        }
        Ok(classifier(parameters, x, y, &h))
    })
}

/// A 3x3 convolution over images in rows, columns, channels, zeros around; then ReLU, then the
/// maximum of each 2x2 square.
fn conv_pool(x: &Tensor, w: &Tensor, b: &Tensor) -> Tensor {
    let (n, height, width) = (x.shape()[0], x.shape()[1], x.shape()[2]);
    let around = [0, 1, 1, 0].as_slice();
    let padded = Tensor::record(Pad { low: around.into(), high: around.into(), interior: [0; 4].as_slice().into() }, [x.clone()]);
    let pair = |v: usize| [v, v].as_slice().into();
    let patches = Tensor::record(Window { axes: [1, 2].as_slice().into(), sizes: pair(3), strides: pair(1), dilations: pair(1) }, [padded]);
    // Patches are n, h, w, channel, kh, kw.
    let y = (patches.einsum("nhwcij,ijco->nhwo", w) + b).relu();
    let channels = y.shape()[3];
    y.reshape([n, height / 2, 2, width / 2, 2, channels]).max_over(&[2, 4])
}

/// Two convolutions and two linear layers on 28x28 images.
pub fn cnn() -> Recording {
    let (mut parameters, mut rng) = (Parameters::new(), Rng::new(1));
    let mut kernel = |i: usize, o: usize| {
        let w = parameters.uniform(&[3, 3, i, o], 1.0 / (9.0 * i as f64).sqrt());
        (w, parameters.full(&[o], 0.0))
    };
    let (first, second) = (kernel(1, 32), kernel(32, 64));
    let (hidden, last) = (parameters.linear(64 * 49, 128), parameters.linear(128, 10));
    let x = random_inputs(&[64, 28, 28, 1], &mut rng);
    let y = random_classes(&[64], 10, &mut rng);
    Box::new(move || {
        let h = conv_pool(&conv_pool(&x.0, &first.0, &first.1), &second.0, &second.1);
        let logits = last.forward(&hidden.forward(&h.reshape([64, 64 * 49])).relu());
        Ok(classifier(parameters, x, y, &logits))
    })
}

/// Sizes of a small GPT-2.
pub struct Gpt {
    /// Of the vocabulary.
    pub vocabulary: usize,
    /// Blocks.
    pub layers: usize,
    /// Heads of each attention.
    pub heads: usize,
    /// Numbers per token.
    pub width: usize,
    /// Tokens per sequence.
    pub length: usize,
    /// Sequences per batch.
    pub batch: usize,
}

struct Block {
    norms: [(Tensor, Tensor); 2],
    qkv: Linear,
    projection: Linear,
    up: Linear,
    down: Linear,
}

impl Block {
    fn forward(&self, x: &Tensor, sizes: &Gpt) -> Tensor {
        let (b, t, h, d) = (sizes.batch, sizes.length, sizes.heads, sizes.width / sizes.heads);
        let qkv = self.qkv.forward(&layer_norm(x, &self.norms[0])).reshape([b, t, 3, h, d]);
        let part = |i: usize| {
            let slice = chainrule::ops::Slice {
                start: [0, 0, i, 0, 0].as_slice().into(),
                stop: [b, t, i + 1, h, d].as_slice().into(),
                step: [1; 5].as_slice().into(),
            };
            Tensor::record(slice, [qkv.clone()]).reshape([b, t, h, d])
        };
        let heads = |i: usize| part(i).permute([0, 2, 1, 3]);
        let options = AttentionOptions { causal: true, ..AttentionOptions::default() };
        let mixed = attention(&heads(0), &heads(1), &heads(2), &options).permute([0, 2, 1, 3]).reshape([b, t, h * d]);
        let x = x + self.projection.forward(&mixed);
        let up = self.up.forward(&layer_norm(&x, &self.norms[1])).gelu_tanh();
        &x + self.down.forward(&up)
    }
}

/// A small GPT-2: pre-norm blocks, causal attention, GELU.
pub fn gpt(sizes: Gpt) -> Recording {
    let (mut p, mut rng) = (Parameters::new(), Rng::new(1));
    let d = sizes.width;
    let (tokens, positions) = (p.normal(&[sizes.vocabulary, d]), p.normal(&[sizes.length, d]));
    let blocks: Vec<Block> = (0..sizes.layers)
        .map(|_| Block {
            norms: [p.norm(d), p.norm(d)],
            qkv: p.linear(d, 3 * d),
            projection: p.linear(d, d),
            up: p.linear(d, 4 * d),
            down: p.linear(4 * d, d),
        })
        .collect();
    let norm = p.norm(d);
    let head = Linear { w: p.uniform(&[d, sizes.vocabulary], 1.0 / (d as f64).sqrt()), b: None };
    let shape = [sizes.batch, sizes.length];
    let (x, y) = (random_classes(&shape, sizes.vocabulary, &mut rng), random_classes(&shape, sizes.vocabulary, &mut rng));
    Box::new(move || {
        let mut h = tokens.gather(&x.0) + positions;
        for block in &blocks {
            h = block.forward(&h, &sizes);
        }
        let logits = head.forward(&layer_norm(&h, &norm));
        Ok(classifier(p, x, y, &logits))
    })
}

/// An LSTM over 64 steps; its last state is classified.
pub fn lstm() -> Recording {
    let (mut p, mut rng) = (Parameters::new(), Rng::new(1));
    let (wi, wh, b) = (p.uniform(&[64, 1024], 1.0 / 16.0), p.uniform(&[256, 1024], 1.0 / 16.0), p.uniform(&[1024], 1.0 / 16.0));
    let out = p.linear(256, 10);
    let x = random_inputs(&[32, 64, 64], &mut rng);
    let y = random_classes(&[32], 10, &mut rng);
    Box::new(move || {
        let xi = x.0.permute([1, 0, 2]).matmul(&wi) + b;
        let part = |t: &Tensor, axis: usize, from: usize, to: usize| {
            let mut slice =
                chainrule::ops::Slice { start: vec![0; t.rank()].into(), stop: t.shape().into(), step: vec![1; t.rank()].into() };
            (slice.start[axis], slice.stop[axis]) = (from, to);
            Tensor::record(slice, [t.clone()])
        };
        let (mut h, mut c) = (Tensor::zeros([32, 256]), Tensor::zeros([32, 256]));
        for step in 0..64 {
            let gates = part(&xi, 0, step, step + 1).reshape([32, 1024]) + h.matmul(&wh);
            let gate = |i: usize| part(&gates, 1, i * 256, (i + 1) * 256);
            c = gate(2).sigmoid() * c + gate(0).sigmoid() * gate(1).tanh();
            h = gate(3).sigmoid() * c.tanh();
        }
        let logits = out.forward(&h);
        Ok(classifier(p, x, y, &logits))
    })
}

/// The loss of a physics-informed network for Burgers' equation: `mean((u_t + u u_x - 0.01 u_xx)^2)`
/// over 2,000 points.
pub fn pinn() -> Recording {
    let (mut p, mut rng) = (Parameters::new(), Rng::new(1));
    let layers: Vec<Linear> = [2, 50, 50, 50, 1].windows(2).map(|pair| p.linear(pair[0], pair[1])).collect();
    let (x, batch) = random_inputs(&[2000, 2], &mut rng);
    Box::new(move || {
        let mut u = x.clone();
        for (i, layer) in layers.iter().enumerate() {
            u = layer.forward(&u);
            if i + 1 < layers.len() {
                u = u.tanh();
            }
        }
        let along = |axis: usize| {
            let unit = Tensor::from_slice(&[(axis == 0) as u8 as f32, (axis == 1) as u8 as f32], [1, 2]);
            unit.broadcast_to([2000, 2])
        };
        let [along_x, along_t] = [along(0), along(1)];
        let moved = |y: &Tensor, along: &Tensor| chainrule::transform::jvp(&[y], &[&x], &[along]).map(|mut t| t.swap_remove(0));
        let (ut, ux) = (moved(&u, &along_t)?, moved(&u, &along_x)?);
        let uxx = moved(&ux, &along_x)?;
        let loss = (ut + &u * ux - uxx * 0.01).square().sum() / 2000.0;
        Ok(Workload { parameters: p.all, inputs: vec![x], batch: vec![batch], loss })
    })
}
