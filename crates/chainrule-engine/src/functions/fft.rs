//! Fourier transforms, composed of products and sums, so that they have derivatives of every order.
//!
//! A complex tensor is a pair of real ones ([`Complex`]). A length is taken apart into factors of at most 32 where it has
//! such factors (Cooley and Tukey, "An Algorithm for the Machine Calculation of Complex Fourier Series", 1965): each is a
//! product with a small matrix, followed by a turn of each element; a factor that is prime and below 50 is a matrix of its
//! own. A length with a larger prime is a convolution with a chirp (Bluestein, "A linear filtering approach to the
//! computation of discrete Fourier transform", 1970), of the next power of two. So the cost is `O(n log n)` of any length.
//! NumPy's names and conventions. f16 and bf16 are transformed in f32.

mod stages;

use super::attempt::{Attempt, alike, allowed, attempt, axes_of, axis_of, fits, floats, from_last, sound, to_last};
use super::recorded;
use crate::tensor::{DType, Data, Tensor};
use stages::{of_real, to_real, transform};

/// Which direction divides by the number of elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Norm {
    /// The inverse transform divides by `n`.
    #[default]
    Backward,
    /// Both divide by `sqrt(n)`: lengths stay as they are.
    Ortho,
    /// The forward transform divides by `n`.
    Forward,
}

impl Norm {
    fn factor(self, n: usize, inverse: bool) -> f64 {
        match (self, inverse) {
            (Norm::Backward, true) | (Norm::Forward, false) => 1.0 / n as f64,
            (Norm::Ortho, _) => 1.0 / (n as f64).sqrt(),
            _ => 1.0,
        }
    }
}

/// Complex numbers: a tensor of real parts and one of imaginary parts, of the same shape and element type.
#[derive(Clone, Debug)]
pub struct Complex {
    /// Real parts.
    pub re: Tensor,
    /// Imaginary parts.
    pub im: Tensor,
}

impl Complex {
    /// From the two parts, which are checked where they are used.
    pub fn new(re: &Tensor, im: &Tensor) -> Complex {
        Complex { re: re.clone(), im: im.clone() }
    }

    /// The conjugates.
    #[track_caller]
    pub fn conj(&self) -> Complex {
        Complex { re: self.re.clone(), im: -&self.im }
    }

    /// The products, element by element.
    #[track_caller]
    pub fn times(&self, other: &Complex) -> Complex {
        recorded(|| Complex { re: &self.re * &other.re - &self.im * &other.im, im: &self.re * &other.im + &self.im * &other.re })
    }

    /// The squared magnitudes.
    #[track_caller]
    pub fn norm_squared(&self) -> Tensor {
        recorded(|| self.re.square() + self.im.square())
    }

    /// The transform along an axis: `out[k] = sum over j of x[j] e^(-2 pi i j k / n)`.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::{Complex, Norm}};
    /// let x = Complex::new(&Tensor::from([1.0, 0.0, 0.0, 0.0]), &Tensor::zeros([4]));
    /// let y = x.fft(0, Norm::Backward);
    /// assert_eq!(y.re.to_vec::<f32>()?, [1.0; 4]);
    /// assert_eq!(y.ifft(0, Norm::Backward).re.to_vec::<f32>()?, [1.0, 0.0, 0.0, 0.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn fft(&self, axis: isize, norm: Norm) -> Complex {
        pair(|| along("fft", self, &[axis], norm, false))
    }

    /// The inverse of [`Complex::fft`].
    #[track_caller]
    pub fn ifft(&self, axis: isize, norm: Norm) -> Complex {
        pair(|| along("ifft", self, &[axis], norm, true))
    }

    /// The transform along each of several axes.
    #[track_caller]
    pub fn fftn(&self, axes: &[isize], norm: Norm) -> Complex {
        pair(|| along("fftn", self, axes, norm, false))
    }

    /// The inverse of [`Complex::fftn`].
    #[track_caller]
    pub fn ifftn(&self, axes: &[isize], norm: Norm) -> Complex {
        pair(|| along("ifftn", self, axes, norm, true))
    }

    /// The inverse of [`Tensor::rfft`]: `n` real numbers along an axis of the `n / 2 + 1` first of their transform. Where
    /// those of real numbers are real (the first, and of an even `n` the last), imaginary parts are not looked at.
    #[track_caller]
    pub fn irfft(&self, n: usize, axis: isize, norm: Norm) -> Tensor {
        attempt(|| backwards("irfft", self, n, axis, norm))
    }

    /// The inverse of [`Tensor::rfftn`]; `n` is the length of the last of the axes.
    #[track_caller]
    pub fn irfftn(&self, n: usize, axes: &[isize], norm: Norm) -> Tensor {
        attempt(|| {
            let (&last, others) = last_of("irfftn", axes)?;
            let part = along("irfftn", self, others, norm, true)?;
            backwards("irfftn", &part, n, last, norm)
        })
    }

    /// See [`Tensor::fftshift`].
    #[track_caller]
    pub fn fftshift(&self, axes: &[isize]) -> Complex {
        Complex { re: self.re.fftshift(axes), im: self.im.fftshift(axes) }
    }

    /// See [`Tensor::ifftshift`].
    #[track_caller]
    pub fn ifftshift(&self, axes: &[isize]) -> Complex {
        Complex { re: self.re.ifftshift(axes), im: self.im.ifftshift(axes) }
    }
}

impl Tensor {
    /// The transform of real numbers along an axis: its first `n / 2 + 1` elements, of which the others are the conjugates,
    /// backwards.
    ///
    /// ```
    /// use chainrule_engine::{Tensor, functions::Norm};
    /// let y = Tensor::from([1.0, 2.0, 3.0, 4.0]).rfft(0, Norm::Backward);
    /// assert_eq!(y.re.to_vec::<f32>()?, [10.0, -2.0, -2.0]);
    /// assert_eq!(y.im.to_vec::<f32>()?, [0.0, 2.0, 0.0]);
    /// assert_eq!(y.irfft(4, 0, Norm::Backward).to_vec::<f32>()?, [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn rfft(&self, axis: isize, norm: Norm) -> Complex {
        pair(|| halved("rfft", self, axis, norm))
    }

    /// The transform of real numbers along several axes: [`Tensor::rfft`] along the last of them, then [`Complex::fft`]
    /// along the others.
    #[track_caller]
    pub fn rfftn(&self, axes: &[isize], norm: Norm) -> Complex {
        pair(|| {
            let (&last, others) = last_of("rfftn", axes)?;
            axes_of("rfftn", self, axes)?;
            along("rfftn", &halved("rfftn", self, last, norm)?, others, norm, false)
        })
    }

    /// Frequency 0 brought from the first place of each axis to the middle one.
    #[track_caller]
    pub fn fftshift(&self, axes: &[isize]) -> Tensor {
        attempt(|| shifted("fftshift", self, axes, |size| (size / 2) as isize))
    }

    /// The inverse of [`Tensor::fftshift`].
    #[track_caller]
    pub fn ifftshift(&self, axes: &[isize]) -> Tensor {
        attempt(|| shifted("ifftshift", self, axes, |size| -((size / 2) as isize)))
    }

    /// The frequencies of a transform of `n` samples, `spacing` apart: 0, the positive ones, then the negative ones.
    ///
    /// ```
    /// use chainrule_engine::{DType, Tensor};
    /// assert_eq!(Tensor::fftfreq(4, 0.5, DType::F64).to_vec::<f64>()?, [0.0, 0.5, -1.0, -0.5]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn fftfreq(n: usize, spacing: f64, dtype: DType) -> Tensor {
        attempt(|| frequencies("fftfreq", n, n, spacing, dtype))
    }

    /// The frequencies of [`Tensor::rfft`] of `n` samples, `spacing` apart.
    #[track_caller]
    pub fn rfftfreq(n: usize, spacing: f64, dtype: DType) -> Tensor {
        attempt(|| frequencies("rfftfreq", n, n / 2 + 1, spacing, dtype))
    }

    /// The convolution of two real sequences along an axis, `a + b - 1` long, by way of their transforms; other axes
    /// broadcast. SciPy's `fftconvolve`.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let y = Tensor::f64([1.0, 2.0, 3.0]).fft_convolve(&Tensor::f64([1.0, -1.0]), 0).round();
    /// assert_eq!(y.to_vec::<f64>()?, [1.0, 1.0, 1.0, -3.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn fft_convolve(&self, other: &Tensor, axis: isize) -> Tensor {
        attempt(|| {
            let name = "fft_convolve";
            floats(name, self)?;
            alike(name, self, other)?;
            let (at, behind) = (axis_of(name, self, axis)?, axis_of(name, other, axis)?);
            let (a, b) = (to_last(self, at), to_last(other, behind));
            let (m, n) = (self.shape()[at], other.shape()[behind]);
            fits(name, self.rank() == other.rank() && m > 0 && n > 0, || {
                format!("{:?} with {:?} along axis {axis}", self.shape(), other.shape())
            })?;
            let length = m.checked_add(n - 1).and_then(usize::checked_next_power_of_two).unwrap_or(usize::MAX);
            let padded = |x: &Tensor, size: usize| {
                let mut widths = vec![(0, 0); x.rank()];
                widths[x.rank() - 1].1 = length - size;
                x.pad(&widths)
            };
            let (a, b) = (padded(&a, m), padded(&b, n));
            sound(&[&a, &b])?;
            let (a, b) = (halved(name, &a, -1, Norm::Backward)?, halved(name, &b, -1, Norm::Backward)?);
            let product = a.times(&b);
            sound(&[&product.re])?;
            let whole = backwards(name, &product, length, -1, Norm::Backward)?;
            Ok(from_last(&whole.slice(-1, ..(m + n - 1) as isize), at))
        })
    }
}

/// Runs `body` on behalf of the user's line; after a mistake both parts are poisoned.
#[track_caller]
fn pair(body: impl FnOnce() -> Attempt<Complex>) -> Complex {
    recorded(|| body().unwrap_or_else(|mistake| Complex { re: mistake.clone(), im: mistake }))
}

fn last_of<'a>(name: &str, axes: &'a [isize]) -> Attempt<(&'a isize, &'a [isize])> {
    allowed(name, !axes.is_empty(), || "there is no axis to transform along".into())?;
    Ok((&axes[axes.len() - 1], &axes[..axes.len() - 1]))
}

/// The length of an axis, which must have an element.
fn length(name: &str, x: &Tensor, at: usize) -> Attempt<usize> {
    fits(name, x.shape()[at] > 0, || format!("axis {at} of {:?} has no element", x.shape()))?;
    // Tables of sines and cosines are as long as the axis, or a few times that.
    let room = x.shape()[at].checked_mul(16).is_some_and(|count| Vec::<f64>::new().try_reserve_exact(count).is_ok());
    allowed(name, room, || format!("there is no memory for a transform of {} elements", x.shape()[at]))?;
    Ok(x.shape()[at])
}

fn along(name: &str, x: &Complex, axes: &[isize], norm: Norm, inverse: bool) -> Attempt<Complex> {
    floats(name, &x.re)?;
    alike(name, &x.re, &x.im)?;
    fits(name, x.re.shape() == x.im.shape(), || format!("real parts {:?} with imaginary parts {:?}", x.re.shape(), x.im.shape()))?;
    let axes = axes_of(name, &x.re, axes)?;
    let mut found = Complex { re: super::wide(&x.re), im: super::wide(&x.im) };
    for &at in &axes {
        let n = length(name, &x.re, at)?;
        let (re, im) = transform(&to_last(&found.re, at), Some(&to_last(&found.im, at)), inverse, norm.factor(n, inverse));
        found = Complex { re: from_last(&re, at), im: from_last(&im, at) };
    }
    Ok(Complex { re: found.re.cast(x.re.dtype()), im: found.im.cast(x.re.dtype()) })
}

fn halved(name: &str, x: &Tensor, axis: isize, norm: Norm) -> Attempt<Complex> {
    floats(name, x)?;
    let at = axis_of(name, x, axis)?;
    let n = length(name, x, at)?;
    let (re, im) = of_real(&to_last(&super::wide(x), at), norm.factor(n, false));
    let half = |part: &Tensor| from_last(part, at).cast(x.dtype());
    Ok(Complex { re: half(&re), im: half(&im) })
}

fn backwards(name: &str, x: &Complex, n: usize, axis: isize, norm: Norm) -> Attempt {
    floats(name, &x.re)?;
    alike(name, &x.re, &x.im)?;
    fits(name, x.re.shape() == x.im.shape(), || format!("real parts {:?} with imaginary parts {:?}", x.re.shape(), x.im.shape()))?;
    let at = axis_of(name, &x.re, axis)?;
    let have = x.re.shape()[at];
    fits(name, n > 0 && have == n / 2 + 1, || {
        format!("{n} numbers have {} elements, and axis {at} of {:?} has {have}", n / 2 + 1, x.re.shape())
    })?;
    let (re, im) = (to_last(&super::wide(&x.re), at), to_last(&super::wide(&x.im), at));
    Ok(from_last(&to_real(&re, &im, n, norm.factor(n, true)), at).cast(x.re.dtype()))
}

fn shifted(name: &str, x: &Tensor, axes: &[isize], by: impl Fn(usize) -> isize) -> Attempt {
    let axes = axes_of(name, x, axes)?;
    Ok(axes.iter().fold(x.clone(), |x, &axis| x.roll(by(x.shape()[axis]), axis as isize)))
}

fn frequencies(name: &str, n: usize, count: usize, spacing: f64, dtype: DType) -> Attempt {
    allowed(name, n > 0 && n < 1 << 40, || format!("{n} samples have no frequencies"))?;
    let mut list: Vec<f64> = Vec::new();
    allowed(name, list.try_reserve_exact(count).is_ok(), || format!("{count} frequencies do not fit in memory"))?;
    let negative = |k: usize| count == n && k >= n.div_ceil(2);
    list.extend((0..count).map(|k| if negative(k) { k as f64 - n as f64 } else { k as f64 } / (n as f64 * spacing)));
    Ok(Tensor::from_data(Data::from_f64(dtype, &list), [count]))
}
