//! Results of products in the order in which a fold walks them: when, when not, and that the values stay.

use crate::support::{equal, graph, leaves, same_text, values};
use chainrule_engine::compile::layout::lay_out;
use chainrule_engine::compile::verify;

/// The gradient of patches of two by two of images in rows, columns, channels.
const PATCHES: &str = "
    %0 = leaf 0 : f32 [2, 4, 4, 5]
    %1 = leaf 1 : f32 [3, 2, 2, 5]
    %2 = einsum a [0, 1, 2, 4] b [3, 5, 6, 4] out [0, 1, 2, 3, 5, 6] %0, %1 : f32 [2, 4, 4, 3, 2, 2]
    %3 = fold axes [1, 2] sizes [2, 2] strides [1, 1] dilations [1, 1] lengths [5, 5] %2 : f32 [2, 5, 5, 3]
    return %3";

#[test]
fn channels_of_added_patches_lie_side_by_side() {
    let expected = "
        %0 = leaf 0 : f32 [2, 4, 4, 5]
        %1 = leaf 1 : f32 [3, 2, 2, 5]
        %2 = einsum a [0, 1, 2, 4] b [3, 5, 6, 4] out [0, 1, 2, 5, 6, 3] %0, %1 : f32 [2, 4, 4, 2, 2, 3]
        %3 = permute [0, 1, 2, 5, 3, 4] %2 : f32 [2, 4, 4, 3, 2, 2]
        %4 = fold axes [1, 2] sizes [2, 2] strides [1, 1] dilations [1, 1] lengths [5, 5] %3 : f32 [2, 5, 5, 3]
        return %4";
    let before = graph(PATCHES);
    let after = lay_out(before.clone());
    assert_eq!(verify::graph(&after), Ok(()));
    same_text("laid out", &after.print(), expected);
    for seed in 0..5 {
        let leaves = leaves(&before, seed);
        assert!(equal(&values(&before, &leaves), &values(&after, &leaves)), "seed {seed}");
    }
}

/// What has another reader, and what has no axis behind its windows, stays as it is.
#[test]
fn what_gains_nothing_stays() {
    let read_twice = PATCHES.replace("return %3", "return %3, %2");
    let channels_first = "
        %0 = leaf 0 : f32 [2, 4, 4, 5]
        %1 = leaf 1 : f32 [3, 2, 2, 5]
        %2 = einsum a [0, 1, 2, 4] b [3, 5, 6, 4] out [0, 3, 1, 2, 5, 6] %0, %1 : f32 [2, 3, 4, 4, 2, 2]
        %3 = fold axes [2, 3] sizes [2, 2] strides [1, 1] dilations [1, 1] lengths [5, 5] %2 : f32 [2, 3, 5, 5]
        return %3";
    for text in [&read_twice, channels_first] {
        let before = graph(text);
        same_text("as it was", &lay_out(before.clone()).print(), &before.print());
    }
}
