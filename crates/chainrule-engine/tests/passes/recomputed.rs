//! What is computed again instead of being kept: which values stay in memory, and that the bits are
//! those of values that were kept.

use crate::support::same_text;
use chainrule_engine::compile::graph::Graph;
use chainrule_engine::compile::kernel::{Code, Kernel};
use chainrule_engine::compile::pipeline::{Compilation, compile};
use chainrule_engine::{DType, Options, Runtime, Tensor};

/// The program of some roots.
fn compiled(roots: &[&Tensor], options: Options) -> Compilation {
    let graph = Graph::of(roots).0;
    compile(graph.clone(), &vec![None; graph.roots.len()], options, |_, _, _| ())
}

/// How often each kernel computes a hyperbolic tangent, and how many elements it writes.
fn kernels(compilation: &Compilation) -> String {
    let describe = |kernel: &Kernel| {
        let region = match kernel {
            Kernel::Region(region) => Some(region),
            Kernel::Contract(contract) => contract.epilogue.as_ref(),
            _ => None,
        };
        let code = region.map_or(&[][..], |region| &region.code);
        let count = |test: fn(&Code) -> bool| code.iter().filter(|i| test(&i.code)).count();
        let tanh = count(|code| matches!(code, Code::Unary(chainrule_engine::compile::kernel::Unary::Tanh, _)));
        let stores = count(|code| matches!(code, Code::Store(..)));
        let kind = format!("{kernel:?}").split(['(', ' ']).next().unwrap_or_default().to_lowercase();
        format!("{kind}: {tanh} tanh, {stores} stores\n")
    };
    compilation.kernels.kernels.iter().map(describe).collect()
}

fn leaf(shape: &[usize]) -> Tensor {
    Tensor::placeholder(shape, DType::F32)
}

/// A sum that is kept, as a product reads it, and a function of it that a later product asks for.
fn layer(rows: usize, function: fn(&Tensor) -> Tensor) -> [Tensor; 2] {
    let (x, w, v) = (leaf(&[rows, 48]), leaf(&[48, 64]), leaf(&[64, 32]));
    let sum = x.matmul(&w);
    let back = leaf(&[rows, 32]).matmul(&v.permute([1, 0])) * function(&sum);
    [sum.matmul(&v), back]
}

/// The kernels that store something, with and without.
fn both(rows: usize, function: fn(&Tensor) -> Tensor) -> [String; 2] {
    let [out, back] = layer(rows, function);
    [true, false].map(|recompute| kernels(&compiled(&[&out, &back], Options { recompute, ..Options::default() })))
}

#[test]
fn a_cheap_function_of_a_kept_value_is_computed_where_it_is_read() {
    let [again, kept] = both(128, |sum| sum * sum + 1.0);
    same_text(
        "kept",
        &kept,
        "
        contract: 0 tanh, 2 stores
        contract: 0 tanh, 1 stores
        contract: 0 tanh, 0 stores",
    );
    same_text(
        "again",
        &again,
        "
        contract: 0 tanh, 0 stores
        contract: 0 tanh, 1 stores
        contract: 0 tanh, 0 stores",
    );
}

/// A layer norm before a product, whose inner values the backward pass reads.
fn normed(rows: usize) -> Result<Vec<Tensor>, chainrule_engine::Error> {
    let (x, w) = (leaf(&[rows, 48]), leaf(&[48, 64]));
    let mean = |t: &Tensor| (t.sum_over(&[-1]) / 48.0).unsqueeze(-1);
    let centred = &x - mean(&x);
    let y = (&centred / (mean(&centred.square()) + 1e-5).sqrt()).matmul(&w);
    let loss = y.square().sum();
    let mut all = loss.grad(&[&x, &w])?;
    all.push(loss);
    Ok(all)
}

/// Elements of all intermediate values that are written to memory.
fn written(recompute: bool) -> Result<usize, chainrule_engine::Error> {
    let roots = normed(256)?;
    let compilation = compiled(&roots.iter().collect::<Vec<_>>(), Options { recompute, ..Options::default() });
    let temporary = |buffer: &&chainrule_engine::compile::lower::Buffer| buffer.place == chainrule_engine::compile::lower::Place::Temporary;
    Ok(compilation.kernels.buffers.iter().filter(temporary).map(|buffer| buffer.len).sum())
}

/// What there is one of for each row is kept, so that what is made of it by element need not be: of a layer norm
/// only its result, which a product reads, and two numbers per row.
#[test]
fn elements_are_made_again_from_values_per_row() -> Result<(), chainrule_engine::Error> {
    let (again, kept) = (written(true)?, written(false)?);
    assert!(kept - again >= 3 * 256 * 48, "{again} elements instead of {kept}");
    Ok(())
}

/// Two functions of one product, both asked for elsewhere: the product is written instead.
#[test]
fn a_product_is_kept_in_the_place_of_several_functions_of_it() {
    let (a, b, c, d) = (leaf(&[128, 48]), leaf(&[48, 64]), leaf(&[128, 64]), leaf(&[128, 64]));
    let product = a.matmul(&b);
    let (one, two) = (&product * &c, &product * &d);
    // A reduction reads both; a product would have to read them from memory.
    let out = (&one * &two.sum_over(&[-1]).unsqueeze(-1) + &two).sum_over(&[0]);
    let [again, kept] = [true, false].map(|recompute| kernels(&compiled(&[&out], Options { recompute, ..Options::default() })));
    assert!(kept.starts_with("contract: 0 tanh, 2 stores"), "{kept}");
    assert!(again.starts_with("contract: 0 tanh, 0 stores"), "{again}");
}

#[test]
fn what_costs_more_than_memory_is_kept() {
    let [again, kept] = both(128, |sum| ((sum.tanh() + 1.0).tanh() + 1.0).tanh());
    assert_eq!(again, kept);
}

#[test]
fn what_stays_in_the_cache_is_kept() {
    let [again, kept] = both(8, |sum| sum * sum + 1.0);
    assert_eq!(again, kept);
}

#[test]
fn the_bits_are_the_same() -> Result<(), chainrule_engine::Error> {
    let run = |recompute: bool| -> Result<Vec<f32>, chainrule_engine::Error> {
        let numbers = |seed: u64, shape: &[usize]| Tensor::randn(shape, &mut chainrule_engine::Rng::new(seed));
        let (x, w, v) = (numbers(1, &[128, 48]), numbers(2, &[48, 64]), numbers(3, &[64, 32]));
        let h = x.matmul(&w);
        let h = (&h * (&h * 0.3).tanh() + h.sigmoid()) / (h.square().sum_over(&[-1]).unsqueeze(-1) + 1.0).sqrt();
        let y = h.matmul(&v).square().mean();
        let gradients = y.grad(&[&x, &w, &v])?;
        let roots: Vec<&Tensor> = gradients.iter().collect();
        Tensor::eval_all_on(&Runtime::shared().with_options(Options { recompute, ..Options::default() }), &roots)?;
        let all: Result<Vec<Vec<f32>>, _> = gradients.iter().map(Tensor::to_vec::<f32>).collect();
        Ok(all?.concat())
    };
    assert_eq!(run(true)?, run(false)?);
    Ok(())
}
