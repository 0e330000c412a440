//! Keeping gradients from becoming too long.

use chainrule_engine::Tensor;

/// Scales gradients so that together they are no longer than `longest`, and gives their length
/// before that: the root of the sum of all squares, as a scalar of the first one's element type.
///
/// The factor is `min(1, longest / (length + 1e-6))`, as in PyTorch (Pascanu et al., 2013). A
/// length that is not finite makes gradients that are not: nothing is hidden.
///
/// ```
/// use chainrule::prelude::*;
/// use chainrule::optim::clip_by_global_norm;
/// let (short, length) = clip_by_global_norm(&[Tensor::from([3.0]), Tensor::from([[4.0]])], 1.0);
/// assert_eq!(length.item()?, 5.0);
/// assert!((short[1].item()? - 0.8).abs() < 1e-6);
/// # Ok::<(), chainrule::Error>(())
/// ```
#[track_caller]
pub fn clip_by_global_norm(gradients: &[Tensor], longest: f64) -> (Vec<Tensor>, Tensor) {
    let mut squares = gradients.iter().map(|g| g.square().sum());
    let Some(first) = squares.next() else {
        return (Vec::new(), Tensor::zeros(()));
    };
    let kind = first.dtype();
    let length = squares.fold(first, |sum, square| sum + square.cast(kind)).sqrt();
    let factor = (longest / (&length + 1e-6)).minimum(&length.ones_like());
    let short = gradients.iter().map(|g| g * factor.cast(g.dtype())).collect();
    (short, length)
}
