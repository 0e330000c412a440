//! A captured step allocates nothing, not even when it runs for the first time: neither on the caller's thread nor on the
//! team's, for scalar code, products, reductions and updates alike. Which thread takes which unit is left to chance, so
//! what a thread needs is there before.
//!
//! One test, as the count is that of the whole process.

use chainrule_engine::functions::loss::cross_entropy;
use chainrule_engine::functions::{ScanOptions, cond, scan, while_loop};
use chainrule_engine::ops::ArgSort;
use chainrule_engine::{DType, Result, Rng, Runtime, Step, Tensor};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The system's allocator, counting.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A step of a thousand operations on scalars.
fn scalars(runtime: &Runtime) -> Result<(Step, Vec<Tensor>)> {
    let x = Tensor::placeholder([0usize; 0].as_slice(), DType::F32);
    let y = (0..1000).fold(x.clone(), |y, i| match i % 4 {
        0 => y.sin(),
        1 => &y * &x,
        2 => y.tanh(),
        _ => &y + &x,
    });
    Ok((Step::capture_on(runtime, &[&x], &[&y], &[])?, vec![Tensor::from_slice(&[0.5f32], ())]))
}

/// A training step of two layers with a normalisation between, on class labels.
fn training(runtime: &Runtime) -> Result<(Step, Vec<Tensor>)> {
    let mut rng = Rng::new(1);
    let (x, labels) = (Tensor::placeholder([64, 40].as_slice(), DType::F32), Tensor::placeholder([64].as_slice(), DType::I64));
    let (w, v) = ((Tensor::randn([40, 96], &mut rng) * 0.1).to_leaf()?, (Tensor::randn([96, 10], &mut rng) * 0.1).to_leaf()?);
    let hidden = x.matmul(&w);
    let hidden = (&hidden - hidden.mean_over(&[-1]).unsqueeze(-1)).gelu();
    let loss = cross_entropy(&hidden.matmul(&v), &labels);
    let gradients = loss.grad(&[&w, &v])?;
    let (new_w, new_v) = (&w - &gradients[0] * 0.1, &v - &gradients[1] * 0.1);
    let step = Step::capture_on(runtime, &[&x, &labels], &[&loss], &[(&w, &new_w), (&v, &new_v)])?;
    let batch = vec![Tensor::randn([64, 40], &mut rng).to_leaf()?, Tensor::randint([64], 10, &mut rng).to_leaf()?];
    Ok((step, batch))
}

/// A step on an embedding of bf16, whose gradient is added up aside.
fn embedding(runtime: &Runtime) -> Result<(Step, Vec<Tensor>)> {
    let mut rng = Rng::new(2);
    let (table, picked) = (Tensor::randn([300, 64], &mut rng), Tensor::placeholder([5000].as_slice(), DType::I64));
    let table = table.cast(DType::BF16).to_leaf()?;
    let loss = table.gather(&picked).square().sum();
    let new_table = &table - &loss.grad(&[&table])?[0] * 0.001;
    let step = Step::capture_on(runtime, &[&picked], &[&loss], &[(&table, &new_table)])?;
    Ok((step, vec![Tensor::randint([5000], 300, &mut rng).to_leaf()?]))
}

/// The sum of the largest numbers of rows of many lengths, by a sort.
fn sorted(runtime: &Runtime) -> Result<(Step, Vec<Tensor>)> {
    let x = Tensor::placeholder([24, 3000].as_slice(), DType::F32);
    let sort = |x: &Tensor| x.gather_last(&Tensor::record(ArgSort { descending: true, first: None }, [x.clone()]));
    let (long, short) = (sort(&x), sort(&x.cast(DType::F64).reshape([7200, 10])));
    let loss = (long.slice(1, ..100).sum(), short.slice(1, ..3).sum());
    let gradient = loss.0.grad(&[&x])?.remove(0);
    Ok((
        Step::capture_on(runtime, &[&x], &[&loss.0, &loss.1, &gradient], &[])?,
        vec![Tensor::randn([24, 3000], &mut Rng::new(3)).to_leaf()?],
    ))
}

/// A training step of a recurrent cell over a scan, with a loop of unknown length and a branch beside it.
fn looped(runtime: &Runtime) -> Result<(Step, Vec<Tensor>)> {
    let mut rng = Rng::new(4);
    let x = Tensor::placeholder([12, 40, 64].as_slice(), DType::F32);
    let w = (Tensor::randn([64, 64], &mut rng) * 0.1).to_leaf()?;
    let step = |c: &[Tensor], x: &[Tensor]| Ok((vec![(c[0].matmul(&w) + &x[0]).tanh()], vec![]));
    let (last, _) = scan(&[&Tensor::zeros([40, 64])], &[&x], ScanOptions::default(), step)?;
    let halved = while_loop(|c| Ok(c[0].square().sum().greater(&Tensor::from(1.0))), |c| Ok(vec![&c[0] * 0.5]), &[&last[0]], None)?;
    let branch = cond(&last[0].sum().greater(&Tensor::from(0.0)), &[&last[0]], |c| Ok(vec![c[0].sin()]), |c| Ok(vec![c[0].exp()]))?;
    let loss = branch[0].square().sum();
    let new_w = &w - &loss.grad(&[&w])?[0] * 0.001;
    let step = Step::capture_on(runtime, &[&x], &[&loss, &halved[0].sum()], &[(&w, &new_w)])?;
    Ok((step, vec![Tensor::randn([12, 40, 64], &mut rng).to_leaf()?]))
}

#[test]
fn a_captured_step_allocates_nothing() -> Result<()> {
    for threads in [1, 2] {
        let runtime = Runtime::new(threads)?;
        for (name, (mut step, batch)) in [
            ("scalars", scalars(&runtime)?),
            ("training", training(&runtime)?),
            ("embedding", embedding(&runtime)?),
            ("sorted", sorted(&runtime)?),
            ("looped", looped(&runtime)?),
        ] {
            let inputs: Vec<&Tensor> = batch.iter().collect();
            let before = COUNT.load(Ordering::Relaxed);
            (0..20).try_for_each(|_| step.run(&inputs))?;
            let count = COUNT.load(Ordering::Relaxed) - before;
            assert_eq!(count, 0, "{name} on {threads} threads: allocations in 20 steps");
        }
    }
    Ok(())
}
