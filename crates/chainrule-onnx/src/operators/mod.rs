//! The operators: a table of names and versions, and a file for each family.
//!
//! An operator takes a [`Call`] and records what it means with chainrule's functions. None has a derivative rule of its
//! own: derivatives are those of what it is made of.

mod activation;
mod attention;
mod control;
mod conv;
mod elementwise;
mod host;
mod indexing;
mod linear;
mod loss;
mod norm;
mod pool;
mod quantized;
mod recurrent;
mod reduction;
mod resize;
mod sampling;
mod sequence;
mod shape;
mod signal;
mod source;
mod text;
mod training;
mod windows;

use crate::error::{Error, Result};
use crate::record::{Call, Value};
use chainrule::Tensor;

/// An operator that can be recorded.
pub struct Operator {
    /// Its name, such as `Conv`.
    pub name: &'static str,
    /// The domain of its operator set; ONNX's own is empty.
    pub domain: &'static str,
    /// The versions of the operator set that changed it, all of which are known.
    pub since: &'static [i64],
    pub(crate) record: fn(&Call) -> Result<Vec<Value>>,
}

const fn row(name: &'static str, domain: &'static str, since: &'static [i64], record: fn(&Call) -> Result<Vec<Value>>) -> Operator {
    Operator { name, domain, since, record }
}

/// The newest version of each operator set that this table was made for: ONNX 1.22.
const NEWEST: &[(&str, i64)] = &[("", 27), ("ai.onnx.ml", 5), ("ai.onnx.preview", 1), ("ai.onnx.preview.training", 1)];

/// All operators that are known.
///
/// ```
/// let conv = chainrule_onnx::OPERATORS.iter().find(|operator| operator.name == "Conv").unwrap();
/// assert_eq!(conv.since, [1, 11, 22]);
/// ```
#[rustfmt::skip]
pub static OPERATORS: &[Operator] = &[
    // Functions of single elements.
    row("Abs", "", &[1, 6, 13], |c| elementwise::unary(c, Tensor::abs)),
    row("Neg", "", &[1, 6, 13], |c| elementwise::unary(c, elementwise::negate)),
    row("Sign", "", &[9, 13], |c| elementwise::unary(c, Tensor::sign)),
    row("Ceil", "", &[1, 6, 13], |c| elementwise::unary(c, Tensor::ceil)),
    row("Floor", "", &[1, 6, 13], |c| elementwise::unary(c, Tensor::floor)),
    row("Round", "", &[11, 22], |c| elementwise::unary(c, Tensor::round)),
    row("Sqrt", "", &[1, 6, 13], |c| elementwise::unary(c, Tensor::sqrt)),
    row("Reciprocal", "", &[1, 6, 13], |c| elementwise::unary(c, elementwise::reciprocal)),
    row("Exp", "", &[1, 6, 13], |c| elementwise::unary(c, Tensor::exp)),
    row("Log", "", &[1, 6, 13], |c| elementwise::unary(c, Tensor::log)),
    row("Sin", "", &[7, 22], |c| elementwise::unary(c, Tensor::sin)),
    row("Cos", "", &[7, 22], |c| elementwise::unary(c, Tensor::cos)),
    row("Tan", "", &[7, 22], |c| elementwise::unary(c, Tensor::tan)),
    row("Sinh", "", &[9, 22], |c| elementwise::unary(c, Tensor::sinh)),
    row("Cosh", "", &[9, 22], |c| elementwise::unary(c, Tensor::cosh)),
    row("Tanh", "", &[1, 6, 13], |c| elementwise::unary(c, Tensor::tanh)),
    row("Asin", "", &[7, 22], |c| elementwise::unary(c, Tensor::asin)),
    row("Acos", "", &[7, 22], |c| elementwise::unary(c, Tensor::acos)),
    row("Atan", "", &[7, 22], |c| elementwise::unary(c, Tensor::atan)),
    row("Asinh", "", &[9, 22], |c| elementwise::unary(c, Tensor::asinh)),
    row("Acosh", "", &[9, 22], |c| elementwise::unary(c, Tensor::acosh)),
    row("Atanh", "", &[9, 22], |c| elementwise::unary(c, Tensor::atanh)),
    row("Erf", "", &[9, 13], |c| elementwise::unary(c, Tensor::erf)),
    row("IsNaN", "", &[9, 13, 20], |c| elementwise::unary(c, Tensor::is_nan)),
    row("IsInf", "", &[10, 20], elementwise::is_infinite),
    row("Not", "", &[1], |c| elementwise::unary(c, |x| !x)),
    row("Add", "", &[1, 6, 7, 13, 14], |c| elementwise::binary(c, |a, b| a + b)),
    row("Sub", "", &[1, 6, 7, 13, 14], |c| elementwise::binary(c, |a, b| a - b)),
    row("Mul", "", &[1, 6, 7, 13, 14], |c| elementwise::binary(c, |a, b| a * b)),
    row("Div", "", &[1, 6, 7, 13, 14], |c| elementwise::binary(c, |a, b| a / b)),
    row("Mod", "", &[10, 13], elementwise::modulo),
    row("Pow", "", &[1, 7, 12, 13, 15], elementwise::power),
    row("And", "", &[1, 7], |c| elementwise::binary(c, Tensor::and)),
    row("Or", "", &[1, 7], |c| elementwise::binary(c, Tensor::or)),
    row("Xor", "", &[1, 7], |c| elementwise::binary(c, elementwise::exclusive_or)),
    row("BitwiseAnd", "", &[18], |c| elementwise::binary(c, Tensor::and)),
    row("BitwiseOr", "", &[18], |c| elementwise::binary(c, Tensor::or)),
    row("BitwiseXor", "", &[18], |c| elementwise::binary(c, Tensor::xor)),
    row("BitwiseNot", "", &[18], |c| elementwise::unary(c, |x| !x)),
    row("BitShift", "", &[11], elementwise::shift),
    row("Equal", "", &[1, 7, 11, 13, 19], |c| match c.value(0)?.as_texts() {
        Some(_) => text::equal(c),
        None => elementwise::binary(c, Tensor::equal),
    }),
    row("Less", "", &[1, 7, 9, 13], |c| elementwise::binary(c, Tensor::less)),
    row("LessOrEqual", "", &[12, 16], |c| elementwise::binary(c, Tensor::less_equal)),
    row("Greater", "", &[1, 7, 9, 13], |c| elementwise::binary(c, Tensor::greater)),
    row("GreaterOrEqual", "", &[12, 16], |c| elementwise::binary(c, Tensor::greater_equal)),
    row("Max", "", &[1, 6, 8, 12, 13], elementwise::maximum),
    row("Min", "", &[1, 6, 8, 12, 13], elementwise::minimum),
    row("Sum", "", &[1, 6, 8, 13], elementwise::sum),
    row("Mean", "", &[1, 6, 8, 13], elementwise::mean),
    row("Clip", "", &[1, 6, 11, 12, 13], elementwise::clip),
    row("Cast", "", &[1, 6, 9, 13, 19, 21, 23, 24, 25], elementwise::cast),
    row("CastLike", "", &[15, 19, 21, 23, 24, 25], elementwise::cast_like),
    row("Where", "", &[9, 16], elementwise::choose),
    // Activations.
    row("Relu", "", &[1, 6, 13, 14], |c| elementwise::unary(c, Tensor::relu)),
    row("LeakyRelu", "", &[1, 6, 16], activation::leaky_relu),
    row("PRelu", "", &[1, 6, 7, 9, 16], activation::prelu),
    row("ThresholdedRelu", "", &[10, 22], activation::thresholded_relu),
    row("Elu", "", &[1, 6, 22], activation::elu),
    row("Celu", "", &[12], activation::celu),
    row("Selu", "", &[1, 6, 22], activation::selu),
    row("Gelu", "", &[20], activation::gelu),
    row("Mish", "", &[18, 22], |c| elementwise::unary(c, Tensor::mish)),
    row("Swish", "", &[24], activation::swish),
    row("Sigmoid", "", &[1, 6, 13], |c| elementwise::unary(c, Tensor::sigmoid)),
    row("HardSigmoid", "", &[1, 6, 22], activation::hard_sigmoid),
    row("HardSwish", "", &[14, 22], |c| elementwise::unary(c, Tensor::hard_swish)),
    row("Softplus", "", &[1, 22], |c| elementwise::unary(c, Tensor::softplus)),
    row("Softsign", "", &[1, 22], |c| elementwise::unary(c, Tensor::softsign)),
    row("Shrink", "", &[9], activation::shrink),
    row("Softmax", "", &[1, 11, 13], activation::softmax),
    row("LogSoftmax", "", &[1, 11, 13], activation::log_softmax),
    row("Hardmax", "", &[1, 11, 13], activation::hardmax),
    row("Dropout", "", &[1, 6, 7, 10, 12, 13, 22], activation::dropout),
    // Reductions.
    row("ReduceSum", "", &[1, 11, 13], reduction::sum),
    row("ReduceMean", "", &[1, 11, 13, 18], reduction::mean),
    row("ReduceProd", "", &[1, 11, 13, 18], reduction::product),
    row("ReduceMax", "", &[1, 11, 12, 13, 18, 20], reduction::maximum),
    row("ReduceMin", "", &[1, 11, 12, 13, 18, 20], reduction::minimum),
    row("ReduceL1", "", &[1, 11, 13, 18], reduction::l1),
    row("ReduceL2", "", &[1, 11, 13, 18], reduction::l2),
    row("ReduceSumSquare", "", &[1, 11, 13, 18], reduction::sum_square),
    row("ReduceLogSum", "", &[1, 11, 13, 18], reduction::log_sum),
    row("ReduceLogSumExp", "", &[1, 11, 13, 18], reduction::log_sum_exp),
    row("ArgMax", "", &[1, 11, 12, 13], reduction::arg_max),
    row("ArgMin", "", &[1, 11, 12, 13], reduction::arg_min),
    row("CumSum", "", &[11, 14], reduction::cumulative_sum),
    row("CumProd", "", &[26], reduction::cumulative_product),
    // Shapes.
    row("Identity", "", &[1, 13, 14, 16, 19, 21, 23, 24, 25], shape::identity),
    row("Shape", "", &[1, 13, 15, 19, 21, 23, 24, 25], shape::shape),
    row("Size", "", &[1, 13, 19, 21, 23, 24, 25], shape::count),
    row("Reshape", "", &[1, 5, 13, 14, 19, 21, 23, 24, 25], shape::reshape),
    row("Flatten", "", &[1, 9, 11, 13, 21, 23, 24, 25], shape::flatten),
    row("Squeeze", "", &[1, 11, 13, 21, 23, 24, 25], shape::squeeze),
    row("Unsqueeze", "", &[1, 11, 13, 21, 23, 24, 25], shape::unsqueeze),
    row("Transpose", "", &[1, 13, 21, 23, 24, 25], shape::transpose),
    row("Expand", "", &[8, 13], shape::expand),
    row("Concat", "", &[1, 4, 11, 13], shape::concat),
    row("Split", "", &[1, 2, 11, 13, 18], shape::split),
    row("Slice", "", &[1, 10, 11, 13], shape::slice),
    row("Tile", "", &[1, 6, 13], shape::tile),
    row("Pad", "", &[1, 2, 11, 13, 18, 19, 21, 23, 24, 25], indexing::pad),
    row("DepthToSpace", "", &[1, 11, 13], shape::depth_to_space),
    row("SpaceToDepth", "", &[1, 13], shape::space_to_depth),
    row("CenterCropPad", "", &[18], shape::center_crop_pad),
    row("ReverseSequence", "", &[10], shape::reverse_sequence),
    row("Trilu", "", &[14], shape::triangle),
    // Constants and random numbers.
    row("Constant", "", &[1, 9, 11, 12, 13, 19, 21, 23, 24, 25], source::constant),
    row("ConstantOfShape", "", &[9, 20, 21, 23, 24, 25], source::constant_of_shape),
    row("Range", "", &[11, 27], source::range),
    row("EyeLike", "", &[9, 22], source::eye_like),
    row("OneHot", "", &[9, 11], source::one_hot),
    row("RandomNormal", "", &[1, 22], source::random_normal),
    row("RandomNormalLike", "", &[1, 22], source::random_normal_like),
    row("RandomUniform", "", &[1, 22], source::random_uniform),
    row("RandomUniformLike", "", &[1, 22], source::random_uniform_like),
    row("Bernoulli", "", &[15, 22], source::bernoulli),
    row("Multinomial", "", &[7, 22], source::multinomial),
    // Indexing.
    row("Gather", "", &[1, 11, 13], indexing::gather),
    row("GatherElements", "", &[11, 13], indexing::gather_elements),
    row("GatherND", "", &[11, 12, 13], indexing::gather_nd),
    row("Scatter", "", &[9, 11], indexing::scatter_elements),
    row("ScatterElements", "", &[11, 13, 16, 18], indexing::scatter_elements),
    row("ScatterND", "", &[11, 13, 16, 18], indexing::scatter_nd),
    row("TensorScatter", "", &[24], indexing::tensor_scatter),
    row("NonZero", "", &[9, 13], indexing::non_zero),
    row("Compress", "", &[9, 11], indexing::compress),
    row("TopK", "", &[1, 10, 11, 24], indexing::top_k),
    row("Unique", "", &[11], indexing::unique),
    row("NonMaxSuppression", "", &[10, 11], indexing::non_max_suppression),
    // Products.
    row("MatMul", "", &[1, 9, 13], linear::matmul),
    row("Gemm", "", &[1, 6, 7, 9, 11, 13], linear::gemm),
    row("Einsum", "", &[12], linear::einsum),
    row("Det", "", &[11, 22], linear::determinant),
    // Convolution and pooling.
    row("Conv", "", &[1, 11, 22], conv::conv),
    row("ConvTranspose", "", &[1, 11, 22], conv::conv_transpose),
    row("CausalConvWithState", "", &[27], conv::causal_conv_with_state),
    row("MaxPool", "", &[1, 8, 10, 11, 12, 22], pool::max_pool),
    row("AveragePool", "", &[1, 7, 10, 11, 19, 22], pool::average_pool),
    row("LpPool", "", &[1, 2, 11, 18, 22], pool::lp_pool),
    row("GlobalMaxPool", "", &[1, 22], pool::global_max_pool),
    row("GlobalAveragePool", "", &[1, 22], pool::global_average_pool),
    row("GlobalLpPool", "", &[1, 2, 22], pool::global_lp_pool),
    row("MaxUnpool", "", &[9, 11, 22], pool::max_unpool),
    row("Col2Im", "", &[18], pool::col2im),
    // Normalisation.
    row("BatchNormalization", "", &[1, 6, 7, 9, 14, 15], norm::batch_normalization),
    row("InstanceNormalization", "", &[1, 6, 22], norm::instance_normalization),
    row("GroupNormalization", "", &[18, 21], norm::group_normalization),
    row("LayerNormalization", "", &[17], norm::layer_normalization),
    row("RMSNormalization", "", &[23], norm::rms_normalization),
    row("LpNormalization", "", &[1, 22], norm::lp_normalization),
    row("MeanVarianceNormalization", "", &[9, 13], norm::mean_variance_normalization),
    row("LRN", "", &[1, 13], norm::local_response),
    // Losses.
    row("NegativeLogLikelihoodLoss", "", &[12, 13, 22], loss::negative_log_likelihood),
    row("SoftmaxCrossEntropyLoss", "", &[12, 13], loss::softmax_cross_entropy),
    // Recurrent cells and attention.
    row("RNN", "", &[1, 7, 14, 22], recurrent::rnn),
    row("GRU", "", &[1, 3, 7, 14, 22], recurrent::gru),
    row("LSTM", "", &[1, 7, 14, 22], recurrent::lstm),
    row("Attention", "", &[23, 24], attention::attention),
    row("FlexAttention", "ai.onnx.preview", &[1], attention::flex_attention),
    row("LinearAttention", "", &[27], attention::linear_attention),
    row("RotaryEmbedding", "", &[23], attention::rotary_embedding),
    // Graphs in nodes, sequences, optionals.
    row("If", "", &[1, 11, 13, 16, 19, 21, 23, 24, 25], control::choice),
    row("Loop", "", &[1, 11, 13, 16, 19, 21, 23, 24, 25], control::repeat),
    row("Scan", "", &[8, 9, 11, 16, 19, 21, 23, 24, 25], control::scan),
    row("SequenceMap", "", &[17], control::sequence_map),
    row("SequenceEmpty", "", &[11], sequence::empty),
    row("SequenceConstruct", "", &[11], sequence::construct),
    row("SequenceAt", "", &[11], sequence::at),
    row("SequenceLength", "", &[11], sequence::length),
    row("SequenceInsert", "", &[11], sequence::insert),
    row("SequenceErase", "", &[11], sequence::erase),
    row("ConcatFromSequence", "", &[11], sequence::concat),
    row("SplitToSequence", "", &[11, 24], sequence::split),
    row("Optional", "", &[15], sequence::optional),
    row("OptionalHasElement", "", &[15, 18], sequence::has_element),
    row("OptionalGetElement", "", &[15, 18], sequence::get_element),
    // Training.
    row("Adagrad", "ai.onnx.preview.training", &[1], training::adagrad),
    row("Adam", "ai.onnx.preview.training", &[1], training::adam),
    row("Momentum", "ai.onnx.preview.training", &[1], training::momentum),
    row("Gradient", "ai.onnx.preview.training", &[1], training::gradient),
    // Images.
    row("Resize", "", &[10, 11, 13, 18, 19], resize::resize),
    row("Upsample", "", &[1, 7, 9, 10], resize::upsample),
    row("GridSample", "", &[16, 20, 22], sampling::grid_sample),
    row("AffineGrid", "", &[20], sampling::affine_grid),
    row("RoiAlign", "", &[10, 16, 22], sampling::roi_align),
    row("DeformConv", "", &[19, 22], sampling::deform_conv),
    // What is evaluated while recording.
    row("BitCast", "", &[26], host::bit_cast),
    row("TfIdfVectorizer", "", &[9], host::tf_idf),
    row("ArrayFeatureExtractor", "ai.onnx.ml", &[1], host::feature_extractor),
    row("Binarizer", "ai.onnx.ml", &[1], host::binarizer),
    // Strings.
    row("StringNormalizer", "", &[10], text::normalize),
    row("StringConcat", "", &[20], text::concat),
    row("StringSplit", "", &[20], text::split),
    // Signals.
    row("DFT", "", &[17, 20], signal::dft),
    row("STFT", "", &[17], signal::stft),
    row("HannWindow", "", &[17], signal::hann_window),
    row("HammingWindow", "", &[17], signal::hamming_window),
    row("BlackmanWindow", "", &[17], signal::blackman_window),
    row("MelWeightMatrix", "", &[17], signal::mel_weight_matrix),
    // Bytes.
    row("QuantizeLinear", "", &[10, 13, 19, 21, 23, 24, 25], quantized::quantize),
    row("DequantizeLinear", "", &[10, 13, 19, 21, 23, 24, 25], quantized::dequantize),
    row("DynamicQuantizeLinear", "", &[11], quantized::quantize_dynamically),
    row("MatMulInteger", "", &[10], quantized::matmul_integer),
    row("ConvInteger", "", &[10], quantized::conv_integer),
    row("QLinearMatMul", "", &[10, 21], quantized::qlinear_matmul),
    row("QLinearConv", "", &[10], quantized::qlinear_conv),
];

/// The operator of this name, and the version of it that an operator set has.
pub fn find(domain: &str, name: &str, opset: i64) -> Result<(&'static Operator, i64)> {
    let Some(operator) = OPERATORS.iter().find(|row| row.name == name && row.domain == domain) else {
        return Err(Error::unsupported(unknown(domain, name)));
    };
    let newest = NEWEST.iter().find(|(known, _)| *known == domain).map_or(i64::MAX, |(_, version)| *version);
    if opset > newest {
        let message = format!("operator set {opset} is newer than those known, up to {newest}; store the model with an older one");
        return Err(Error::unsupported(message));
    }
    match operator.since.iter().rev().find(|&&since| since <= opset) {
        Some(&version) => Ok((operator, version)),
        None => {
            let first = operator.since.first().copied().unwrap_or(0);
            Err(Error::unsupported(format!("the operator is there since operator set {first}, and the model asks for {opset}")))
        }
    }
}

/// What is said of an operator that is not in the table.
fn unknown(domain: &str, name: &str) -> String {
    let elsewhere = OPERATORS.iter().find(|row| row.name == name && row.domain != domain);
    match elsewhere {
        Some(row) => format!("no operator '{name}' of the domain '{domain}' is known, but one of '{}'", row.domain),
        None => "the operator is not known; those that are known are listed by chainrule_onnx::OPERATORS".into(),
    }
}
