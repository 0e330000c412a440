//! Results of products in the order in which a fold walks them: when, when not, and that the values stay.

use crate::support::{equal, graph, leaves, same_text, values};
use chainrule_engine::compile::layout::lay_out;
use chainrule_engine::compile::verify;

/// The gradient of patches of two by two of images in rows, columns, and so many channels.
fn patches(channels: usize) -> String {
    format!(
        "
    %0 = leaf 0 : f32 [2, 4, 4, 5]
    %1 = leaf 1 : f32 [{channels}, 2, 2, 5]
    %2 = einsum a [0, 1, 2, 4] b [3, 5, 6, 4] out [0, 1, 2, 3, 5, 6] %0, %1 : f32 [2, 4, 4, {channels}, 2, 2]
    %3 = fold axes [1, 2] sizes [2, 2] strides [1, 1] dilations [1, 1] lengths [5, 5] %2 : f32 [2, 5, 5, {channels}]
    return %3"
    )
}

/// The same with a product that lies in another order, as recorded.
const TURNED: &str = "
    %0 = leaf 0 : f32 [2, 4, 4, 5]
    %1 = leaf 1 : f32 [3, 2, 2, 5]
    %2 = einsum a [0, 1, 2, 4] b [3, 5, 6, 4] out [0, 1, 2, 5, 6, 3] %0, %1 : f32 [2, 4, 4, 2, 2, 3]
    %3 = permute [0, 1, 2, 5, 3, 4] %2 : f32 [2, 4, 4, 3, 2, 2]
    %4 = fold axes [1, 2] sizes [2, 2] strides [1, 1] dilations [1, 1] lengths [5, 5] %3 : f32 [2, 5, 5, 3]
    return %4";

const CHANNELS_FIRST: &str = "
    %0 = leaf 0 : f32 [2, 4, 4, 5]
    %1 = leaf 1 : f32 [3, 2, 2, 5]
    %2 = einsum a [0, 1, 2, 4] b [3, 5, 6, 4] out [0, 3, 1, 2, 5, 6] %0, %1 : f32 [2, 3, 4, 4, 2, 2]
    %3 = fold axes [2, 3] sizes [2, 2] strides [1, 1] dilations [1, 1] lengths [5, 5] %2 : f32 [2, 3, 5, 5]
    return %3";

/// A program becomes what is expected, which computes the same values and is left alone.
fn becomes(text: &str, expected: &str) {
    let before = graph(text);
    let after = lay_out(before.clone());
    assert_eq!(verify::graph(&after), Ok(()));
    same_text("laid out", &after.print(), expected);
    same_text("laid out twice", &lay_out(after.clone()).print(), expected);
    for seed in 0..5 {
        let leaves = leaves(&before, seed);
        assert!(equal(&values(&before, &leaves), &values(&after, &leaves)), "seed {seed}");
    }
}

#[test]
fn many_channels_of_added_patches_lie_side_by_side() {
    let expected = "
        %0 = leaf 0 : f32 [2, 4, 4, 5]
        %1 = leaf 1 : f32 [8, 2, 2, 5]
        %2 = einsum a [0, 1, 2, 4] b [3, 5, 6, 4] out [0, 1, 2, 5, 6, 3] %0, %1 : f32 [2, 4, 4, 2, 2, 8]
        %3 = permute [0, 1, 2, 5, 3, 4] %2 : f32 [2, 4, 4, 8, 2, 2]
        %4 = fold axes [1, 2] sizes [2, 2] strides [1, 1] dilations [1, 1] lengths [5, 5] %3 : f32 [2, 5, 5, 8]
        return %4";
    becomes(&patches(8), expected);
}

#[test]
fn one_place_of_all_patches_lies_side_by_side_where_channels_are_few() {
    let expected = "
        %0 = leaf 0 : f32 [2, 4, 4, 5]
        %1 = leaf 1 : f32 [3, 2, 2, 5]
        %2 = einsum a [0, 1, 2, 4] b [3, 5, 6, 4] out [0, 5, 6, 3, 1, 2] %0, %1 : f32 [2, 2, 2, 3, 4, 4]
        %3 = permute [0, 3, 4, 5, 1, 2] %2 : f32 [2, 3, 4, 4, 2, 2]
        %4 = fold axes [2, 3] sizes [2, 2] strides [1, 1] dilations [1, 1] lengths [5, 5] %3 : f32 [2, 3, 5, 5]
        %5 = permute [0, 2, 3, 1] %4 : f32 [2, 5, 5, 3]
        return %5";
    becomes(&patches(3), expected);
    becomes(TURNED, expected);
    let expected = "
        %0 = leaf 0 : f32 [2, 4, 4, 5]
        %1 = leaf 1 : f32 [3, 2, 2, 5]
        %2 = einsum a [0, 1, 2, 4] b [3, 5, 6, 4] out [0, 3, 5, 6, 1, 2] %0, %1 : f32 [2, 3, 2, 2, 4, 4]
        %3 = permute [0, 1, 4, 5, 2, 3] %2 : f32 [2, 3, 4, 4, 2, 2]
        %4 = fold axes [2, 3] sizes [2, 2] strides [1, 1] dilations [1, 1] lengths [5, 5] %3 : f32 [2, 3, 5, 5]
        return %4";
    becomes(CHANNELS_FIRST, expected);
}

/// What has another reader stays as it is.
#[test]
fn what_is_read_twice_stays() {
    let turned = [TURNED.replace("return %4", "return %4, %3"), TURNED.replace("return %4", "return %4, %2")];
    for text in
        [patches(3).replace("return %3", "return %3, %2"), CHANNELS_FIRST.replace("return %3", "return %3, %2")].iter().chain(&turned)
    {
        let before = graph(text);
        same_text("as it was", &lay_out(before.clone()).print(), &before.print());
    }
}
