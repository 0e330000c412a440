//! What every function is put through: gradients in both modes and both orders, batching, origins.

use chainrule_engine::transform::{jvp, vmap};
use chainrule_engine::{DType, ErrorKind, Tensor};
use std::collections::HashSet;

/// Numbers between -2 and 2 without ties, the same for the same seed.
pub fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64 * 4.0 - 2.0
    };
    for _ in 0..8 {
        next();
    }
    (0..count).map(|_| next()).collect()
}

pub fn random(shape: &[usize], seed: u64) -> Tensor {
    Tensor::from_vec(numbers(shape.iter().product(), seed), shape)
}

pub fn vector(values: &[f64]) -> Tensor {
    Tensor::from_slice(values, [values.len()])
}

#[track_caller]
pub fn values(x: &Tensor) -> Vec<f64> {
    x.to_data().unwrap().to_f64()
}

/// The gradient of the sum.
#[track_caller]
pub fn slope(y: &Tensor, x: &Tensor) -> Vec<f64> {
    values(&y.sum().grad(&[x]).unwrap()[0])
}

#[track_caller]
pub fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: {found:?} for {expected:?}");
    let size = expected.iter().fold(1.0f64, |size, v| if v.is_finite() { size.max(v.abs()) } else { size });
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let same = f == e || (f.is_nan() && e.is_nan()) || (f - e).abs() <= tolerance * size;
        assert!(same, "{what}, element {i}: {f:?} is not {e:?}\n found    {found:?}\n expected {expected:?}");
    }
}

/// Holds a function of f64 tensors to everything a function must satisfy near its arguments.
#[track_caller]
pub fn check_gradients(name: &str, f: impl Fn(&[Tensor]) -> Tensor, inputs: &[Tensor]) {
    check(name, &f, inputs);
}

/// Compiled once, not for every function that is checked.
#[track_caller]
fn check(name: &str, f: &dyn Fn(&[Tensor]) -> Tensor, inputs: &[Tensor]) {
    let y = f(inputs);
    y.check().unwrap_or_else(|e| panic!("{name}: {e}"));
    let weights = random(y.shape(), 77);
    let loss = |inputs: &[Tensor]| (f(inputs) * &weights).sum();
    let gradient = |inputs: &[Tensor]| -> Vec<Tensor> { loss(inputs).grad(&references(inputs)).unwrap_or_else(|e| panic!("{name}: {e}")) };
    let first = gradient(inputs);

    for (i, (input, first)) in inputs.iter().zip(&first).enumerate() {
        assert_eq!(first.shape(), input.shape(), "{name}: shape of gradient {i}");
        let expected: Vec<f64> = (0..input.len()).map(|at| difference(&loss, inputs, i, at)).collect();
        close(&format!("{name}: gradient {i}"), &values(first), &expected, 2e-7);
    }

    let tangents: Vec<Tensor> = inputs.iter().enumerate().map(|(i, x)| random(x.shape(), 900 + i as u64)).collect();
    let along = first.iter().zip(&tangents).map(|(g, t)| (g * t).sum()).reduce(|a, b| a + b).unwrap();
    let forward = forward_mode(name, &loss(inputs), inputs, &tangents);
    close(&format!("{name}: forward mode"), &values(&forward), &values(&along), 1e-11);

    let reverse_twice = along.grad_or_zeros(&references(inputs)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let step = 1e-5;
    let moved = |by: f64| -> Vec<Tensor> { inputs.iter().zip(&tangents).map(|(x, t)| (x + t * by).to_leaf().unwrap()).collect() };
    let (above, below) = (gradient(&moved(step)), gradient(&moved(-step)));
    for (i, g) in first.iter().enumerate() {
        let expected: Vec<f64> = values(&above[i]).iter().zip(values(&below[i])).map(|(a, b)| (a - b) / (2.0 * step)).collect();
        close(&format!("{name}: reverse over reverse {i}"), &values(&reverse_twice[i]), &expected, 2e-6);
        let forward = forward_mode(name, g, inputs, &tangents);
        close(&format!("{name}: forward over reverse {i}"), &values(&forward), &expected, 2e-6);
    }

    check_batched(name, f, inputs);
    check_origins(name, &[&[y], &first[..], &reverse_twice[..]].concat());
}

fn references(tensors: &[Tensor]) -> Vec<&Tensor> {
    tensors.iter().collect()
}

fn difference(loss: &dyn Fn(&[Tensor]) -> Tensor, inputs: &[Tensor], i: usize, at: usize) -> f64 {
    let step = 1e-5;
    let moved = |by: f64| {
        let mut data = values(&inputs[i]);
        data[at] += by;
        let mut inputs = inputs.to_vec();
        inputs[i] = Tensor::from_slice(&data, inputs[i].shape());
        loss(&inputs).item().unwrap()
    };
    (moved(step) - moved(-step)) / (2.0 * step)
}

fn forward_mode(name: &str, y: &Tensor, inputs: &[Tensor], tangents: &[Tensor]) -> Tensor {
    match jvp(&[y], &references(inputs), &references(tangents)) {
        Ok(mut tangent) => tangent.remove(0),
        // A gradient that does not depend on the inputs.
        Err(error) if error.kind() == ErrorKind::Disconnected => y.zeros_like(),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Two examples at once give what they give one by one.
fn check_batched(name: &str, f: &dyn Fn(&[Tensor]) -> Tensor, inputs: &[Tensor]) {
    let others: Vec<Tensor> = inputs.iter().map(|x| (x * 0.75).to_leaf().unwrap()).collect();
    let batches: Vec<Tensor> = inputs.iter().zip(&others).map(|(a, b)| Tensor::stack(&[a, b], 0)).collect();
    let axes = vec![Some(0); inputs.len()];
    let both = vmap(|one| Ok(vec![f(one)]), &references(&batches), &axes).unwrap_or_else(|e| panic!("{name}: {e}"));
    let expected = [values(&f(inputs)), values(&f(&others))].concat();
    close(&format!("{name}: batched"), &values(&both[0]), &expected, 1e-13);
}

/// Every node belongs to a line outside the library, but for zeros that a transform fills in.
fn check_origins(name: &str, roots: &[Tensor]) {
    let mut open = roots.to_vec();
    let mut seen = HashSet::new();
    while let Some(node) = open.pop() {
        if seen.insert(node.id()) {
            let place = node.origin().place().to_string();
            assert!(place.contains("tests") || place.contains("transform/reverse.rs"), "{name}: {:?} has its origin at {place}", node.op());
            open.extend(node.inputs().iter().cloned());
        }
    }
}

/// Sees to it that a tensor stands for a mistake of the function called `name`, made in `file`; tells the line.
pub fn line_of_mistake(name: &str, call: &str, tensor: &Tensor, file: &str) -> u32 {
    let error = match tensor.check() {
        Err(error) => error,
        Ok(()) => panic!("{name} accepts {call}"),
    };
    assert_eq!(error.operation(), name, "{error}");
    let origin = error.origin().unwrap_or_else(|| panic!("no line: {error}"));
    assert_eq!(origin.file(), file, "{error}");
    origin.line()
}

/// Zeros, as floats.
pub fn f(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape)
}

/// Zeros, as whole numbers.
pub fn i(shape: &[usize]) -> Tensor {
    Tensor::full(shape, 0.0, DType::I64)
}
