//! NumPy's broadcasting, against nested loops, for every pair of small shapes.

use crate::support::{agree, eval, oracle, random};
use chainrule_engine::{DType, ErrorKind, Tensor};

/// Every shape of up to three axes of sizes 0, 1, 2 and 3, but for the longest of empty ones.
fn shapes() -> Vec<Vec<usize>> {
    let sizes = [1usize, 2, 3, 0];
    let mut all = vec![vec![]];
    for a in sizes {
        all.push(vec![a]);
        for b in sizes {
            all.push(vec![a, b]);
            all.extend([1, 2, 3].map(|c| vec![a, b, c]));
        }
    }
    all
}

/// The rule, written down once more: aligned at the end, sizes equal or one of them 1.
fn joint(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| if axis + shape.len() < rank { 1 } else { shape[axis + shape.len() - rank] };
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (1, n) | (n, 1) => Some(n),
            (n, m) => (n == m).then_some(n),
        })
        .collect()
}

/// The element of `values` that stands at place `flat` of `out`.
fn at(values: &[f64], shape: &[usize], out: &[usize], flat: usize) -> f64 {
    let (mut rest, mut position, mut step) = (flat, 0, 1);
    for axis in (0..out.len()).rev() {
        let index = rest % out[axis];
        rest /= out[axis];
        if let Some(own) = (axis + shape.len()).checked_sub(out.len()) {
            position += if shape[own] == 1 { 0 } else { index * step };
            step *= shape[own];
        }
    }
    values[position]
}

#[test]
fn every_pair_of_shapes() {
    let all = shapes();
    let mut fitting = 0;
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate() {
            let (x, y) = (random(a, i as u64), random(b, 100 + j as u64));
            let z = &x * &y - &y;
            let Some(out) = joint(a, b) else {
                assert_eq!(z.error().map(|error| error.kind()), Some(ErrorKind::Shape), "{a:?} with {b:?}");
                continue;
            };
            fitting += 1;
            assert_eq!(z.shape(), out, "{a:?} with {b:?}");
            let (u, v) = (oracle(&x), oracle(&y));
            let want: Vec<f64> =
                (0..out.iter().product()).map(|flat| at(&u, a, &out, flat) * at(&v, b, &out, flat) - at(&v, b, &out, flat)).collect();
            if let Err(message) = agree(&format!("{a:?} with {b:?}"), &eval(&z), &want, 1e-15) {
                panic!("{message}");
            }
        }
    }
    assert!(fitting > 1000, "only {fitting} pairs fit");
}

#[test]
fn gradients_have_the_shapes_of_their_tensors() {
    for a in shapes() {
        for b in shapes() {
            let (x, y) = (random(&a, 1), random(&b, 2));
            let Some(out) = joint(&a, &b) else { continue };
            let Ok(g) = (&x * &y).sum().grad(&[&x, &y]) else { panic!("{a:?} with {b:?} has no gradient") };
            assert_eq!((g[0].shape(), g[1].shape()), (&a[..], &b[..]));
            // The derivative by x is the sum of y over what x was repeated along.
            let v = oracle(&y);
            let mut want = vec![0.0; a.iter().product()];
            let places: Vec<f64> = (0..want.len()).map(|i| i as f64).collect();
            for flat in 0..out.iter().product() {
                want[at(&places, &a, &out, flat) as usize] += at(&v, &b, &out, flat);
            }
            if let Err(message) = agree(&format!("{a:?} with {b:?}"), &eval(&g[0]), &want, 1e-14) {
                panic!("{message}");
            }
        }
    }
}

#[test]
fn numbers_take_the_type_of_the_tensor_on_either_side() {
    for dtype in DType::ALL.into_iter().filter(|dtype| *dtype != DType::Bool) {
        let x = Tensor::full([3], 6.0, dtype);
        for (name, y, want) in [
            ("x + 2", &x + 2, 8.0),
            ("2 + x", 2 + &x, 8.0),
            ("x - 2", &x - 2.0, 4.0),
            ("8 - x", 8.0 - &x, 2.0),
            ("x * 3", x.clone() * 3, 18.0),
            ("12 / x", 12 / x.clone(), 2.0),
            ("x / 2", &x / 2, 3.0),
            ("x % 4", &x % 4, 2.0),
            ("20 % x", 20.0 % &x, 2.0),
        ] {
            assert_eq!((y.dtype(), eval(&y)), (dtype, vec![want; 3]), "{name} of {dtype}");
        }
    }
}

#[test]
fn bools_combine_as_tensors_and_as_references() {
    let (a, b) = (Tensor::from([true, true, false]), Tensor::from([[true], [false]]));
    let bools = |t: Tensor| t.to_vec::<bool>().unwrap_or_default();
    let (both, either) = ([true, true, false, false, false, false], [true, true, true, true, true, false]);
    for got in [&a & &b, a.clone() & &b, &a & b.clone(), a.clone() & b.clone()] {
        assert_eq!(bools(got), both);
    }
    for got in [&a | &b, a.clone() | &b, &a | b.clone(), a.clone() | b.clone()] {
        assert_eq!(bools(got), either);
    }
    assert_eq!(bools(!&a), [false, false, true]);
    assert_eq!(bools(!a), [false, false, true]);
}

#[test]
fn products_of_matrices_broadcast_their_leading_axes() {
    let shapes: [(&[usize], &[usize], &[usize]); 12] = [
        (&[2, 3], &[3, 4], &[2, 4]),
        (&[3], &[3], &[]),
        (&[3], &[3, 2], &[2]),
        (&[2, 3], &[3], &[2]),
        (&[5, 2, 3], &[3, 4], &[5, 2, 4]),
        (&[2, 3], &[5, 3, 4], &[5, 2, 4]),
        (&[5, 1, 2, 3], &[4, 3, 2], &[5, 4, 2, 2]),
        (&[1, 2, 3], &[1, 3, 2], &[1, 2, 2]),
        (&[3], &[4, 3, 2], &[4, 2]),
        (&[4, 2, 3], &[3], &[4, 2]),
        (&[1, 1, 2, 3], &[3, 2], &[1, 1, 2, 2]),
        (&[0, 2, 3], &[3, 1], &[0, 2, 1]),
    ];
    for (a, b, out) in shapes {
        let (x, y) = (random(a, 1), random(b, 2));
        let z = x.matmul(&y);
        assert_eq!(z.shape(), out, "{a:?} x {b:?}");
        // As rows times columns, summed by hand.
        let (k, n) = (a[a.len() - 1], if b.len() > 1 { b[b.len() - 1] } else { 1 });
        let m = if a.len() > 1 { a[a.len() - 2] } else { 1 };
        let (u, v) = (oracle(&x), oracle(&y));
        let (lead_a, lead_b) = (&a[..a.len().saturating_sub(2)], &b[..b.len().saturating_sub(2)]);
        let lead = joint(lead_a, lead_b).unwrap_or_default();
        let mut want = Vec::new();
        for batch in 0..lead.iter().product::<usize>() {
            let block = |shape: &[usize]| {
                let places: Vec<f64> = (0..shape.iter().product::<usize>()).map(|i| i as f64).collect();
                at(&places, shape, &lead, batch) as usize
            };
            let (p, q) = (block(lead_a) * m * k, block(lead_b) * k * n);
            for i in 0..m {
                want.extend((0..n).map(|j| (0..k).map(|l| u[p + i * k + l] * v[q + l * n + j]).sum::<f64>()));
            }
        }
        if let Err(message) = agree(&format!("{a:?} x {b:?}"), &eval(&z), &want, 1e-14) {
            panic!("{message}");
        }
    }
}
