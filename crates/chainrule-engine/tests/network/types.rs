//! Every function in every float type, and of no examples at all.

use crate::check::{close, random, values};
use chainrule_engine::functions::loss::*;
use chainrule_engine::functions::*;
use chainrule_engine::{DType, Tensor};

/// Stands for the number of examples.
const N: usize = 7;

type Function = (&'static str, &'static [&'static [usize]], fn(&[Tensor]) -> Tensor);

fn classes(t: &Tensor) -> Tensor {
    Tensor::full([t.shape()[0]], 1.0, DType::I64)
}

fn lists(t: &Tensor) -> Tensor {
    Tensor::full(t.shape(), 0.0, DType::I64)
}

fn weights(t: &[Tensor]) -> LossOptions {
    LossOptions { reduction: Reduction::None, weight: Some(t[1].sigmoid()), ..Default::default() }
}

fn cell(t: &[Tensor]) -> CellWeights {
    CellWeights::new(t[1].clone(), t[2].clone())
}

fn sized(mode: Interpolation) -> InterpolateOptions {
    InterpolateOptions { mode, scale: Some(vec![1.5]), ..Default::default() }
}

#[rustfmt::skip]
const FUNCTIONS: &[Function] = &[
    ("mse", &[&[N, 3], &[N, 3]], |t| mse_each(&t[0], &t[1])),
    ("l1", &[&[N, 3], &[N, 3]], |t| l1_each(&t[0], &t[1])),
    ("huber", &[&[N, 3], &[N, 3]], |t| huber_each(&t[0], &t[1], 0.7)),
    ("smooth_l1", &[&[N, 3], &[N, 3]], |t| smooth_l1_each(&t[0], &t[1], 0.7)),
    ("poisson_nll", &[&[N, 3], &[N, 3]], |t| poisson_nll_each(&t[0], &t[1].abs(), &Default::default())),
    ("gaussian_nll", &[&[N, 3], &[N, 3], &[N, 1]], |t| gaussian_nll_each(&t[0], &t[1], &t[2].abs(), &Default::default())),
    ("cross_entropy", &[&[N, 3], &[3]], |t| cross_entropy_with(&t[0], &classes(&t[0]), &weights(t))),
    ("nll", &[&[N, 3], &[3]], |t| nll_with(&t[0], &classes(&t[0]), &weights(t))),
    ("distributions", &[&[N, 3], &[3], &[N, 3]], |t| cross_entropy_of_distributions_with(&t[0], &t[2].sigmoid(), &weights(t))),
    ("kl_div", &[&[N, 3], &[N, 3]], |t| kl_div_each(&t[0], &t[1].sigmoid())),
    ("kl_div_of_logs", &[&[N, 3], &[N, 3]], |t| kl_div_of_logs_each(&t[0], &t[1])),
    ("bce", &[&[N, 3], &[3], &[N, 3]], |t| bce_with(&t[0].sigmoid(), &t[2].sigmoid(), &weights(t))),
    ("bce_with_logits", &[&[N, 3], &[3], &[N, 3]], |t| bce_with_logits_with(&t[0], &t[2].sigmoid(), &weights(t))),
    ("soft_margin", &[&[N, 3], &[N, 3]], |t| soft_margin_each(&t[0], &t[1].sign())),
    ("focal", &[&[N, 3], &[N, 3]], |t| focal_each(&t[0], &t[1].sigmoid(), 2.0, Some(0.3))),
    ("hinge", &[&[N, 3], &[N, 3]], |t| hinge_each(&t[0], &t[1].sign())),
    ("squared_hinge", &[&[N, 3], &[N, 3]], |t| squared_hinge_each(&t[0], &t[1].sign())),
    ("margin_ranking", &[&[N, 3], &[N, 3]], |t| margin_ranking_each(&t[0], &t[1], &t[1].sign(), 0.5)),
    ("hinge_embedding", &[&[N, 3], &[N, 3]], |t| hinge_embedding_each(&t[0], &t[1].sign(), 0.5)),
    ("multi_margin", &[&[N, 3]], |t| multi_margin_each(&t[0], &classes(&t[0]), &Default::default())),
    ("multilabel_margin", &[&[N, 3]], |t| multilabel_margin_each(&t[0], &lists(&t[0]))),
    ("multilabel_soft_margin", &[&[N, 3], &[N, 3]], |t| multilabel_soft_margin_each(&t[0], &t[1].sigmoid())),
    ("cosine_embedding", &[&[N, 3], &[N, 3], &[N]], |t| cosine_embedding_each(&t[0], &t[1], &t[2].sign(), 0.0)),
    ("triplet_margin", &[&[N, 3], &[N, 3], &[N, 3]], |t| triplet_margin_each(&t[0], &t[1], &t[2], &Default::default())),
    ("ctc", &[&[N, 4, 3]], |t| {
        let n = t[0].shape()[0];
        let all = |value: f64, shape: &[usize]| Tensor::full(shape, value, DType::I64);
        ctc_each(&t[0].transpose(0, 1).log_softmax(-1), &all(1.0, &[n, 2]), &all(4.0, &[n]), &all(1.0, &[n]), &Default::default())
    }),
    ("conv3d", &[&[N, 2, 3, 3, 3], &[2, 2, 2, 2, 2]], |t| conv3d(&t[0], &t[1], &Default::default())),
    ("conv_transpose3d", &[&[N, 2, 3, 2, 2], &[2, 2, 2, 2, 2]], |t| conv_transpose3d(&t[0], &t[1], &Default::default())),
    ("max_pool1d", &[&[N, 2, 5]], |t| max_pool1d(&t[0], &PoolOptions { padding: [1], ceil_mode: true, ..PoolOptions::new([2]) })),
    ("avg_pool1d", &[&[N, 2, 5]], |t| avg_pool1d(&t[0], &PoolOptions { padding: [1], ceil_mode: true, ..PoolOptions::new([2]) })),
    ("max_pool3d", &[&[N, 2, 3, 3, 2]], |t| max_pool3d(&t[0], &PoolOptions::new([2; 3]))),
    ("avg_pool3d", &[&[N, 2, 3, 3, 2]], |t| avg_pool3d(&t[0], &PoolOptions { stride: [1; 3], ..PoolOptions::new([2; 3]) })),
    ("lp_pool2d", &[&[N, 2, 3, 3]], |t| lp_pool2d(&t[0], 2.0, &PoolOptions { stride: [1; 2], ..PoolOptions::new([2; 2]) })),
    ("max_unpool2d", &[&[N, 2, 4, 4]], |t| {
        let options = PoolOptions::new([2; 2]);
        let (largest, places) = max_pool2d_with_indices(&t[0], &options);
        max_unpool2d(&largest, &places, &options, None)
    }),
    ("adaptive_avg_pool2d", &[&[N, 2, 5, 3]], |t| adaptive_avg_pool2d(&t[0], [3, 2], Layout::ChannelsFirst)),
    ("adaptive_max_pool2d", &[&[N, 2, 5, 3]], |t| adaptive_max_pool2d(&t[0], [3, 4], Layout::ChannelsFirst)),
    ("global_avg_pool", &[&[N, 2, 5, 3]], |t| global_avg_pool(&t[0], Layout::ChannelsFirst)),
    ("global_max_pool", &[&[N, 5, 3, 2]], |t| global_max_pool(&t[0], Layout::ChannelsLast)),
    ("group_norm", &[&[N, 4, 3], &[4]], |t| group_norm(&t[0], 1, 2, Some(&t[1]), None, 1e-3)),
    ("instance_norm", &[&[N, 4, 3], &[4]], |t| instance_norm(&t[0], 1, Some(&t[1]), None, 1e-3)),
    ("layer_norm", &[&[N, 4], &[4]], |t| layer_norm(&t[0], 1, Some(&t[1]), None, 1e-3)),
    ("rms_norm", &[&[N, 4], &[4]], |t| rms_norm(&t[0], 1, Some(&t[1]), 1e-3)),
    ("batch_norm_with", &[&[N, 4], &[4], &[4]], |t| batch_norm_with(&t[0], 1, &t[1], &t[2].abs(), None, None, 1e-3)),
    ("local_response_norm", &[&[N, 4, 2]], |t| local_response_norm(&t[0], 1, 3, 0.5, 0.75, 1.0)),
    ("attention", &[&[N, 4, 3, 2], &[N, 2, 5, 2], &[N, 2, 5, 3]], |t| {
        let options = AttentionOptions { causal: true, grouped: true, from_start: true, soft_cap: Some(2.0), ..Default::default() };
        attention(&t[0], &t[1], &t[2], &options)
    }),
    ("rotary_embedding", &[&[N, 3, 4]], |t| rotary_embedding(&t[0], &Default::default())),
    ("rnn_tanh_cell", &[&[N, 2], &[3, 2], &[3, 3], &[N, 3]], |t| rnn_tanh_cell(&t[0], &t[3], &cell(t))),
    ("gru_cell", &[&[N, 2], &[9, 2], &[9, 3], &[N, 3]], |t| gru_cell(&t[0], &t[3], &cell(t))),
    ("lstm_cell", &[&[N, 2], &[12, 2], &[12, 3], &[N, 3], &[N, 3]], |t| lstm_cell(&t[0], &t[3], &t[4], &cell(t)).0),
    ("recurrent", &[&[N, 3, 2], &[9, 2], &[9, 3]], |t| {
        let sequence = Sequence { batch_first: true, reverse: true, lengths: Some(classes(&t[0])) };
        recurrent(Cell::GruResetFirst, &t[0], None, &cell(t), &sequence).0
    }),
    ("interpolate nearest", &[&[N, 2, 3, 4]], |t| interpolate(&t[0], &sized(Interpolation::Nearest))),
    ("interpolate linear", &[&[N, 2, 3, 4]], |t| interpolate(&t[0], &sized(Interpolation::Linear))),
    ("interpolate cubic", &[&[N, 2, 3, 4]], |t| interpolate(&t[0], &sized(Interpolation::Cubic))),
    ("interpolate area", &[&[N, 2, 3, 4]], |t| interpolate(&t[0], &sized(Interpolation::Area))),
    ("grid_sample", &[&[N, 2, 3, 4], &[N, 2, 2, 2]], |t| grid_sample(&t[0], &t[1], &Default::default())),
    ("affine_grid", &[&[N, 2, 3]], |t| affine_grid(&t[0], &[2, 3], true)),
    ("pixel_shuffle", &[&[N, 4, 2, 1]], |t| pixel_shuffle(&t[0], 2)),
    ("pixel_unshuffle", &[&[N, 2, 2, 4]], |t| pixel_unshuffle(&t[0], 2)),
    ("unfold", &[&[N, 2, 3, 3]], |t| unfold(&t[0], &UnfoldOptions { padding: [1, 0], ..UnfoldOptions::new([2, 2]) })),
    ("fold", &[&[N, 8, 4]], |t| fold(&t[0], [3, 3], &UnfoldOptions::new([2, 2]))),
];

fn inputs(shapes: &[&[usize]], n: usize, dtype: DType) -> Vec<Tensor> {
    let shape = |own: &[usize]| own.iter().map(|&size| if size == N { n } else { size }).collect::<Vec<_>>();
    shapes.iter().enumerate().map(|(i, own)| random(&shape(own), 1 + i as u64).cast(dtype)).collect()
}

/// Each gives its own type, and what it gives in double precision of the same numbers; and so does each gradient.
#[test]
fn every_float_type() {
    for &(name, shapes, f) in FUNCTIONS {
        for (dtype, tolerance) in [(DType::F32, 2e-5), (DType::F16, 0.02), (DType::BF16, 0.1)] {
            let narrow = inputs(shapes, N, dtype);
            let wide: Vec<Tensor> = narrow.iter().map(|t| t.cast(DType::F64).to_leaf().unwrap()).collect();
            let (got, want) = (f(&narrow), f(&wide));
            assert_eq!(got.dtype(), dtype, "{name}");
            close(&format!("{name}, {dtype}"), &values(&got), &values(&want), tolerance);
            let slopes = |y: &Tensor, x: &[Tensor]| y.sum().grad_or_zeros(&x.iter().collect::<Vec<_>>()).unwrap();
            for (i, (got, want)) in slopes(&got, &narrow).iter().zip(slopes(&want, &wide)).enumerate() {
                assert_eq!(got.dtype(), dtype, "{name}");
                close(&format!("{name}, {dtype}, gradient {i}"), &values(got), &values(&want), 4.0 * tolerance);
            }
        }
    }
}

/// No examples give no results, gradients of no numbers, and zeros for what all examples share.
#[test]
fn no_examples() {
    for &(name, shapes, f) in FUNCTIONS {
        let (none, some) = (inputs(shapes, 0, DType::F64), inputs(shapes, N, DType::F64));
        let y = f(&none);
        y.check().unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected: Vec<usize> = f(&some).shape().iter().map(|&size| if size == N { 0 } else { size }).collect();
        assert_eq!((y.shape(), values(&y).len()), (&expected[..], 0), "{name}");
        for (x, slope) in none.iter().zip(y.sum().grad_or_zeros(&none.iter().collect::<Vec<_>>()).unwrap()) {
            assert_eq!(values(&slope), vec![0.0; x.len()], "{name}");
        }
    }
}
