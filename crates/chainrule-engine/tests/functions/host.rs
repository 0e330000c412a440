//! Functions of the host: called once for each example, on any number of threads, refused by name, and never mistaken for
//! one another.

use chainrule_engine::compile::graph::Graph;
use chainrule_engine::functions::host_call;
use chainrule_engine::ops::{Array, CustomRule, HostArray, HostFunction, Values};
use chainrule_engine::tensor::Shape;
use chainrule_engine::transform::{custom_derivative, hvp, vmap};
use chainrule_engine::{DType, ErrorKind, Result, Runtime, Tensor};

/// The sorted vector, times a number: a function that looks at all of an example at once.
#[derive(Clone, Copy)]
struct Sorted {
    factor: f64,
}

impl HostFunction for Sorted {
    fn name(&self) -> &str {
        "sorted"
    }
    fn parameters(&self) -> String {
        self.factor.to_string()
    }
    fn infer(&self, shapes: &[&[usize]]) -> Result<Shape, String> {
        match shapes {
            [[n]] => Ok([*n].as_slice().into()),
            _ => Err(format!("takes one vector, not {shapes:?}")),
        }
    }
    fn evaluate(&self, inputs: &[HostArray<'_, f64>], output: &mut [f64]) -> Result<(), String> {
        if let Some(bad) = inputs[0].values.iter().find(|v| v.abs() > 100.0) {
            return Err(format!("{bad} is too large"));
        }
        assert!(!inputs[0].values.contains(&13.0), "an unlucky number");
        output.copy_from_slice(inputs[0].values);
        output.sort_by(f64::total_cmp);
        output.iter_mut().for_each(|v| *v *= self.factor);
        Ok(())
    }
}

/// The product of all numbers, and half the sum of their squares: two results, one behind the other.
struct Moments;

impl HostFunction for Moments {
    fn name(&self) -> &str {
        "moments"
    }
    fn infer(&self, _: &[&[usize]]) -> Result<Shape, String> {
        Ok([2usize].as_slice().into())
    }
    fn evaluate(&self, inputs: &[HostArray<'_, f64>], output: &mut [f64]) -> Result<(), String> {
        output[0] = inputs[0].values.iter().product();
        output[1] = inputs[0].values.iter().map(|v| v * v / 2.0).sum();
        Ok(())
    }
}

/// Of the second of [`Moments`]; the first is left without a derivative.
impl CustomRule for Moments {
    fn name(&self) -> &str {
        "moments"
    }
    fn vjp(&self, inputs: &[Tensor], _: &Tensor, cotangent: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(&inputs[0] * cotangent)])
    }
}

fn sorted(x: &Tensor, batch: usize) -> Tensor {
    host_call(Sorted { factor: 1.0 }, &[x], batch)
}

fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|i| (i * 37 % 101) as f64 / 8.0 + 0.01).collect()
}

#[test]
fn each_example_is_computed_by_itself_with_the_same_bits_on_any_number_of_threads() {
    let list = numbers(600 * 50);
    let want: Vec<f64> = list
        .chunks(50)
        .flat_map(|row| {
            let mut row = row.to_vec();
            row.sort_by(f64::total_cmp);
            row
        })
        .collect();
    for threads in [1, 2, 3, 7] {
        let x = Tensor::from_slice(&list, [20, 30, 50]);
        let y = sorted(&x, 2);
        Tensor::eval_all_on(&Runtime::new(threads).unwrap(), &[&y]).unwrap();
        assert_eq!(y.to_vec::<f64>().unwrap(), want, "{threads} threads");
    }
    // As read where it lies: turned, apart, and from the middle of something.
    let x = Tensor::from_slice(&list, [50, 600]);
    let turned = sorted(&x.t(), 1).to_vec::<f64>().unwrap();
    assert_eq!(turned, sorted(&Tensor::from_slice(&x.t().to_vec::<f64>().unwrap(), [600, 50]), 1).to_vec::<f64>().unwrap());
    let part = x.slice(0, 3..9).slice(1, 40..100);
    assert_eq!(sorted(&part, 1).to_vec::<f64>().unwrap(), part.sort(1).to_vec::<f64>().unwrap());
}

#[test]
fn vmap_adds_an_axis_to_the_batch() {
    let x = Tensor::from_slice(&numbers(60), [3, 4, 5]);
    let lifted = vmap(|x| Ok(vec![sorted(&(&x[0] * 2.0), 1)]), &[&x], &[Some(1)]).unwrap().remove(0);
    assert_eq!(lifted.to_vec::<f64>().unwrap(), (x.transpose(0, 1) * 2.0).sort(2).to_vec::<f64>().unwrap());
}

#[test]
fn single_precision_is_double_precision_rounded_once() {
    let x = Tensor::from_slice(&[0.1f32, -3.0, 0.7], [3]);
    let thirds = host_call(Sorted { factor: 1.0 / 3.0 }, &[&x], 0);
    let want = [-3.0f32, 0.1, 0.7].map(|v| (f64::from(v) / 3.0) as f32);
    assert_eq!(thirds.to_vec::<f32>().unwrap(), want);
}

#[test]
fn functions_of_other_parameters_or_another_type_are_others() {
    /// Bears the name and the parameters of another, and gives something else.
    struct Impostor;
    impl HostFunction for Impostor {
        fn name(&self) -> &str {
            "sorted"
        }
        fn parameters(&self) -> String {
            "1".into()
        }
        fn infer(&self, shapes: &[&[usize]]) -> Result<Shape, String> {
            Ok(shapes[0].into())
        }
        fn evaluate(&self, _: &[HostArray<'_, f64>], output: &mut [f64]) -> Result<(), String> {
            // Zeros were there before.
            output[0] += 5.0;
            Ok(())
        }
    }
    let x = Tensor::f64([2.0, 1.0]);
    let all = [sorted(&x, 0), host_call(Sorted { factor: 3.0 }, &[&x], 0), host_call(Impostor, &[&x], 0)];
    let want = [[1.0, 2.0], [3.0, 6.0], [5.0, 0.0]];
    // One program after the other, which are cached, and in one, where what is equal is merged.
    for (y, want) in all.iter().zip(want) {
        assert_eq!((y * 1.0).to_vec::<f64>().unwrap(), want);
    }
    assert_eq!(Tensor::stack(&all.each_ref(), 0).to_vec::<f64>().unwrap(), want.concat());
}

/// By name, and by parameters if it has any. Read from text it stands for that function, and cannot be run.
#[test]
fn a_function_is_known_by_name_and_parameters_in_texts() {
    let x = Tensor::f64([[1.0, 2.0], [3.0, 4.0]]);
    for (y, text, name) in [
        (host_call(Moments, &[&x], 1), "host_call moments batch 1 %0", "moments []"),
        (host_call(Sorted { factor: 3.0 }, &[&x], 1), "host_call sorted of 3 batch 1 %0", "sorted [3]"),
    ] {
        let graph = Graph::of(&[&y]).0;
        assert!(graph.print().contains(text), "{}", graph.print());
        assert!(format!("{:?}", y.op()).contains(name), "{:?}", y.op());
        let read = Graph::parse(&graph.print()).unwrap();
        assert!(read.same_structure(&graph));
        let rows = Array::new(x.ty().clone(), Values::Float(vec![1.0; 4]));
        let refused = read.nodes[1].op.refuse(&[&rows]).map(|error| error.to_string());
        assert!(refused.is_some_and(|text| text.contains("holds no function")));
        assert!(graph.nodes[1].op.refuse(&[&rows]).is_none());
    }
}

#[test]
fn several_results_are_parts_of_one_and_a_rule_gives_every_derivative() {
    let x = Tensor::f64([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let flat = host_call(Moments, &[&x], 1);
    let (product, squares) = (flat.index(-1, 0), custom_derivative(&flat.index(-1, 1), &[&x.index(0, 0).unsqueeze(0)], Moments));
    assert_eq!(product.to_vec::<f64>().unwrap(), [6.0, 120.0]);
    assert_eq!(squares.to_vec::<f64>().unwrap(), [7.0, 38.5]);
    let half = |x: &Tensor| custom_derivative(&host_call(Moments, &[x], 0).index(-1, 1), &[x], Moments);
    let row = Tensor::f64([1.0, 2.0, 3.0]);
    assert_eq!(half(&row).grad(&[&row]).unwrap()[0].to_vec::<f64>().unwrap(), [1.0, 2.0, 3.0]);
    let bend = hvp(&half(&row).square(), &row, &row).unwrap();
    // y = (x.x / 2)^2 has the second derivative 2 x x^T + (x.x) 1.
    assert_eq!(bend.to_vec::<f64>().unwrap(), [42.0, 84.0, 126.0]);
    let rows = vmap(|x| half(&x[0]).grad(&[&x[0]]), &[&x], &[Some(0)]).unwrap().remove(0);
    assert_eq!(rows.to_vec::<f64>().unwrap(), x.to_vec::<f64>().unwrap());
}

#[test]
fn what_has_no_rule_has_no_derivative_and_says_so() {
    let x = Tensor::f64([2.0, 1.0]);
    let error = sorted(&x, 0).sum().grad(&[&x]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    let text = error.to_string();
    assert!(text.contains("sorted") && text.contains("custom_derivative") && text.contains("host.rs"), "{text}");
}

#[test]
fn values_that_are_refused_are_an_error_of_the_first_example_that_has_them() {
    let mut list = numbers(4000 * 3);
    (list[7000], list[9001]) = (300.0, 200.0);
    for threads in [1, 2, 7] {
        let y = sorted(&Tensor::from_slice(&list, [4000, 3]), 1) * 2.0;
        let error = Tensor::eval_all_on(&Runtime::new(threads).unwrap(), &[&y]).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Argument, "sorted"));
        let text = error.to_string();
        assert!(text.contains("300 is too large") && text.contains("host.rs"), "{threads} threads: {text}");
    }
    let y = sorted(&Tensor::f64([1.0, -500.0]), 0);
    let reference = chainrule_engine::backend::reference::evaluate(&[&y]).unwrap_err();
    assert_eq!(reference.to_string(), y.eval().unwrap_err().to_string());
    // What comes after such an error is computed as if nothing had been.
    assert_eq!(sorted(&Tensor::f64([2.0, 1.0]), 0).to_vec::<f64>().unwrap(), [1.0, 2.0]);
}

#[test]
fn a_panic_is_an_error() {
    let error = sorted(&Tensor::f64([13.0]), 0).eval().unwrap_err();
    assert!(error.kind() == ErrorKind::Machine && error.to_string().contains("unlucky"), "{error}");
    assert_eq!(sorted(&Tensor::f64([14.0]), 0).to_vec::<f64>().unwrap(), [14.0]);
}

#[test]
fn what_does_not_fit_is_refused_by_the_functions_name() {
    let of = |shape: &[usize], dtype| Tensor::placeholder(shape, dtype);
    let x = of(&[2, 3], DType::F64);
    for (call, word) in [
        (sorted(&x, 0), "takes one vector"),
        (sorted(&x, 3), "leading axes"),
        (sorted(&of(&[3], DType::I32), 0), "cast"),
        (sorted(&of(&[3], DType::F16), 0), "cast"),
        (host_call(Sorted { factor: 1.0 }, &[], 0), "at least one input"),
        (host_call(Sorted { factor: 1.0 }, &[&x, &of(&[2, 3], DType::F32)], 1), "cast"),
        (host_call(Sorted { factor: 1.0 }, &[&x, &of(&[3, 3], DType::F64)], 1), "leading axes"),
        (host_call(Sorted { factor: 1.0 }, &[&x, &x], 1), "takes one vector"),
    ] {
        let error = call.error().unwrap_or_else(|| panic!("takes what it should refuse: {word}"));
        let text = error.to_string();
        assert!(error.operation() == "sorted" && text.contains(word) && text.contains("host.rs"), "{word}: {text}");
    }
    let mistake = Tensor::ones([2]).matmul(&Tensor::ones([3]));
    assert_eq!(sorted(&mistake, 0).error().map(|error| error.operation().to_string()), Some("matmul".into()));
}
