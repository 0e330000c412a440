//! A transformer that predicts the next token: pre-norm blocks as in GPT-2 (Radford et al., 2019).

use super::{Dropout, Embedding, LayerNorm, Linear, Mode, Module, mistake};
use chainrule_engine::functions::{AttentionOptions, attention};
use chainrule_engine::{DType, ErrorKind, Rng, Tensor, scope};

/// Self-attention of several heads (Vaswani et al., 2017): `[batch, time, width]` to the same shape.
#[derive(Clone, Debug, Module)]
pub struct MultiHeadAttention {
    /// Queries, keys and values of all heads, in this order: `width` to `3 width`.
    pub qkv: Linear,
    /// `width` to `width`.
    pub projection: Linear,
    /// How many heads share the width.
    pub heads: usize,
    /// Whether a position sees only itself and those before it.
    pub causal: bool,
}

impl MultiHeadAttention {
    /// Causal attention of `heads` heads, each of `width / heads`.
    #[track_caller]
    pub fn new(width: usize, heads: usize, rng: &mut Rng) -> MultiHeadAttention {
        MultiHeadAttention { qkv: Linear::new(width, 3 * width, rng), projection: Linear::new(width, width, rng), heads, causal: true }
    }

    /// `[batch, time, width]` to the same shape.
    #[track_caller]
    pub fn forward(&self, x: &Tensor) -> Tensor {
        let qkv = scope("qkv", || self.qkv.forward(x));
        let &[batch, time, triple] = qkv.shape() else {
            return self.misfit(&qkv, x);
        };
        let width = triple / 3;
        if self.heads == 0 || width % self.heads != 0 || triple % 3 != 0 {
            return self.misfit(&qkv, x);
        }
        let split = qkv.reshape([batch, time, 3, self.heads, width / self.heads]);
        // [3, batch, heads, time, width of a head]: each of the three lies in one piece.
        let split = split.permute([2, 0, 3, 1, 4]);
        let [q, k, v] = [0, 1, 2].map(|part| split.at(part));
        let options = AttentionOptions { causal: self.causal, ..Default::default() };
        let y = attention(&q, &k, &v, &options);
        let y = y.permute([0, 2, 1, 3]).reshape([batch, time, width]);
        scope("projection", || self.projection.forward(&y))
    }

    #[track_caller]
    fn misfit(&self, qkv: &Tensor, x: &Tensor) -> Tensor {
        if qkv.error().is_some() {
            return qkv.clone();
        }
        let message = format!(
            "{} heads over an input of {:?}: it must be [batch, time, width], its width divisible by the heads",
            self.heads,
            x.shape()
        );
        mistake(ErrorKind::Shape, "attention", message)
    }
}

/// Attention, then two layers with GELU between, each on a normalised copy that is added back.
#[derive(Clone, Debug, Module)]
pub struct TransformerBlock {
    /// Before attention.
    pub norm1: LayerNorm,
    /// Between positions.
    pub attention: MultiHeadAttention,
    /// Before the two layers.
    pub norm2: LayerNorm,
    /// `width` to `4 width`.
    pub expand: Linear,
    /// `4 width` to `width`.
    pub contract: Linear,
    /// On what is added back.
    pub dropout: Dropout,
}

impl TransformerBlock {
    /// A causal block without dropout.
    #[track_caller]
    pub fn new(width: usize, heads: usize, rng: &mut Rng) -> TransformerBlock {
        TransformerBlock {
            norm1: LayerNorm::new(width),
            attention: MultiHeadAttention::new(width, heads, rng),
            norm2: LayerNorm::new(width),
            expand: Linear::new(width, 4 * width, rng),
            contract: Linear::new(4 * width, width, rng),
            dropout: Dropout::new(0.0),
        }
    }

    /// `[batch, time, width]` to the same shape.
    #[track_caller]
    pub fn forward(&self, x: &Tensor, mode: &mut Mode<'_>) -> Tensor {
        let normal = scope("norm1", || self.norm1.forward(x));
        let attended = scope("attention", || self.attention.forward(&normal));
        let x = x + self.dropout.forward(&attended, mode);
        let normal = scope("norm2", || self.norm2.forward(&x));
        let wide = scope("expand", || self.expand.forward(&normal)).gelu_tanh();
        let narrow = scope("contract", || self.contract.forward(&wide));
        x + self.dropout.forward(&narrow, mode)
    }
}

/// The sizes of a [`Gpt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GptSizes {
    /// How many tokens there are.
    pub vocabulary: usize,
    /// The longest sequence.
    pub context: usize,
    /// Numbers per position between blocks.
    pub width: usize,
    /// Heads per block; divides the width.
    pub heads: usize,
    /// How many blocks.
    pub blocks: usize,
}

/// Logits of the next token at each position of a sequence.
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::nn::transformer::GptSizes;
/// let sizes = GptSizes { vocabulary: 11, context: 8, width: 12, heads: 3, blocks: 2 };
/// let model = Gpt::new(sizes, &mut Rng::new(0));
/// let logits = model.forward(&Tensor::from_slice(&[1i64, 7, 10, 0, 0, 2], [2, 3]), &mut Mode::Evaluate);
/// assert_eq!(logits.shape(), [2, 3, 11]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Gpt {
    /// What a token means.
    pub token: Embedding,
    /// What its place means.
    pub position: Embedding,
    /// In the order in which they are applied.
    pub blocks: Vec<TransformerBlock>,
    /// After the last block.
    pub norm: LayerNorm,
    /// `width` to logits, without bias.
    pub head: Linear,
}

impl Gpt {
    /// A model with its first weights, f32.
    #[track_caller]
    pub fn new(sizes: GptSizes, rng: &mut Rng) -> Gpt {
        let GptSizes { vocabulary, context, width, heads, blocks } = sizes;
        Gpt {
            token: Embedding::new(vocabulary, width, rng),
            position: Embedding::new(context, width, rng),
            blocks: (0..blocks).map(|_| TransformerBlock::new(width, heads, rng)).collect(),
            norm: LayerNorm::new(width),
            head: Linear::without_bias(width, vocabulary, rng),
        }
    }

    /// `[batch, time]` of i64 or i32 to `[batch, time, vocabulary]`.
    #[track_caller]
    pub fn forward(&self, tokens: &Tensor, mode: &mut Mode<'_>) -> Tensor {
        let token = scope("token", || self.token.forward(tokens));
        let &[_, time, _] = token.shape() else {
            return match token.error() {
                Some(_) => token,
                None => mistake(ErrorKind::Shape, "gpt", format!("tokens of shape {:?} are not [batch, time]", tokens.shape())),
            };
        };
        let place = scope("position", || self.position.forward(&Tensor::arange(time, DType::I64)));
        let mut x = token + place;
        for (at, block) in self.blocks.iter().enumerate() {
            x = scope(&format!("blocks.{at}"), || block.forward(&x, mode));
        }
        let x = scope("norm", || self.norm.forward(&x));
        scope("head", || self.head.forward(&x))
    }
}
