//! Folds of products as products of windows, kernels of single channels place by place: when, when not, and that the values stay.

use crate::support::{equal, graph, leaves, same_text, values};
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::simplify::simplify;
use chainrule_engine::compile::verify;
use chainrule_engine::compile::windows::as_windows;
use chainrule_engine::functions::{Conv2dOptions, Layout, Padding, conv2d};
use chainrule_engine::{DType, Tensor};

/// What the product, its fold and the part of it that is read are; images in rows, columns, channels.
struct Case {
    product: &'static str,
    patches: &'static str,
    fold: &'static str,
    whole: &'static str,
    slice: Option<(&'static str, &'static str)>,
}

/// The gradient by its input of a convolution of three by three, zeros around, 16 to 3 channels.
const PADDED: Case = Case {
    product: "a [0, 1, 2, 6] b [4, 5, 3, 6] out [0, 1, 2, 3, 4, 5]",
    patches: "[2, 4, 5, 16, 3, 3]",
    fold: "axes [1, 2] sizes [3, 3] strides [1, 1] dilations [1, 1] lengths [6, 7]",
    whole: "[2, 6, 7, 16]",
    slice: Some(("start [0, 1, 1, 0] stop [2, 5, 6, 16] step [1, 1, 1, 1]", "[2, 4, 5, 16]")),
};

impl Case {
    fn text(&self, leaves: [&str; 2]) -> String {
        let [first, second] = leaves;
        let Case { product, patches, fold, whole, .. } = self;
        let last = match self.slice {
            Some((slice, part)) => format!("%4 = slice {slice} %3 : f32 {part}\nreturn %4"),
            None => "return %3".to_string(),
        };
        format!(
            "%0 = leaf 0 : f32 {first}
            %1 = leaf 1 : f32 {second}
            %2 = einsum {product} %0, %1 : f32 {patches}
            %3 = fold {fold} %2 : f32 {whole}
            {last}"
        )
    }
}

fn turned(text: &str) -> String {
    let before = graph(text);
    let after = as_windows(before.clone());
    assert_eq!(verify::graph(&after), Ok(()));
    for seed in 0..3 {
        let leaves = leaves(&before, seed);
        assert!(equal(&values(&before, &leaves), &values(&after, &leaves)), "seed {seed}: {text}\n{}", after.print());
    }
    after.print()
}

#[test]
fn the_gradient_of_an_input_is_a_convolution() {
    let expected = "
        %0 = leaf 0 : f32 [2, 4, 5, 3]
        %1 = leaf 1 : f32 [3, 3, 16, 3]
        %2 = reverse [0, 1] %1 : f32 [3, 3, 16, 3]
        %3 = pad low [0, 1, 1, 0] high [0, 1, 1, 0] interior [0, 0, 0, 0] %0 : f32 [2, 6, 7, 3]
        %4 = window axes [1, 2] sizes [3, 3] strides [1, 1] dilations [1, 1] %3 : f32 [2, 4, 5, 3, 3, 3]
        %5 = einsum a [0, 1, 2, 6, 4, 5] b [4, 5, 3, 6] out [0, 1, 2, 3] %4, %2 : f32 [2, 4, 5, 16]
        return %5";
    same_text("turned", &turned(&PADDED.text(["[2, 4, 5, 3]", "[3, 3, 16, 3]"])), expected);
}

/// Without zeros around, with a part that cuts off more than they were, uneven windows and dilations, channels first,
/// the operands on the other side and a group: only what is read of the values counts.
#[test]
fn windows_of_any_kind_are_turned() {
    let whole = Case { slice: None, ..PADDED };
    let inner = Case { slice: Some(("start [0, 3, 2, 0] stop [2, 4, 5, 16] step [1, 1, 1, 1]", "[2, 1, 3, 16]")), ..PADDED };
    let wide = Case {
        product: "a [3, 4, 5, 6] b [1, 2, 0, 6] out [0, 3, 1, 2, 4, 5]",
        patches: "[2, 16, 4, 5, 2, 3]",
        fold: "axes [2, 3] sizes [2, 3] strides [1, 1] dilations [3, 2] lengths [7, 9]",
        whole: "[2, 16, 7, 9]",
        slice: None,
    };
    let groups = Case {
        product: "a [0, 7, 1, 6] b [7, 3, 4, 6] out [0, 1, 7, 3, 4]",
        patches: "[2, 5, 2, 16, 3]",
        fold: "axes [1] sizes [3] strides [1] dilations [1] lengths [7]",
        whole: "[2, 7, 2, 16]",
        slice: None,
    };
    let image = "[2, 4, 5, 3]";
    for (case, leaves) in [
        (whole, [image, "[3, 3, 16, 3]"]),
        (inner, [image, "[3, 3, 16, 3]"]),
        (wide, ["[16, 2, 3, 3]", "[4, 5, 2, 3]"]),
        (groups, ["[2, 2, 5, 3]", "[2, 16, 3, 3]"]),
    ] {
        let text = turned(&case.text(leaves));
        assert!(text.contains("= window ") && text.contains("= reverse ") && !text.contains("= fold "), "{text}");
    }
}

/// Strides, many channels that are summed over for few that are kept, numbers of 16 bits, and patches that somebody else reads.
#[test]
fn what_would_not_pay_stays() {
    let strides = Case {
        fold: "axes [1, 2] sizes [3, 3] strides [2, 1] dilations [1, 1] lengths [9, 7]",
        whole: "[2, 9, 7, 16]",
        slice: None,
        ..PADDED
    };
    let few = Case { patches: "[2, 4, 5, 15, 3, 3]", whole: "[2, 6, 7, 15]", slice: None, ..PADDED };
    let plain = PADDED.text(["[2, 4, 5, 3]", "[3, 3, 16, 3]"]);
    for text in [
        strides.text(["[2, 4, 5, 3]", "[3, 3, 16, 3]"]),
        few.text(["[2, 4, 5, 3]", "[3, 3, 15, 3]"]),
        PADDED.text(["[2, 4, 5, 33]", "[3, 3, 16, 33]"]),
        plain.replace("f32", "bf16"),
        plain.replace("return %4", "return %4, %2"),
    ] {
        let before = graph(&text);
        same_text("as it was", &as_windows(before.clone()).print(), &before.print());
    }
}

/// What a convolution and its gradient by the input come to: images of eight rows and seven columns, so many channels, filters
/// and groups.
fn of_groups([channels, filters, groups]: [usize; 3], kernel: [usize; 2], options: &Conv2dOptions, dtype: DType) -> [String; 2] {
    let (inner, [rows, columns]) = (channels / groups, kernel);
    let (image, weight) = match options.layout {
        Layout::ChannelsFirst => ([2, channels, 8, 7], [filters, inner, rows, columns]),
        Layout::ChannelsLast => ([2, 8, 7, channels], [rows, columns, inner, filters]),
    };
    let (x, w) = (Tensor::placeholder(image, dtype), Tensor::placeholder(weight, dtype));
    let y = conv2d(&x, &w, &Conv2dOptions { groups, ..options.clone() });
    let seed = Tensor::placeholder(y.shape(), dtype);
    let by_input = (&y * seed).sum().grad(&[&x]).unwrap().remove(0);
    [y, by_input].map(|result| simplify(&Graph::of(&[&result]).0, true).print())
}

#[test]
fn kernels_of_single_channels_are_written_out() {
    for layout in [Layout::ChannelsFirst, Layout::ChannelsLast] {
        let plain = Conv2dOptions { layout, ..Conv2dOptions::default() };
        for (options, kernel, dtype) in [
            (Conv2dOptions { padding: Padding::Same, ..plain.clone() }, [3, 3], DType::F32),
            (Conv2dOptions { dilation: [2, 3], ..plain.clone() }, [3, 2], DType::F64),
            (Conv2dOptions { padding: Padding::Sides([[1, 0], [0, 2]]), ..plain.clone() }, [1, 5], DType::F32),
        ] {
            for text in of_groups([4, 4, 4], kernel, &options, dtype) {
                assert!(text.contains("= window ") || text.contains("= fold "), "{text}");
                let text = turned(&text);
                let left = ["= window ", "= fold ", "= einsum "].map(|op| text.contains(op));
                assert_eq!(left, [false; 3], "{layout:?}, {kernel:?}: {text}");
            }
        }
        // Strides: no patches that are added up.
        let [product, patches] = of_groups([4, 4, 4], [3, 3], &Conv2dOptions { stride: [2, 3], ..plain }, DType::F32);
        let text = turned(&product);
        assert!(!text.contains("= einsum "), "{text}");
        assert!(turned(&patches).contains("= fold "));
    }
}

#[test]
fn other_groups_large_kernels_and_narrow_types_are_products() {
    let options = Conv2dOptions { padding: Padding::Same, ..Conv2dOptions::default() };
    let cases = [
        ([4, 4, 2], [3, 3], DType::F32),
        ([4, 8, 4], [3, 3], DType::F32),
        ([4, 4, 4], [8, 7], DType::F32),
        ([4, 4, 4], [3, 3], DType::BF16),
    ];
    for (groups, kernel, dtype) in cases {
        for text in of_groups(groups, kernel, &options, dtype) {
            let before = graph(&text);
            same_text("as it was", &as_windows(before.clone()).print(), &before.print());
        }
    }
}
