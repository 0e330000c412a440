//! Tensors without elements, of one element, and with axes of one, through every kind of kernel.

use crate::programs::ways;
use chainrule_engine::backend::reference;
use chainrule_engine::ops::{
    ArgSort, Broadcast, Combine, Concat, CumulativeSum, Fold, Gather, Pad, Permute, Random, Reverse, ScatterAdd, ScatterReduce, Slice,
    Window,
};
use chainrule_engine::{DType, Data, Options, Runtime, Step, Tensor};

fn leaf(shape: &[usize], dtype: DType) -> Tensor {
    let values: Vec<f64> = (0..shape.iter().product()).map(|i: usize| (i % 5) as f64 - 2.0).collect();
    Tensor::from_data(Data::from_f64(dtype, &values), shape)
}

fn floats(shape: &[usize]) -> Tensor {
    leaf(shape, DType::F32)
}

fn indices(shape: &[usize]) -> Tensor {
    leaf(shape, DType::I64) * 0
}

fn list(numbers: &[usize]) -> chainrule_engine::ops::movement::Axes {
    numbers.into()
}

/// Everything worth doing with tensors whose axes have the sizes 0, 1 or 2.
fn cases(a: usize, b: usize, c: usize) -> Vec<(&'static str, Tensor)> {
    let x = floats(&[a, b, c]);
    let window = Window { axes: list(&[1]), sizes: list(&[1]), strides: list(&[1]), dilations: list(&[2]) };
    let mut cases = vec![
        ("map", (&x + 1.0) * &x),
        ("sum of all", x.sum()),
        ("sum of the first", x.sum_over(&[0]) + 1.0),
        ("sum of the middle", x.sum_over(&[1]).exp()),
        ("sum of the last", x.sum_over(&[2]) * 2.0),
        ("sum of the ends", x.sum_over(&[0, 2])),
        ("centred", &x - x.sum_over(&[2]).unsqueeze(2)),
        ("spread", &x + x.sum_over(&[0])),
        ("product", x.einsum("abc,acd->abd", &floats(&[a, c, 2])) + 1.0),
        ("product with nothing summed", x.einsum("abc,d->dabc", &floats(&[c]))),
        ("product with all summed", x.einsum("abc,abc->", &x)),
        ("product of columns", x.einsum("abc,abd->cd", &floats(&[a, b, 3]))),
        ("running sum", Tensor::record(CumulativeSum { axis: 1, reverse: true }, [x.clone()])),
        ("reverse", Tensor::record(Reverse(list(&[0, 2])), [x.clone()]) + 0.5),
        ("permute", Tensor::record(Permute(list(&[2, 0, 1])), [x.clone()])),
        ("reshape", x.reshape([a * b * c]).exp()),
        ("repeat", Tensor::record(Broadcast { axes: list(&[0, 2]), sizes: list(&[0, 2]) }, [x.clone()]) * 2.0),
        ("repeat and sum", Tensor::record(Broadcast { axes: list(&[0]), sizes: list(&[3]) }, [x.clone()]).sum()),
        (
            "part",
            Tensor::record(Slice { start: list(&[0, 0, 0]), stop: list(&[a, b / 2, c]), step: list(&[2, 1, 1]) }, [x.clone()])
                .sum_over(&[1]),
        ),
        ("pad", Tensor::record(Pad { low: list(&[0, 1, 0]), high: list(&[1, 0, 0]), interior: list(&[0, 1, 2]) }, [x.clone()])),
        ("concat", Tensor::record(Concat { axis: 1 }, [x.clone(), floats(&[a, 0, c]), x.exp()])),
        ("scatter", Tensor::record(ScatterAdd { batch: 0, size: 2 }, [x.clone(), indices(&[a])])),
        ("scattered extremes", Tensor::record(ScatterReduce { batch: 0, size: 2, how: Combine::Minimum }, [x.clone(), indices(&[a])])),
        ("scattered products", Tensor::record(ScatterReduce { batch: 1, size: 1, how: Combine::Product }, [x.clone(), indices(&[a, b])])),
        ("scatter by parts", Tensor::record(ScatterAdd { batch: 1, size: 1 }, [x.clone(), indices(&[a, b])])),
        ("order", Tensor::record(ArgSort { descending: false, first: None }, [x.exp()])),
        ("random", Tensor::record(Random { bits: 7, shape: list(&[b, c]), offset: 1 }, [leaf(&[a], DType::I64)])),
        ("cast", x.cast(DType::I64).cast(DType::Bool).cast(DType::F64)),
        ("select", x.less(&(&x * 0.0)).select(&x, &(&x * 3.0))),
    ];
    if a > 0 {
        cases.push(("gather", Tensor::record(Gather { batch: 0 }, [x.clone(), indices(&[2, b])])));
        cases.push(("maximum", x.max_over(&[0]) + 1.0));
    }
    if b > 0 {
        cases.push(("gather in parts", Tensor::record(Gather { batch: 1 }, [x.clone(), indices(&[a, c])]).sum_over(&[1])));
        cases.push(("window", Tensor::record(window.clone(), [x.clone()]) * 2.0));
        let patches = Tensor::record(window.clone(), [x.exp()]).exp();
        cases.push(("fold", Tensor::record(Fold { window, lengths: list(&[b]) }, [patches])));
    }
    if c > 0 {
        cases.push(("softmax", (&x - x.max_over(&[2]).unsqueeze(2)).exp()));
    }
    cases
}

#[test]
fn every_kind_of_kernel_takes_empty_axes_and_axes_of_one() {
    for (name, options) in ways() {
        let runtime = Runtime::shared().with_options(options);
        for (a, b, c) in (0..27).map(|n| (n / 9, n / 3 % 3, n % 3)) {
            for (case, y) in cases(a, b, c) {
                let what = format!("{case} of [{a}, {b}, {c}], {name}");
                if let Some(error) = y.error() {
                    panic!("{what}: {error}");
                }
                let want = reference::evaluate(&[&y]).map(|all| all[0].to_f64());
                let got = Tensor::eval_all_on(&runtime, &[&y]).and_then(|()| Ok(y.to_data()?.to_f64()));
                match (want, got) {
                    (Ok(want), Ok(got)) => {
                        let near = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= 1e-5 * b.abs();
                        assert!(want.len() == got.len() && got.iter().zip(&want).all(near), "{what}: {got:?}, {want:?} wanted");
                    }
                    (want, got) => panic!("{what}: {got:?}, {want:?} wanted"),
                }
            }
        }
    }
}

#[test]
fn a_step_takes_an_empty_batch() -> Result<(), chainrule_engine::Error> {
    for options in [Options::default(), Options { fuse: false, ..Options::default() }] {
        let x = Tensor::placeholder([0, 3].as_slice(), DType::F32);
        let (w, empty) = (floats(&[3, 2]), floats(&[0]));
        let loss = x.matmul(&w).tanh().sum();
        let new = &w - &loss.grad(&[&w])?[0];
        let mut step =
            Step::capture_on(&Runtime::shared().with_options(options), &[&x], &[&loss], &[(&w, &new), (&empty, &(&empty * 2.0))])?;
        step.run(&[&floats(&[0, 3])])?;
        assert_eq!((step.item(0), step.state(0).to_vec::<f32>()?, step.state(1).len()), (0.0, w.to_vec::<f32>()?, 0));
    }
    Ok(())
}

#[test]
fn an_index_into_nothing_is_an_error() {
    for rest in [1, 3, 1000] {
        for (_, options) in ways() {
            let table = floats(&[0, rest]);
            let picked = table.gather(&indices(&[2]));
            let error = Tensor::eval_all_on(&Runtime::shared().with_options(options), &[&picked]);
            assert!(error.as_ref().is_err_and(|error| error.to_string().contains("index 0 is outside 0..0")), "{error:?}");
        }
    }
}
