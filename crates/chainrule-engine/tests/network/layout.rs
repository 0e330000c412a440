//! Both layouts of images: what is computed in one is what is computed in the other.

use chainrule_engine::Tensor;
use chainrule_engine::functions::Layout;

/// `[batch, channels, ..]` with the channels last.
pub fn channels_last(t: &Tensor) -> Tensor {
    t.permute([0].into_iter().chain(2..t.rank()).chain([1]).collect::<Vec<_>>())
}

/// `[batch, .., channels]` with the channels after the batch.
pub fn channels_first(t: &Tensor) -> Tensor {
    let rank = t.rank();
    t.permute([0, rank - 1].into_iter().chain(1..rank - 1).collect::<Vec<_>>())
}

/// What `function` of `x` gives in each layout, with channels first.
pub fn each_layout(x: &Tensor, mut function: impl FnMut(&Tensor, Layout) -> Tensor) -> [Tensor; 2] {
    [function(x, Layout::ChannelsFirst), channels_first(&function(&channels_last(x), Layout::ChannelsLast))]
}
