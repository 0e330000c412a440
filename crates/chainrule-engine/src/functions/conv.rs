//! Convolution and its transpose: padding, windows, and one product.
//!
//! As everywhere in the field, the kernel is not turned round. Derivatives of any order follow
//! from those of the parts.

use super::{disallowed, misfit, recorded, refuse_mixed};
use crate::ops::contract::Labels;
use crate::ops::movement::Axes;
use crate::ops::{Einsum, Fold, Pad, Slice, Window};
use crate::tensor::{Shape, Tensor};

/// Where the channels are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// `x` is `[n, c, ..]`, `w` is `[o, c / groups, ..]`.
    #[default]
    ChannelsFirst,
    /// `x` is `[n, .., c]`, `w` is `[.., c / groups, o]`.
    ChannelsLast,
}

/// Zeros around the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding<const D: usize> {
    /// This many before and as many after, for each axis.
    Both([usize; D]),
    /// Before and after, for each axis.
    Sides([[usize; 2]; D]),
    /// As many as make the output `ceil(input / stride)` long; the odd one comes after.
    Same,
}

/// How a convolution over `D` axes is done. The default: stride 1, no padding, one group,
/// channels first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvOptions<const D: usize> {
    /// Distance between windows.
    pub stride: [usize; D],
    /// Zeros around the input.
    pub padding: Padding<D>,
    /// Distance between the elements of a window.
    pub dilation: [usize; D],
    /// Into how many groups channels are parted, each with a kernel of its own.
    pub groups: usize,
    /// Where the channels are.
    pub layout: Layout,
}

/// How a transposed convolution over `D` axes is done. The default: stride 1, no padding, one
/// group, channels first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvTransposeOptions<const D: usize> {
    /// Distance between windows in the output.
    pub stride: [usize; D],
    /// How much is cut off the output on both sides.
    pub padding: [usize; D],
    /// How much longer the output is at its end; less than the stride.
    pub output_padding: [usize; D],
    /// Distance between the elements of a window.
    pub dilation: [usize; D],
    /// Into how many groups channels are parted, each with a kernel of its own.
    pub groups: usize,
    /// Where the channels are.
    pub layout: Layout,
}

/// Options of [`conv1d`].
pub type Conv1dOptions = ConvOptions<1>;
/// Options of [`conv2d`].
pub type Conv2dOptions = ConvOptions<2>;
/// Options of [`conv3d`].
pub type Conv3dOptions = ConvOptions<3>;
/// Options of [`conv_transpose1d`].
pub type ConvTranspose1dOptions = ConvTransposeOptions<1>;
/// Options of [`conv_transpose2d`].
pub type ConvTranspose2dOptions = ConvTransposeOptions<2>;
/// Options of [`conv_transpose3d`].
pub type ConvTranspose3dOptions = ConvTransposeOptions<3>;

impl<const D: usize> Default for ConvOptions<D> {
    fn default() -> Self {
        ConvOptions { stride: [1; D], padding: Padding::Both([0; D]), dilation: [1; D], groups: 1, layout: Layout::default() }
    }
}

impl<const D: usize> Default for ConvTransposeOptions<D> {
    fn default() -> Self {
        ConvTransposeOptions {
            stride: [1; D],
            padding: [0; D],
            output_padding: [0; D],
            dilation: [1; D],
            groups: 1,
            layout: Layout::default(),
        }
    }
}

/// Convolution over two axes: `x` `[n, c, h, w]` with `w` `[o, c / groups, kh, kw]`, or, channels
/// last, `[n, h, w, c]` with `[kh, kw, c / groups, o]`.
///
/// ```
/// use chainrule_engine::{Tensor, functions::{Conv2dOptions, Padding, conv2d}};
/// let (x, w) = (Tensor::ones([1, 1, 3, 3]), Tensor::ones([1, 1, 3, 3]));
/// let options = Conv2dOptions { padding: Padding::Both([1, 1]), ..Default::default() };
/// let y = conv2d(&x, &w, &options);
/// assert_eq!(y.to_vec::<f32>()?, [4.0, 6.0, 4.0, 6.0, 9.0, 6.0, 4.0, 6.0, 4.0]);
/// # Ok::<(), chainrule_engine::Error>(())
/// ```
#[track_caller]
pub fn conv2d(x: &Tensor, w: &Tensor, options: &Conv2dOptions) -> Tensor {
    conv("conv2d", x, w, options)
}

/// Convolution over one axis: `x` `[n, c, l]` with `w` `[o, c / groups, k]`, or, channels last,
/// `[n, l, c]` with `[k, c / groups, o]`.
#[track_caller]
pub fn conv1d(x: &Tensor, w: &Tensor, options: &Conv1dOptions) -> Tensor {
    conv("conv1d", x, w, options)
}

/// Convolution over three axes: `x` `[n, c, d, h, w]` with `w` `[o, c / groups, kd, kh, kw]`, or, channels last,
/// `[n, d, h, w, c]` with `[kd, kh, kw, c / groups, o]`.
#[track_caller]
pub fn conv3d(x: &Tensor, w: &Tensor, options: &Conv3dOptions) -> Tensor {
    conv("conv3d", x, w, options)
}

/// The adjoint of [`conv2d`] by its input: `x` has as many channels as that convolution's output,
/// and `w` is its kernel as it stands, so `[c, o / groups, kh, kw]` for `x` of `c` channels, or,
/// channels last, `[kh, kw, o / groups, c]`. An axis of `n` becomes
/// `(n - 1) stride - 2 padding + dilation (k - 1) + 1 + output_padding`.
#[track_caller]
pub fn conv_transpose2d(x: &Tensor, w: &Tensor, options: &ConvTranspose2dOptions) -> Tensor {
    conv_transpose("conv_transpose2d", x, w, options)
}

/// As [`conv_transpose2d`], over one axis.
#[track_caller]
pub fn conv_transpose1d(x: &Tensor, w: &Tensor, options: &ConvTranspose1dOptions) -> Tensor {
    conv_transpose("conv_transpose1d", x, w, options)
}

/// As [`conv_transpose2d`], over three axes.
#[track_caller]
pub fn conv_transpose3d(x: &Tensor, w: &Tensor, options: &ConvTranspose3dOptions) -> Tensor {
    conv_transpose("conv_transpose3d", x, w, options)
}

#[track_caller]
fn conv<const D: usize>(name: &str, x: &Tensor, w: &Tensor, options: &ConvOptions<D>) -> Tensor {
    let sizes = match Sizes::<D>::new(name, x, w, options.layout, options.groups, options.stride, options.dilation) {
        Ok(sizes) => sizes,
        Err(mistake) => return mistake,
    };
    if sizes.inner != sizes.channels / options.groups {
        let message = format!(
            "{} channels in {} groups with a kernel for {}: {:?} and {:?}",
            sizes.channels,
            options.groups,
            sizes.inner,
            x.shape(),
            w.shape()
        );
        return misfit(name, message);
    }
    if !sizes.outer.is_multiple_of(options.groups) {
        return misfit(name, format!("{} output channels do not part into {} groups: {:?}", sizes.outer, options.groups, w.shape()));
    }
    let sides = sizes.sides(options);
    if let Some(d) = (0..D).find(|&d| sizes.length[d].saturating_add(sides[d][0]).saturating_add(sides[d][1]) < sizes.reach(d)) {
        let message = format!(
            "a kernel of {} (dilation {}) does not fit {} elements padded by {:?}",
            sizes.kernel[d], sizes.dilation[d], sizes.length[d], sides[d]
        );
        return misfit(name, message);
    }
    recorded(|| sizes.product(&sizes.patches(x, &sides), w))
}

#[track_caller]
fn conv_transpose<const D: usize>(name: &str, x: &Tensor, w: &Tensor, options: &ConvTransposeOptions<D>) -> Tensor {
    let sizes = match Sizes::<D>::new(name, x, w, options.layout, options.groups, options.stride, options.dilation) {
        Ok(sizes) => sizes,
        Err(mistake) => return mistake,
    };
    if sizes.outer != sizes.channels {
        return misfit(name, format!("{} channels with a kernel for {}: {:?} and {:?}", sizes.channels, sizes.outer, x.shape(), w.shape()));
    }
    let mut lengths = [0; D];
    for (d, length) in lengths.iter_mut().enumerate() {
        let (extra, cut) = (options.output_padding[d], options.padding[d]);
        if extra >= options.stride[d] {
            return disallowed(name, &[x, w], format!("an output padding of {extra} is not less than the stride, {}", options.stride[d]));
        }
        if sizes.length[d] == 0 {
            return misfit(name, format!("{:?} has no element to spread", x.shape()));
        }
        *length = (sizes.length[d] - 1).saturating_mul(options.stride[d]).saturating_add(sizes.reach(d)).saturating_add(extra);
        if cut.saturating_mul(2) > *length {
            return misfit(name, format!("a padding of {cut} leaves nothing of {length} elements"));
        }
    }
    recorded(|| sizes.spread(x, w, lengths, options.padding))
}

/// The sizes of a convolution: all that its parts need to know.
struct Sizes<const D: usize> {
    last: bool,
    channels: usize,
    length: [usize; D],
    kernel: [usize; D],
    stride: [usize; D],
    dilation: [usize; D],
    groups: usize,
    /// The kernel's channels on the side of the convolution's input.
    inner: usize,
    /// The kernel's channels on the side of the convolution's output.
    outer: usize,
}

const N: u8 = b'n';
const G: u8 = b'g';
const C: u8 = b'c';
const O: u8 = b'o';

impl<const D: usize> Sizes<D> {
    #[track_caller]
    fn new(
        name: &str,
        x: &Tensor,
        w: &Tensor,
        layout: Layout,
        groups: usize,
        stride: [usize; D],
        dilation: [usize; D],
    ) -> Result<Self, Tensor> {
        if let Some(mistake) = refuse_mixed(name, &[x, w]) {
            return Err(mistake);
        }
        let (a, b) = (x.shape(), w.shape());
        if a.len() != D + 2 || b.len() != D + 2 {
            return Err(misfit(name, format!("input and kernel have {} axes each, not {a:?} and {b:?}", D + 2)));
        }
        let last = layout == Layout::ChannelsLast;
        let (channels, first_length, first_kernel) = if last { (a[D + 1], 1, 0) } else { (a[1], 2, 2) };
        let (inner, outer) = if last { (b[D], b[D + 1]) } else { (b[1], b[0]) };
        let length = std::array::from_fn(|d| a[first_length + d]);
        let kernel: [usize; D] = std::array::from_fn(|d| b[first_kernel + d]);
        if stride.contains(&0) || dilation.contains(&0) || groups == 0 {
            return Err(disallowed(
                name,
                &[x, w],
                format!("stride {stride:?}, dilation {dilation:?} and groups {groups} must be at least 1"),
            ));
        }
        if kernel.contains(&0) {
            return Err(misfit(name, format!("the kernel {b:?} has no elements")));
        }
        if !channels.is_multiple_of(groups) {
            return Err(misfit(name, format!("{channels} channels do not part into {groups} groups")));
        }
        Ok(Sizes { last, channels, length, kernel, stride, dilation, groups, inner, outer })
    }

    /// How many elements a window spans.
    fn reach(&self, d: usize) -> usize {
        (self.kernel[d] - 1).saturating_mul(self.dilation[d]).saturating_add(1)
    }

    fn sides(&self, options: &ConvOptions<D>) -> [[usize; 2]; D] {
        match options.padding {
            Padding::Both(zeros) => zeros.map(|zeros| [zeros; 2]),
            Padding::Sides(sides) => sides,
            Padding::Same => std::array::from_fn(|d| {
                let windows = self.length[d].div_ceil(self.stride[d]);
                let span = windows.saturating_sub(1).saturating_mul(self.stride[d]).saturating_add(self.reach(d));
                let zeros = span.saturating_sub(self.length[d]);
                [zeros / 2, zeros - zeros / 2]
            }),
        }
    }

    /// Whether windows are single elements, and need no axes of their own.
    fn pointwise(&self) -> bool {
        self.kernel == [1; D]
    }

    fn grouped(&self) -> usize {
        (self.groups > 1) as usize
    }

    /// The first of the axes along which windows slide, once groups have an axis.
    fn sliding(&self) -> usize {
        if self.last { 1 } else { 2 + self.grouped() }
    }

    fn window(&self) -> Window {
        let first = self.sliding();
        Window {
            axes: (first..first + D).collect(),
            sizes: Axes::from_slice(&self.kernel),
            strides: Axes::from_slice(&self.stride),
            dilations: Axes::from_slice(&self.dilation),
        }
    }

    /// Axis `axis` parted into groups.
    fn part_groups(&self, x: &Tensor, axis: usize) -> Tensor {
        if self.groups == 1 {
            return x.clone();
        }
        let mut shape: Shape = x.shape().into();
        shape[axis] /= self.groups;
        shape.insert(axis, self.groups);
        x.reshape(shape)
    }

    /// The axis of groups at `axis` joined with the one after it.
    fn join_groups(&self, x: Tensor, axis: usize) -> Tensor {
        if self.groups == 1 || x.error().is_some() {
            return x;
        }
        let mut shape: Shape = x.shape().into();
        let groups = shape.remove(axis);
        shape[axis] *= groups;
        x.reshape(shape)
    }

    fn channel_axis(&self) -> usize {
        if self.last { D + 1 } else { 1 }
    }

    /// `[n, g, c, s.., k..]`, or, channels last, `[n, s.., g, k.., c]`.
    fn patches(&self, x: &Tensor, sides: &[[usize; 2]; D]) -> Tensor {
        let x = self.part_groups(&pad(x, if self.last { 1 } else { 2 }, sides), self.channel_axis());
        let first = self.sliding();
        if self.pointwise() {
            return every(&x, first, &self.stride);
        }
        let patches = Tensor::record(self.window(), [x.clone()]);
        if !self.last {
            return patches;
        }
        // Elements of a window before channels, as in the kernel: rows times columns of a matrix.
        let rank = x.rank();
        patches.permute((0..rank - 1).chain(rank..rank + D).chain([rank - 1]).collect::<Axes>())
    }

    /// Labels of the axes along which windows slide, and of those within a window.
    fn labels(&self) -> (Labels, Labels) {
        let within = if self.pointwise() { 0 } else { D as u8 };
        ((0..D as u8).map(|d| b'A' + d).collect(), (0..within).map(|d| b'K' + d).collect())
    }

    /// The kernel with its groups parted along its axis of output channels, and its labels.
    fn labelled_kernel(&self, w: &Tensor) -> (Tensor, Labels) {
        let groups = if self.groups > 1 { &[G][..] } else { &[] };
        let within = self.labels().1;
        let w = match (self.pointwise(), self.last) {
            (false, _) => w.clone(),
            (true, true) => w.reshape([self.inner, self.outer]),
            (true, false) => w.reshape([self.outer, self.inner]),
        };
        if self.last {
            (self.part_groups(&w, w.rank().saturating_sub(1)), [&within, &[C][..], groups, &[O]].concat().into())
        } else {
            (self.part_groups(&w, 0), [groups, &[O, C], &within].concat().into())
        }
    }

    /// Patches times kernel, groups joined.
    fn product(&self, patches: &Tensor, w: &Tensor) -> Tensor {
        let groups = if self.groups > 1 { &[G][..] } else { &[] };
        let (slide, within) = self.labels();
        let (w, kernel) = self.labelled_kernel(w);
        let (a, out): (Vec<u8>, Vec<u8>) = if self.last {
            ([&[N][..], &slide, groups, &within, &[C]].concat(), [&[N][..], &slide, groups, &[O]].concat())
        } else {
            ([&[N][..], groups, &[C], &slide, &within].concat(), [&[N][..], groups, &[O], &slide].concat())
        };
        let product = Tensor::record(Einsum::of(a.into(), kernel, out.into()).in_scope(), [patches.clone(), w]);
        self.join_groups(product, self.channel_axis())
    }

    /// The transpose: kernel times elements, added up where windows overlap, and cut to size.
    fn spread(&self, x: &Tensor, w: &Tensor, lengths: [usize; D], cut: [usize; D]) -> Tensor {
        let groups = if self.groups > 1 { &[G][..] } else { &[] };
        let slide = self.labels().0;
        let within: Labels = (0..D as u8).map(|d| b'K' + d).collect();
        let (a, out) = if self.last {
            ([&[N][..], &slide, groups, &[O]].concat(), [&[N][..], &slide, groups, &[C], &within].concat())
        } else {
            ([&[N][..], groups, &[O], &slide].concat(), [&[N][..], groups, &[C], &slide, &within].concat())
        };
        let (w, kernel): (Tensor, Vec<u8>) = if self.last {
            (self.part_groups(w, D + 1), [&within, &[C][..], groups, &[O]].concat())
        } else {
            (self.part_groups(w, 0), [groups, &[O, C], &within].concat())
        };
        let spec = Einsum::of(a.into(), kernel.into(), out.into()).in_scope();
        let patches = Tensor::record(spec, [self.part_groups(x, self.channel_axis()), w]);
        let whole = Tensor::record(Fold { window: self.window(), lengths: Axes::from_slice(&lengths) }, [patches]);
        let whole = self.join_groups(whole, self.channel_axis());
        if cut == [0; D] || whole.error().is_some() {
            return whole;
        }
        let mut slice = Slice { start: Axes::from_elem(0, D + 2), stop: whole.shape().into(), step: Axes::from_elem(1, D + 2) };
        for d in 0..D {
            let axis = if self.last { 1 + d } else { 2 + d };
            slice.start[axis] = cut[d];
            slice.stop[axis] = lengths[d] - cut[d];
        }
        Tensor::record(slice, [whole])
    }
}

/// Zeros around `D` axes from `first` on.
pub(super) fn pad<const D: usize>(x: &Tensor, first: usize, sides: &[[usize; 2]; D]) -> Tensor {
    if *sides == [[0; 2]; D] {
        return x.clone();
    }
    let zeros = || Axes::from_elem(0, x.rank());
    let mut padding = Pad { low: zeros(), high: zeros(), interior: zeros() };
    for (d, [low, high]) in sides.iter().enumerate() {
        padding.low[first + d] = *low;
        padding.high[first + d] = *high;
    }
    Tensor::record(padding, [x.clone()])
}

/// Every `stride`-th element of the axes from `first` on.
fn every<const D: usize>(x: &Tensor, first: usize, stride: &[usize; D]) -> Tensor {
    if *stride == [1; D] || x.error().is_some() {
        return x.clone();
    }
    let mut slice = Slice { start: Axes::from_elem(0, x.rank()), stop: x.shape().into(), step: Axes::from_elem(1, x.rank()) };
    slice.step[first..first + D].copy_from_slice(stride);
    Tensor::record(slice, [x.clone()])
}
