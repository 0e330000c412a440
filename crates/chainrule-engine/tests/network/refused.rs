//! What does not fit is a mistake that names the function and the line.

use crate::check::{f, i, line_of_mistake};
use chainrule_engine::functions::loss::*;
use chainrule_engine::functions::*;
use chainrule_engine::{DType, Tensor};

macro_rules! refused {
    ($test:ident: $($name:literal: $call:expr;)*) => {
        #[test]
        fn $test() {
            let mut lines = Vec::new();
            $({
                let tensor: Tensor = $call;
                lines.push(line_of_mistake($name, stringify!($call), &tensor, file!()));
            })*
            // Every call has a line of its own, and they come in this order.
            assert!(lines.windows(2).all(|pair| pair[0] < pair[1]), "{lines:?}");
        }
    };
}

fn weighed(weight: Tensor) -> LossOptions {
    LossOptions { weight: Some(weight), ..Default::default() }
}

refused! { losses:
    "cross_entropy": cross_entropy_with(&f(&[2, 3]), &i(&[2]), &weighed(f(&[2])));
    "cross_entropy": cross_entropy_with(&f(&[2, 3]), &i(&[2]), &weighed(i(&[3])));
    "cross_entropy": cross_entropy_with(&f(&[2, 3]), &i(&[2]), &LossOptions { pos_weight: Some(f(&[3])), ..Default::default() });
    "cross_entropy": cross_entropy_with(&f(&[2, 3]), &i(&[3]), &weighed(f(&[3])));
    "nll": nll_with(&f(&[2, 3]), &i(&[2]), &LossOptions { label_smoothing: 0.1, ..Default::default() });
    "cross_entropy_of_distributions": cross_entropy_of_distributions_with(&f(&[2, 3]), &f(&[2, 3]), &weighed(f(&[2])));
    "cross_entropy_of_distributions": cross_entropy_of_distributions_with(&f(&[2, 3]), &f(&[2, 4]), &weighed(f(&[3])));
    "kl_div_of_logs": kl_div_of_logs(&f(&[2, 3]), &f(&[2, 4]));
    "bce_with_logits": bce_with_logits_with(&f(&[2, 3]), &f(&[2, 3]), &weighed(f(&[2])));
    "bce_with_logits": bce_with_logits_with(&f(&[2, 3]), &f(&[3]), &weighed(f(&[3])));
    "bce": bce_with(&f(&[2, 3]), &f(&[2, 3]), &LossOptions { pos_weight: Some(f(&[3])), ..Default::default() });
    "soft_margin": soft_margin(&f(&[2, 3]), &f(&[3]));
    "focal": focal(&f(&[2]), &f(&[2]), -1.0, None);
    "focal": focal(&f(&[2]), &f(&[2]), 1.0, Some(2.0));
    "focal": focal(&f(&[2]), &f(&[3]), 1.0, None);
    "poisson_nll": poisson_nll(&f(&[2]), &f(&[2]), &PoissonNllOptions { eps: -1.0, ..Default::default() });
    "gaussian_nll": gaussian_nll(&f(&[2]), &f(&[2]), &f(&[2]), &GaussianNllOptions { eps: 0.0, ..Default::default() });
    "gaussian_nll": gaussian_nll(&f(&[2]), &f(&[2]), &f(&[3]), &Default::default());
    "gaussian_nll": gaussian_nll(&f(&[2]), &f(&[3]), &f(&[2]), &Default::default());
    "hinge": hinge(&f(&[2]), &f(&[3]));
    "squared_hinge": squared_hinge(&f(&[2]), &i(&[2]));
    "margin_ranking": margin_ranking(&f(&[2]), &f(&[2]), &f(&[3]), 0.0);
    "margin_ranking": margin_ranking(&f(&[2]), &f(&[2]), &f(&[2]), f64::NAN);
    "hinge_embedding": hinge_embedding(&f(&[2]), &f(&[2]), f64::INFINITY);
    "multi_margin": multi_margin(&f(&[2, 3]), &i(&[2]), &MarginOptions { p: 3, ..Default::default() });
    "multi_margin": multi_margin(&f(&[2, 3]), &i(&[2]), &MarginOptions { weight: Some(f(&[2])), ..Default::default() });
    "multi_margin": multi_margin(&f(&[2, 3]), &f(&[2]), &Default::default());
    "multilabel_margin": multilabel_margin(&f(&[2, 3]), &i(&[2]));
    "multilabel_margin": multilabel_margin(&f(&[2, 3]), &f(&[2, 3]));
    "multilabel_margin": multilabel_margin(&f(&[]), &i(&[]));
    "multilabel_soft_margin": multilabel_soft_margin(&f(&[2, 0]), &f(&[2, 0]));
    "multilabel_soft_margin": multilabel_soft_margin_with(&f(&[2, 3]), &f(&[2, 3]), &weighed(f(&[2])));
    "cosine_embedding": cosine_embedding(&f(&[2, 3]), &f(&[2, 3]), &f(&[3]), 0.0);
    "cosine_embedding": cosine_embedding(&f(&[]), &f(&[]), &f(&[]), 0.0);
    "triplet_margin": triplet_margin(&f(&[2, 3]), &f(&[2, 3]), &f(&[2, 4]), &Default::default());
    "triplet_margin": triplet_margin(&f(&[2, 3]), &f(&[2, 3]), &f(&[2, 3]), &TripletOptions { p: 0.5, ..Default::default() });
    "triplet_margin": triplet_margin(&f(&[2, 0]), &f(&[2, 0]), &f(&[2, 0]), &Default::default());
    "ctc": ctc(&f(&[3, 2, 4]), &i(&[2, 1]), &i(&[2]), &i(&[3]), &Default::default());
    "ctc": ctc(&f(&[3, 2, 4]), &f(&[2, 1]), &i(&[2]), &i(&[2]), &Default::default());
    "ctc": ctc(&f(&[3, 2, 4]), &i(&[2, 1]), &i(&[2]), &i(&[2]), &CtcOptions { blank: 4, ..Default::default() });
    "ctc": ctc(&f(&[0, 2, 4]), &i(&[2, 1]), &i(&[2]), &i(&[2]), &Default::default());
    "ctc": ctc_each(&i(&[3, 2, 4]), &i(&[2, 1]), &i(&[2]), &i(&[2]), &Default::default());
}

refused! { pools:
    "conv3d": conv3d(&f(&[1, 2, 4, 4]), &f(&[1, 2, 3, 3, 3]), &Default::default());
    "conv3d": conv3d(&f(&[1, 2, 4, 4, 4]), &f(&[1, 2, 3, 5, 3]), &Default::default());
    "conv_transpose3d": conv_transpose3d(&f(&[1, 2, 4, 4, 4]), &f(&[1, 2, 3, 3, 3]), &Default::default());
    "max_pool3d": max_pool3d(&f(&[1, 2, 4, 4]), &PoolOptions::new([2; 3]));
    "max_pool3d": max_pool3d(&i(&[1, 2, 4, 4, 4]), &PoolOptions::new([2; 3]));
    "avg_pool3d": avg_pool3d(&f(&[1, 2, 4, 1, 4]), &PoolOptions::new([2; 3]));
    "avg_pool2d": avg_pool2d(&f(&[1, 2, 4, 4]), &PoolOptions { divisor: Some(0), ..PoolOptions::new([2; 2]) });
    "avg_pool2d": avg_pool2d(&f(&[1, 2, 4, 4]), &PoolOptions { dilation: [1, 0], ..PoolOptions::new([2; 2]) });
    "max_pool1d": max_pool1d(&f(&[1, 2, 4]), &PoolOptions { dilation: [4], ..PoolOptions::new([2]) });
    "lp_pool1d": lp_pool1d(&f(&[1, 2, 4]), 0.0, &PoolOptions::new([2]));
    "lp_pool2d": lp_pool2d(&f(&[1, 2, 4, 4]), f64::INFINITY, &PoolOptions::new([2; 2]));
    "lp_pool3d": lp_pool3d(&f(&[1, 2, 4, 4, 4]), 2.0, &PoolOptions { divisor: Some(2), ..PoolOptions::new([2; 3]) });
    "max_pool2d_with_indices": max_pool2d_with_indices(&f(&[1, 2, 4]), &PoolOptions::new([2; 2])).0;
    "max_pool1d_with_indices": max_pool1d_with_indices(&f(&[1, 2, 1]), &PoolOptions::new([2])).1;
    "max_unpool1d": max_unpool1d(&f(&[1, 2, 3]), &f(&[1, 2, 3]), &PoolOptions::new([2]), None);
    "max_unpool2d": max_unpool2d(&f(&[1, 2, 3, 3]), &i(&[1, 2, 3, 4]), &PoolOptions::new([2; 2]), None);
    "max_unpool3d": max_unpool3d(&f(&[1, 2, 3, 3]), &i(&[1, 2, 3, 3]), &PoolOptions::new([2; 3]), None);
    "max_unpool1d": max_unpool1d(&f(&[1, 2, 1]), &i(&[1, 2, 1]), &PoolOptions { padding: [9], ..PoolOptions::new([2]) }, None);
    "adaptive_avg_pool1d": adaptive_avg_pool1d(&f(&[1, 2, 3]), [0], Layout::ChannelsFirst);
    "adaptive_max_pool2d": adaptive_max_pool2d(&f(&[1, 2, 0, 3]), [1, 1], Layout::ChannelsFirst);
    "adaptive_avg_pool3d": adaptive_avg_pool3d(&i(&[1, 2, 3, 3, 3]), [1; 3], Layout::ChannelsFirst);
    "global_avg_pool": global_avg_pool(&f(&[2, 3]), Layout::ChannelsFirst);
    "global_max_pool": global_max_pool(&f(&[2, 3, 0]), Layout::ChannelsFirst);
}

fn rnn() -> CellWeights {
    CellWeights::new(f(&[4, 2]), f(&[4, 4]))
}

fn lstm_state(hidden: &[usize], cell: &[usize]) -> CellState {
    CellState { hidden: f(hidden), cell: Some(f(cell)) }
}

fn running(width: usize) -> RunningStatistics {
    RunningStatistics::new(width, DType::F32)
}

refused! { sequences:
    "batch_norm": running(3).after(&batch_norm(&f(&[1, 3]), 1, None, None, 1e-5), 0.1).mean;
    "batch_norm": running(2).after(&batch_norm(&f(&[4, 3]), 1, None, None, 1e-5), 0.1).variance;
    "batch_norm": running(3).after(&batch_norm(&f(&[4, 3]), 1, None, None, 1e-5), 1.1).mean;
    "instance_norm": instance_norm(&f(&[2, 3, 4]), 0, None, None, 1e-5);
    "instance_norm": instance_norm(&f(&[2, 3, 4]), 1, Some(&f(&[4])), None, 1e-5);
    "local_response_norm": local_response_norm(&f(&[2, 3, 4]), 1, 0, 1.0, 1.0, 1.0);
    "local_response_norm": local_response_norm(&f(&[2, 3, 4]), 1, 2, f64::NAN, 1.0, 1.0);
    "local_response_norm": local_response_norm(&i(&[2, 3, 4]), 1, 2, 1.0, 1.0, 1.0);
    "attention": attention(&f(&[3, 2, 3]), &f(&[2, 2, 3]), &f(&[2, 2, 3]), &AttentionOptions { grouped: true, ..Default::default() });
    "attention": attention(&f(&[4, 2, 3]), &f(&[2, 2, 3]), &f(&[1, 2, 3]), &AttentionOptions { grouped: true, ..Default::default() });
    "attention": attention(&f(&[2, 3]), &f(&[2, 3]), &f(&[2, 3]), &AttentionOptions { grouped: true, ..Default::default() });
    "attention": attention(&f(&[2, 3]), &f(&[2, 3]), &f(&[2, 3]), &AttentionOptions { soft_cap: Some(0.0), ..Default::default() });
    "attention": attention(&f(&[2, 3]), &f(&[2, 3]), &f(&[2, 3]), &AttentionOptions { dropout: Some((1.0, i(&[]))), ..Default::default() });
    "attention_weights": attention_weights(&f(&[2, 3]), &f(&[2, 3]), &AttentionOptions { dropout: Some((0.5, f(&[]))), ..Default::default() });
    "attention_weights": attention_weights(&f(&[3, 2, 3]), &f(&[2, 2, 3]), &AttentionOptions { grouped: true, ..Default::default() });
    "rotary_embedding": rotary_embedding(&f(&[2, 3]), &Default::default());
    "rotary_embedding": rotary_embedding(&f(&[4]), &Default::default());
    "rotary_embedding": rotary_embedding(&f(&[2, 4]), &RotaryOptions { width: Some(6), ..Default::default() });
    "rotary_embedding": rotary_embedding(&f(&[2, 4]), &RotaryOptions { base: 0.0, ..Default::default() });
    "rotary_embedding": rotary_embedding(&f(&[2, 4]), &RotaryOptions { positions: Some(i(&[3])), ..Default::default() });
    "rotary_embedding": rotary_embedding(&f(&[2, 4]), &RotaryOptions { positions: Some(i(&[2, 2])), ..Default::default() });
    "alibi_bias": alibi_bias(2, 3, 3, DType::I64);
    "rnn_tanh_cell": rnn_tanh_cell(&f(&[3, 3]), &f(&[3, 4]), &rnn());
    "rnn_tanh_cell": rnn_tanh_cell(&f(&[3, 2]), &f(&[2, 4]), &rnn());
    "rnn_relu_cell": rnn_relu_cell(&f(&[3, 2]), &f(&[3, 4]), &CellWeights { peepholes: Some(f(&[3, 4])), ..rnn() });
    "gru_cell": gru_cell(&f(&[3, 2]), &f(&[3, 4]), &rnn());
    "gru_cell_reset_first": gru_cell_reset_first(&f(&[3, 2]), &f(&[3, 4]), &CellWeights::new(f(&[12, 2]), f(&[9, 4])));
    "lstm_cell": lstm_cell(&f(&[3, 2]), &f(&[3, 1]), &f(&[3, 4]), &rnn()).0;
    "lstm_cell": lstm_cell(&f(&[3, 2]), &f(&[3, 1]), &f(&[3, 1]), &CellWeights { input_bias: Some(f(&[3])), ..rnn() }).1;
    "recurrent": recurrent(Cell::RnnTanh, &f(&[0, 3, 2]), None, &rnn(), &Default::default()).0;
    "recurrent": recurrent(Cell::RnnTanh, &f(&[3, 2]), None, &rnn(), &Default::default()).0;
    "recurrent": recurrent(Cell::RnnTanh, &f(&[5, 3, 2]), Some(&lstm_state(&[3, 4], &[3, 4])), &rnn(), &Default::default()).0;
    "recurrent": recurrent(Cell::RnnTanh, &f(&[5, 3, 2]), None, &rnn(), &Sequence { lengths: Some(i(&[5])), ..Default::default() }).1.hidden;
    "recurrent": recurrent(Cell::RnnTanh, &f(&[5, 3, 2]), None, &rnn(), &Sequence { lengths: Some(f(&[3])), ..Default::default() }).0;
    "recurrent": bidirectional(Cell::RnnTanh, &f(&[5, 3, 2]), None, [&rnn(), &CellWeights::new(f(&[4, 2]), f(&[4, 5]))], &Default::default()).0;
}

fn sized(size: &[usize]) -> InterpolateOptions {
    InterpolateOptions { size: Some(size.to_vec()), ..Default::default() }
}

fn patches(kernel: [usize; 2]) -> UnfoldOptions {
    UnfoldOptions::new(kernel)
}

refused! { resizing:
    "interpolate": interpolate(&f(&[1, 2]), &sized(&[]));
    "interpolate": interpolate(&f(&[1, 2, 3]), &sized(&[2, 2]));
    "interpolate": interpolate(&f(&[1, 2, 3]), &sized(&[0]));
    "interpolate": interpolate(&f(&[1, 2, 0]), &sized(&[2]));
    "interpolate": interpolate(&i(&[1, 2, 3]), &sized(&[2]));
    "interpolate": interpolate(&f(&[1, 2, 3]), &Default::default());
    "interpolate": interpolate(&f(&[1, 2, 3]), &InterpolateOptions { scale: Some(vec![2.0]), ..sized(&[2]) });
    "interpolate": interpolate(&f(&[1, 2, 3]), &InterpolateOptions { scale: Some(vec![0.1]), ..Default::default() });
    "interpolate": interpolate(&f(&[1, 2, 3]), &InterpolateOptions { scale: Some(vec![f64::NAN]), ..Default::default() });
    "interpolate": interpolate(&f(&[1, 2, 3]), &InterpolateOptions { scale: Some(vec![f64::INFINITY]), ..Default::default() });
    "interpolate": interpolate(&f(&[1, 2, 3]), &InterpolateOptions { align_corners: true, ..sized(&[2]) });
    "interpolate": interpolate(&f(&[1, 2, 3]), &InterpolateOptions { antialias: true, ..sized(&[2]) });
    "grid_sample": grid_sample(&f(&[1, 2, 3]), &f(&[1, 2, 1]), &Default::default());
    "grid_sample": grid_sample(&f(&[1, 2, 3, 3]), &f(&[1, 2, 2, 3]), &Default::default());
    "grid_sample": grid_sample(&f(&[1, 2, 3, 3]), &f(&[2, 2, 2, 2]), &Default::default());
    "grid_sample": grid_sample(&f(&[1, 2, 3, 3]), &i(&[1, 2, 2, 2]), &Default::default());
    "grid_sample": grid_sample(&f(&[1, 1, 2, 2, 2]), &f(&[1, 1, 1, 1, 3]), &GridOptions { mode: GridMode::Bicubic, ..Default::default() });
    "affine_grid": affine_grid(&f(&[1, 2, 3]), &[2, 2, 2], true);
    "affine_grid": affine_grid(&i(&[1, 2, 3]), &[2, 2], true);
    "pixel_shuffle": pixel_shuffle(&f(&[3, 2, 2]), 2);
    "pixel_shuffle": pixel_shuffle(&f(&[4, 2]), 2);
    "pixel_shuffle": pixel_shuffle(&f(&[4, 2, 2]), 0);
    "pixel_unshuffle": pixel_unshuffle(&f(&[4, 3, 2]), 2);
    "unfold": unfold(&f(&[1, 2, 3]), &patches([2, 2]));
    "unfold": unfold(&f(&[1, 2, 3, 3]), &patches([4, 2]));
    "unfold": unfold(&f(&[1, 2, 3, 3]), &patches([0, 2]));
    "fold": fold(&f(&[1, 8, 5]), [3, 3], &patches([2, 2]));
    "fold": fold(&f(&[1, 7, 4]), [3, 3], &patches([2, 2]));
    "fold": fold(&f(&[8, 4]), [3, 3], &patches([2, 2]));
}

/// Sizes that no program means: nothing panics, overflows, or asks for more memory than there is.
#[test]
fn absurd_sizes() {
    const HUGE: usize = usize::MAX;
    let image = f(&[1, 4, 4, 4]);
    let empty = f(&[1, 0, 4, 4]);
    let line = f(&[1, 2, 4]);
    let pool = |kernel: [usize; 2]| Pool2dOptions { ceil_mode: true, ..PoolOptions::new(kernel) };
    let padded = |count_padding| Pool2dOptions { padding: [HUGE - 1; 2], count_padding, ..pool([HUGE; 2]) };
    let far = PoolOptions { stride: [HUGE; 2], ..pool([2; 2]) };
    let wide = UnfoldOptions { padding: [HUGE; 2], ..patches([HUGE; 2]) };
    for (i, tensor) in [
        max_pool2d(&image, &pool([HUGE; 2])),
        max_pool2d(&image, &PoolOptions { dilation: [HUGE; 2], ..pool([2; 2]) }),
        avg_pool2d(&image, &padded(true)),
        avg_pool2d(&image, &padded(false)),
        lp_pool2d(&image, 2.0, &padded(true)),
        max_pool2d_with_indices(&image, &padded(true)).1,
        max_unpool2d(&image, &i_like(&image), &far, None),
        max_unpool2d(&image, &i_like(&image), &pool([2; 2]), Some([HUGE; 2])),
        adaptive_avg_pool2d(&image, [HUGE; 2], Layout::ChannelsFirst),
        adaptive_max_pool1d(&line, [HUGE], Layout::ChannelsFirst),
        interpolate(&image, &sized(&[HUGE, 2])),
        interpolate(&line, &InterpolateOptions { scale: Some(vec![1e300]), mode: Interpolation::Cubic, ..Default::default() }),
        pixel_shuffle(&empty, HUGE),
        pixel_unshuffle(&f(&[4, 0, 0]), HUGE),
        unfold(&image, &wide),
        fold(&line, [HUGE; 2], &wide),
        fold(&line, [HUGE; 2], &patches([1; 2])),
        affine_grid(&f(&[1, 2, 3]), &[HUGE, 2], false),
        alibi_bias(HUGE, 1, 1, DType::F32),
        alibi_bias(1, HUGE, 2, DType::F32),
        local_response_norm(&line, 1, HUGE, 1.0, 1.0, 1.0),
        conv3d(&f(&[1, 1, 2, 2, 2]), &f(&[1, 1, 2, 2, 2]), &Conv3dOptions { padding: Padding::Both([HUGE; 3]), ..Default::default() }),
    ]
    .into_iter()
    .enumerate()
    {
        assert!(tensor.eval().is_err(), "number {i} is accepted: {:?}", tensor.shape());
    }
    // As far as it goes, it goes.
    assert_eq!(max_pool2d(&image, &far).shape(), [1, 4, 1, 1]);
}

fn i_like(x: &Tensor) -> Tensor {
    i(x.shape())
}
