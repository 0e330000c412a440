//! Functions of networks: convolutions, pools, norms, attention, recurrent cells, resizing.

use super::{Input, N, Row, any, index, positive};
use chainrule_engine::functions::*;
use chainrule_engine::{DType, Tensor};

fn cell(t: &[Tensor]) -> CellWeights {
    CellWeights::new(t[1].clone(), t[2].clone())
}

fn sized(mode: Interpolation) -> InterpolateOptions {
    InterpolateOptions { mode, scale: Some(vec![1.5]), ..Default::default() }
}

/// Windows of 2 of each axis, one after the other.
fn halves<const D: usize>() -> PoolOptions<D> {
    PoolOptions::new([2; D])
}

/// Windows that overlap.
fn steps<const D: usize>() -> PoolOptions<D> {
    PoolOptions { stride: [1; D], ..PoolOptions::new([2; D]) }
}

#[rustfmt::skip]
pub const FUNCTIONS: &[Row] = &[
    Row("conv3d", &[any(&[N, 2, 3, 3, 3]), any(&[2, 2, 2, 2, 2])], |t| conv3d(&t[0], &t[1], &Default::default())),
    Row("conv_transpose3d", &[any(&[N, 2, 3, 2, 2]), any(&[2, 2, 2, 2, 2])], |t| conv_transpose3d(&t[0], &t[1], &Default::default())),
    Row("max_pool1d", &[any(&[N, 2, 5])], |t| max_pool1d(&t[0], &PoolOptions { padding: [1], ceil_mode: true, ..PoolOptions::new([2]) })),
    Row("avg_pool1d", &[any(&[N, 2, 5])], |t| avg_pool1d(&t[0], &PoolOptions { padding: [1], ceil_mode: true, ..PoolOptions::new([2]) })),
    Row("max_pool3d", &[any(&[N, 2, 3, 3, 2])], |t| max_pool3d(&t[0], &PoolOptions::new([2; 3]))),
    Row("avg_pool3d", &[any(&[N, 2, 3, 3, 2])], |t| avg_pool3d(&t[0], &PoolOptions { stride: [1; 3], ..PoolOptions::new([2; 3]) })),
    Row("lp_pool2d", &[any(&[N, 2, 3, 3])], |t| lp_pool2d(&t[0], 2.0, &PoolOptions { stride: [1; 2], ..PoolOptions::new([2; 2]) })),
    Row("max_unpool2d", &[any(&[N, 2, 4, 4])], |t| {
        let options = PoolOptions::new([2; 2]);
        let (largest, places) = max_pool2d_with_indices(&t[0], &options);
        max_unpool2d(&largest, &places, &options, None)
    }),
    Row("adaptive_avg_pool2d", &[any(&[N, 2, 5, 3])], |t| adaptive_avg_pool2d(&t[0], [3, 2], Layout::ChannelsFirst)),
    Row("adaptive_max_pool2d", &[any(&[N, 2, 5, 3])], |t| adaptive_max_pool2d(&t[0], [3, 4], Layout::ChannelsFirst)),
    Row("global_avg_pool", &[any(&[N, 2, 5, 3])], |t| global_avg_pool(&t[0], Layout::ChannelsFirst)),
    Row("global_max_pool", &[any(&[N, 5, 3, 2])], |t| global_max_pool(&t[0], Layout::ChannelsLast)),
    Row("group_norm", &[any(&[N, 4, 3]), any(&[4])], |t| group_norm(&t[0], 1, 2, Some(&t[1]), None, 1e-3)),
    Row("instance_norm", &[any(&[N, 4, 3]), any(&[4])], |t| instance_norm(&t[0], 1, Some(&t[1]), None, 1e-3)),
    Row("layer_norm", &[any(&[N, 4]), any(&[4])], |t| layer_norm(&t[0], 1, Some(&t[1]), None, 1e-3)),
    Row("rms_norm", &[any(&[N, 4]), any(&[4])], |t| rms_norm(&t[0], 1, Some(&t[1]), 1e-3)),
    Row("batch_norm_with", &[any(&[N, 4]), any(&[4]), any(&[4])], |t| batch_norm_with(&t[0], 1, &t[1], &t[2].abs(), None, None, 1e-3)),
    Row("local_response_norm", &[any(&[N, 4, 2])], |t| local_response_norm(&t[0], 1, 3, 0.5, 0.75, 1.0)),
    Row("attention", &[any(&[N, 4, 3, 2]), any(&[N, 2, 5, 2]), any(&[N, 2, 5, 3])], |t| {
        let options = AttentionOptions { causal: true, grouped: true, from_start: true, soft_cap: Some(2.0), ..Default::default() };
        attention(&t[0], &t[1], &t[2], &options)
    }),
    Row("rotary_embedding", &[any(&[N, 3, 4])], |t| rotary_embedding(&t[0], &Default::default())),
    Row("rnn_tanh_cell", &[any(&[N, 2]), any(&[3, 2]), any(&[3, 3]), any(&[N, 3])], |t| rnn_tanh_cell(&t[0], &t[3], &cell(t))),
    Row("gru_cell", &[any(&[N, 2]), any(&[9, 2]), any(&[9, 3]), any(&[N, 3])], |t| gru_cell(&t[0], &t[3], &cell(t))),
    Row("lstm_cell", &[any(&[N, 2]), any(&[12, 2]), any(&[12, 3]), any(&[N, 3]), any(&[N, 3])], |t| lstm_cell(&t[0], &t[3], &t[4], &cell(t)).0),
    Row("recurrent", &[any(&[N, 3, 2]), any(&[9, 2]), any(&[9, 3])], |t| {
        let sequence = Sequence { batch_first: true, reverse: true, lengths: Some(Tensor::full([t[0].shape()[0]], 1.0, DType::I64)) };
        recurrent(Cell::GruResetFirst, &t[0], None, &cell(t), &sequence).0
    }),
    Row("interpolate nearest", &[any(&[N, 2, 3, 4])], |t| interpolate(&t[0], &sized(Interpolation::Nearest))),
    Row("interpolate linear", &[any(&[N, 2, 3, 4])], |t| interpolate(&t[0], &sized(Interpolation::Linear))),
    Row("interpolate cubic", &[any(&[N, 2, 3, 4])], |t| interpolate(&t[0], &sized(Interpolation::Cubic))),
    Row("interpolate area", &[any(&[N, 2, 3, 4])], |t| interpolate(&t[0], &sized(Interpolation::Area))),
    Row("grid_sample", &[any(&[N, 2, 3, 4]), any(&[N, 2, 2, 2])], |t| grid_sample(&t[0], &t[1], &Default::default())),
    Row("affine_grid", &[any(&[N, 2, 3])], |t| affine_grid(&t[0], &[2, 3], true)),
    Row("pixel_shuffle", &[any(&[N, 4, 2, 1])], |t| pixel_shuffle(&t[0], 2)),
    Row("pixel_unshuffle", &[any(&[N, 2, 2, 4])], |t| pixel_unshuffle(&t[0], 2)),
    Row("unfold of patches", &[any(&[N, 2, 3, 3])], |t| unfold(&t[0], &UnfoldOptions { padding: [1, 0], ..UnfoldOptions::new([2, 2]) })),
    Row("fold", &[any(&[N, 8, 4])], |t| fold(&t[0], [3, 3], &UnfoldOptions::new([2, 2]))),
    Row("conv1d", &[any(&[N, 2, 6]), any(&[2, 2, 3])], |t| conv1d(&t[0], &t[1], &Conv1dOptions { dilation: [2], ..Default::default() })),
    Row("conv2d", &[any(&[N, 2, 4, 3]), any(&[2, 2, 2, 2])], |t| conv2d(&t[0], &t[1], &Conv2dOptions { stride: [2, 1], padding: Padding::Same, ..Default::default() })),
    Row("conv2d groups", &[any(&[N, 2, 3, 3]), any(&[2, 1, 2, 2])], |t| conv2d(&t[0], &t[1], &Conv2dOptions { groups: 2, ..Default::default() })),
    Row("conv_transpose1d", &[any(&[N, 2, 3]), any(&[2, 2, 3])], |t| conv_transpose1d(&t[0], &t[1], &ConvTranspose1dOptions { stride: [2], ..Default::default() })),
    Row("conv_transpose2d", &[any(&[N, 2, 2, 2]), any(&[2, 1, 3, 2])], |t| conv_transpose2d(&t[0], &t[1], &ConvTranspose2dOptions { groups: 2, ..Default::default() })),
    Row("max_pool2d", &[any(&[N, 2, 3, 3])], |t| max_pool2d(&t[0], &steps())),
    Row("avg_pool2d", &[any(&[N, 2, 3, 3])], |t| avg_pool2d(&t[0], &steps())),
    Row("lp_pool1d", &[positive(&[N, 2, 5])], |t| lp_pool1d(&t[0], 3.0, &steps())),
    Row("lp_pool3d", &[positive(&[N, 1, 3, 2, 2])], |t| lp_pool3d(&t[0], 2.5, &steps())),
    Row("max_pool1d_with_indices", &[any(&[N, 2, 5])], |t| max_pool1d_with_indices(&t[0], &steps()).0),
    Row("max_pool2d_with_indices", &[any(&[N, 2, 3, 3])], |t| max_pool2d_with_indices(&t[0], &steps()).0),
    Row("max_pool3d_with_indices", &[any(&[N, 1, 3, 2, 2])], |t| max_pool3d_with_indices(&t[0], &steps()).0),
    Row("max_unpool1d", &[any(&[N, 2, 6])], |t| {
        let (largest, places) = max_pool1d_with_indices(&t[0], &halves());
        max_unpool1d(&largest, &places, &halves(), None)
    }),
    Row("max_unpool3d", &[any(&[N, 1, 4, 2, 2])], |t| {
        let (largest, places) = max_pool3d_with_indices(&t[0], &halves());
        max_unpool3d(&largest, &places, &halves(), None)
    }),
    Row("adaptive_avg_pool1d", &[any(&[N, 2, 5])], |t| adaptive_avg_pool1d(&t[0], [3], Layout::ChannelsFirst)),
    Row("adaptive_max_pool1d", &[any(&[N, 5, 2])], |t| adaptive_max_pool1d(&t[0], [3], Layout::ChannelsLast)),
    Row("adaptive_avg_pool3d", &[any(&[N, 1, 3, 2, 2])], |t| adaptive_avg_pool3d(&t[0], [2, 2, 1], Layout::ChannelsFirst)),
    Row("adaptive_max_pool3d", &[any(&[N, 1, 3, 2, 2])], |t| adaptive_max_pool3d(&t[0], [2, 2, 1], Layout::ChannelsFirst)),
    Row("batch_norm", &[any(&[3, 4]), any(&[4]), any(&[4])], |t| batch_norm(&t[0], 1, Some(&t[1]), Some(&t[2]), 1e-3).output),
    Row("batch_norm mean and variance", &[any(&[3, 4])], |t| {
        // Statistics of f16 and bf16 are f32.
        let all = batch_norm(&t[0], 1, None, None, 1e-3);
        Tensor::stack(&[&all.mean, &all.variance], 0).cast(t[0].dtype())
    }),
    Row("batch_norm_with all", &[any(&[N, 2]), any(&[2]), positive(&[2]), any(&[2]), any(&[2])], |t| {
        batch_norm_with(&t[0], 1, &t[1], &t[2], Some(&t[3]), Some(&t[4]), 1e-3)
    }),
    Row("attention mask", &[any(&[N, 3, 2]), any(&[N, 4, 2]), any(&[N, 4, 2]), any(&[3, 4])], |t| {
        attention(&t[0], &t[1], &t[2], &AttentionOptions { mask: Some(t[3].clone()), ..Default::default() })
    }),
    Row("attention_weights", &[any(&[N, 3, 2]), any(&[N, 4, 2])], |t| attention_weights(&t[0], &t[1], &AttentionOptions { causal: true, ..Default::default() })),
    Row("embedding", &[any(&[4, 2])], |t| embedding(&t[0], &index(&[2, 0, 2, 3]))),
    Row("rnn_relu_cell", &[any(&[N, 2]), any(&[3, 2]), any(&[3, 3]), any(&[N, 3])], |t| rnn_relu_cell(&t[0], &t[3], &cell(t))),
    Row("gru_cell_reset_first", &[any(&[N, 2]), any(&[9, 2]), any(&[9, 3]), any(&[N, 3])], |t| gru_cell_reset_first(&t[0], &t[3], &cell(t))),
    Row("lstm_cell state", &[any(&[N, 2]), any(&[12, 2]), any(&[12, 3]), any(&[N, 3]), any(&[N, 3])], |t| lstm_cell(&t[0], &t[3], &t[4], &cell(t)).1),
    Row("recurrent lstm", &[any(&[3, N, 2]), any(&[8, 2]), any(&[8, 2])], |t| recurrent(Cell::Lstm, &t[0], None, &cell(t), &Sequence::default()).0),
    Row("bidirectional", &[any(&[3, N, 2]), any(&[2, 2]), any(&[2, 2])], |t| {
        bidirectional(Cell::RnnTanh, &t[0], None, [&cell(t), &cell(t)], &Sequence::default()).0
    }),
    Row("grid_sample bicubic", &[any(&[N, 1, 3, 4]), Input(&[N, 2, 1, 2], -0.9, 0.9)], |t| {
        grid_sample(&t[0], &t[1], &GridOptions { mode: GridMode::Bicubic, padding: GridPadding::Reflection, align_corners: true })
    }),
];
