//! Programs with many products.

use crate::{Runtime, Step, Tensor};

type Outcome = Result<(), crate::Error>;

/// Products of which each is alike two others, on other parts of the same leaves: results of vectors (whose
/// operands change sides), batches, sums in chunks, code that follows.
#[test]
fn products_that_are_alike_read_each_its_own_operands() -> Outcome {
    let numbers = |len: usize, seed: usize| -> Vec<f32> { (0..len).map(|i| ((i * 7 + seed * 5) % 9) as f32 - 4.0).collect() };
    for (batch, m, n, k) in [(1, 5, 6, 7), (1, 40, 1, 16), (1, 1, 40, 16), (3, 9, 20, 8), (1, 4, 3, 2048), (1, 70, 96, 130)] {
        let (a, b) = (numbers(3 * batch * m * k, 1), numbers(3 * batch * k * n, 2));
        let (x, w) = (Tensor::from_slice(&a, [3, batch, m, k]), Tensor::from_slice(&b, [3, batch, k, n]));
        let product = |i: isize, j: isize| x.index(0, i).matmul(&w.index(0, j));
        let plain: Vec<Tensor> = (0..3).map(|i| product(i, 2 - i)).collect();
        let with_code: Vec<Tensor> = (0..3).map(|i| product(i, (i + 1) % 3) * 2.0 + 1.0).collect();
        let mut step = Step::capture_on(&Runtime::new(2)?, &[], &plain.iter().chain(&with_code).collect::<Vec<_>>(), &[])?;
        let models = super::models(&step.program().kernels.kernels);
        assert!(models.iter().enumerate().any(|(at, &model)| at != model), "some are alike");
        step.run(&[])?;
        for i in 0..3 {
            let (got, coded) = (step.output(i).to_vec::<f32>()?, step.output(3 + i).to_vec::<f32>()?);
            let want = |at: usize, j: usize| -> f32 {
                let (of, row, col) = (at / (m * n), at / n % m, at % n);
                let (a, b) = (&a[((i * batch + of) * m + row) * k..], &b[(j * batch + of) * k * n + col..]);
                (0..k).map(|p| a[p] * b[p * n]).sum()
            };
            for at in 0..batch * m * n {
                let wanted = (want(at, 2 - i), want(at, (i + 1) % 3) * 2.0 + 1.0);
                assert_eq!((got[at], coded[at]), wanted, "product {i} of {batch} x {m} x {n} x {k} at {at}");
            }
        }
    }
    Ok(())
}

/// Twelve independent products, whose operands, packed, would be some 19 to 38 MiB together.
#[test]
fn independent_products_share_little_memory_at_a_time_and_keep_their_values() -> Outcome {
    let leaf = |seed: usize| {
        let numbers: Vec<f32> = (0..640 * 640).map(|i| ((i * 7 + seed * 13) % 29) as f32 - 14.0).collect();
        Tensor::from_slice(&numbers, [640, 640])
    };
    let pairs: Vec<(Tensor, Tensor)> = (0..12).map(|i| (leaf(i), leaf(i + 12))).collect();
    // The right operand is packed on every machine, as its columns are apart in memory; the left one on most.
    let products: Vec<Tensor> = pairs.iter().map(|(a, b)| a.t().matmul(&b.t())).collect();
    let roots: Vec<&Tensor> = products.iter().collect();
    let mut step = Step::capture_on(&Runtime::new(2)?, &[], &roots, &[])?;
    assert_eq!(step.program().schedule.waves.len(), 1, "they are independent");
    let packed = step.program().executor.packed_bytes();
    assert!((1..=super::MOST_PACKED).contains(&packed), "{packed} bytes");
    step.run(&[])?;
    // Whole numbers: exact in any order of the sums.
    for (i, (a, b)) in pairs.iter().enumerate() {
        let (a, b, got) = (a.to_vec::<f32>()?, b.to_vec::<f32>()?, step.output(i).to_vec::<f32>()?);
        for (row, col) in [(0, 0), (3, 639), (639, 5), (320, 321)] {
            let want: f32 = (0..640).map(|p| a[p * 640 + row] * b[col * 640 + p]).sum();
            assert_eq!(got[row * 640 + col], want, "product {i} at {row}, {col}");
        }
    }
    Ok(())
}
