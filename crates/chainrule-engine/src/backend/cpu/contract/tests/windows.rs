//! Products of windows that overlap.

use super::super::CompiledContract;
use super::{Draw, check, dense, filled, made, run};
use crate::compile::kernel::{Access, Axes, Contract};
use crate::tensor::{DType, Precision};

/// Windows of three by three over images, as a product and as the gradient of their kernel.
pub(super) fn windows(gradient: bool) -> (Contract, [usize; 3]) {
    let (images, side, channels, filters) = (5_usize, 11_usize, 5_usize, 20_usize);
    let inner = side - 2;
    let (row, image) = ((side * channels) as isize, (side * side * channels) as isize);
    let places: Axes<usize> = [images, inner, inner].into_iter().collect();
    let window: Axes<usize> = [3, 3, channels].into_iter().collect();
    let place_strides = [image, row, channels as isize];
    let window_strides = [row, channels as isize, 1];
    let columns: Axes<usize> = [filters].into_iter().collect();
    let count = images * inner * inner;
    let (m, k, strides) = if gradient {
        (window, places, [window_strides, place_strides].concat())
    } else {
        (places, window, [place_strides, window_strides].concat())
    };
    let a = Access { buffer: 0, dtype: DType::F32, offset: 0, strides: strides.into_iter().collect() };
    let b = dense(1, DType::F32, &[&k[..], &[filters]].concat());
    let out = dense(2, DType::F32, &[&m[..], &[filters]].concat());
    let (k_len, m_len): (usize, usize) = (k.iter().product(), m.iter().product());
    let lengths = [images * side * side * channels, k_len * filters, m_len * filters];
    assert_eq!(count, m_len.max(k_len));
    let c = Contract {
        batch: Axes::new(),
        m,
        n: columns,
        k,
        a,
        b,
        out,
        k_chunks: 1,
        accumulate: false,
        precision: Precision::Full,
        epilogue: None,
    };
    (c, lengths)
}

#[test]
fn overlapping_windows_are_products() {
    for gradient in [false, true] {
        for (dtype, k_chunks) in [(DType::F32, 1), (DType::BF16, 1), (DType::F64, 4)] {
            let (mut c, mut lengths) = windows(gradient);
            for access in [&mut c.a, &mut c.b, &mut c.out] {
                access.dtype = dtype;
            }
            if k_chunks > 1 {
                c.out.strides.insert(0, lengths[2] as isize);
                lengths[2] *= k_chunks;
                c.k_chunks = k_chunks;
            }
            let memories = filled(&c, lengths, &mut Draw(4));
            let compiled = made(|written| CompiledContract::new(&c, written));
            let mut got = memories.clone();
            run(&compiled, &mut got, 0..compiled.compiled.units());
            check(&c, &memories, &got[2]);
        }
    }
}
