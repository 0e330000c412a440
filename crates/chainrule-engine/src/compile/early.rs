//! Kernels that run as soon as what they read has been written.
//!
//! Refuses to choose them: who copies a small part of a large value asks for it when it is lowered.

use super::kernel::{BufferId, Kernel};
use super::lower::Kernels;
use super::schedule::written;

/// Some kernels moved up to where the buffer they read has just been written, so that it need not be kept longer.
pub fn moved_up(mut kernels: Kernels, early: &[(usize, BufferId)]) -> Kernels {
    if early.is_empty() {
        return kernels;
    }
    let mut written_by = vec![0; kernels.buffers.len()];
    for (k, kernel) in kernels.kernels.iter().enumerate() {
        written(kernel).for_each(|buffer| written_by[buffer as usize] = k);
    }
    // What stays comes before what is moved up behind it.
    let mut order: Vec<(usize, bool, usize)> = (0..kernels.kernels.len()).map(|k| (k, false, k)).collect();
    for &(k, buffer) in early {
        let after = written_by[buffer as usize];
        if after < k {
            order[k] = (after, true, k);
        }
    }
    order.sort_unstable();
    let mut own: Vec<Option<Kernel>> = std::mem::take(&mut kernels.kernels).into_iter().map(Some).collect();
    let sites = std::mem::take(&mut kernels.sites);
    kernels.kernels = order.iter().filter_map(|&(.., k)| own[k].take()).collect();
    kernels.sites = order.iter().map(|&(.., k)| sites[k]).collect();
    kernels
}
