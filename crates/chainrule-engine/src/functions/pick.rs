//! Indexing by tensors, by NumPy's rules: `x.pick((&rows, 0..3, &columns))`, and writing and adding at what an index
//! picks.
//!
//! Tensors of integers are broadcast together and pick element by element; positions may be negative, and one outside is
//! an error when it is evaluated. Their axes stand where the first of them stood, or in front if a range, a new axis or
//! an ellipsis lies between them. A position counts as such a tensor if there is one. A mask (bool) stands for the
//! positions where it is true, and is evaluated for them. What tensors of integers pick has derivatives.

use super::attempt::{Attempt, alike, attempt, fits, gather, positions, sound, to_front};
use super::scatter::{flat_positions, joined, merged, written, written_once};
use super::segments::Reduce;
use crate::ops::movement::Axes;
use crate::tensor::indexing::Index;
use crate::tensor::shape::broadcast_shapes;
use crate::tensor::{DType, Shape, Tensor};

/// What is picked along an axis: what [`Index`] says, or what a tensor does.
#[derive(Clone, Debug)]
pub enum Pick {
    /// A position, a range, a new axis, or what is left over.
    Part(Index),
    /// The positions that a tensor of integers holds, or the places where a mask is true; that has several axes if it
    /// does.
    Tensor(Tensor),
}

impl From<&Tensor> for Pick {
    fn from(tensor: &Tensor) -> Pick {
        Pick::Tensor(tensor.clone())
    }
}
impl From<Tensor> for Pick {
    fn from(tensor: Tensor) -> Pick {
        Pick::Tensor(tensor)
    }
}

macro_rules! parts {
    ($($part:ty)*) => {$(
        impl From<$part> for Pick {
            fn from(part: $part) -> Pick {
                Pick::Part(part.into())
            }
        }
    )*};
}
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};
parts! {
    Index RangeFull
    i32 Range<i32> RangeFrom<i32> RangeTo<i32> RangeInclusive<i32> RangeToInclusive<i32>
    isize Range<isize> RangeFrom<isize> RangeTo<isize> RangeInclusive<isize> RangeToInclusive<isize>
    usize Range<usize> RangeFrom<usize> RangeTo<usize> RangeInclusive<usize> RangeToInclusive<usize>
}

/// What [`Tensor::pick`] takes: one [`Pick`], a tuple of up to six, or an array, slice or vector of them.
pub trait IntoPicks {
    /// One entry per axis that is indexed or made.
    fn into_picks(self) -> Vec<Pick>;
}

impl IntoPicks for &Tensor {
    fn into_picks(self) -> Vec<Pick> {
        vec![self.into()]
    }
}
impl IntoPicks for Pick {
    fn into_picks(self) -> Vec<Pick> {
        vec![self]
    }
}
impl<const N: usize> IntoPicks for [Pick; N] {
    fn into_picks(self) -> Vec<Pick> {
        self.into()
    }
}
impl IntoPicks for &[Pick] {
    fn into_picks(self) -> Vec<Pick> {
        self.into()
    }
}
impl IntoPicks for Vec<Pick> {
    fn into_picks(self) -> Vec<Pick> {
        self
    }
}

macro_rules! tuples {
    ($($($name:ident)+;)*) => {$(
        impl<$($name: Into<Pick>),+> IntoPicks for ($($name,)+) {
            #[allow(non_snake_case)]
            fn into_picks(self) -> Vec<Pick> {
                let ($($name,)+) = self;
                vec![$($name.into()),+]
            }
        }
    )*};
}
tuples! { A; A B; A B C; A B C D; A B C D E; A B C D E F; }

impl Tensor {
    /// The elements that an index with tensors picks, by NumPy's rules.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
    /// let (rows, columns) = (Tensor::from([0, 2]), Tensor::from([1, -1]));
    /// assert_eq!(x.pick((&rows, &columns)).to_vec::<i32>()?, [2, 9]);
    /// assert_eq!(x.pick((1.., &columns)).to_vec2::<i32>()?, [[5, 6], [8, 9]]);
    /// let even = (&x % 2).equal(&x.zeros_like());
    /// assert_eq!(x.pick(&even).to_vec::<i32>()?, [2, 4, 6, 8]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn pick(&self, picks: impl IntoPicks) -> Tensor {
        let picks = picks.into_picks();
        attempt(|| Plan::new("pick", self, picks)?.apply(self))
    }

    /// This tensor with `values`, broadcast to what the index picks, written there; of several at one place the last one
    /// stays. `x[picks] = values` in NumPy, but for returning a new tensor. What is written over has derivative 0.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.put_at((.., 0), &Tensor::from([9, 8])).to_vec2::<i32>()?, [[9, 2], [8, 4]]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn put_at(&self, picks: impl IntoPicks, values: &Tensor) -> Tensor {
        let picks = picks.into_picks();
        // Ranges and positions name no element twice.
        let apart = picks.iter().all(|pick| matches!(pick, Pick::Part(_)));
        let put = if apart { written_once } else { |x: &Tensor, places: &Tensor, values: &Tensor| written(0, x, places, values) };
        attempt(|| changed("put_at", self, picks, values, put))
    }

    /// This tensor with `values`, broadcast to what the index picks, added there, each as often as it is picked. NumPy's
    /// `add.at`, but for returning a new tensor.
    ///
    /// ```
    /// use chainrule_engine::Tensor;
    /// let x = Tensor::from([1.0, 2.0, 3.0]);
    /// let y = x.add_at(&Tensor::from([0, 0, 2]), &Tensor::from([10.0, 20.0, 30.0]));
    /// assert_eq!(y.to_vec::<f32>()?, [31.0, 2.0, 33.0]);
    /// # Ok::<(), chainrule_engine::Error>(())
    /// ```
    #[track_caller]
    pub fn add_at(&self, picks: impl IntoPicks, values: &Tensor) -> Tensor {
        let picks = picks.into_picks();
        attempt(|| changed("add_at", self, picks, values, |x, places, values| joined(0, x, places, values, Reduce::Sum, true)))
    }
}

fn changed(name: &str, x: &Tensor, picks: Vec<Pick>, values: &Tensor, body: impl FnOnce(&Tensor, &Tensor, &Tensor) -> Tensor) -> Attempt {
    alike(name, x, values)?;
    // What the index picks of the positions of all elements is where they lie.
    let places = Tensor::arange(x.len(), DType::I64).reshape(x.shape());
    let places = Plan::new(name, x, picks)?.apply(&places)?;
    let fit = broadcast_shapes(values.shape(), places.shape()).is_ok_and(|joint| joint[..] == *places.shape());
    fits(name, fit, || format!("values {:?} do not broadcast to the {:?} that is picked", values.shape(), places.shape()))?;
    let values = values.broadcast_to(places.shape());
    Ok(body(&x.flatten(), &places.flatten(), &values.flatten()).reshape(x.shape()))
}

/// An index, sorted by what it does.
struct Plan {
    /// What is done first: parts of single axes, none of which is removed or made unless there are no tensors.
    parts: Vec<Index>,
    /// Axes that are picked along, and by what.
    along: Axes,
    lists: Vec<Tensor>,
    /// How many axes of the result come before those of the tensors.
    before: usize,
    /// Where axes of size 1 are made in the end.
    made: Axes,
}

impl Plan {
    fn new(name: &str, x: &Tensor, picks: Vec<Pick>) -> Attempt<Plan> {
        sound(&[x])?;
        let (picks, tensors) = expanded(name, x, picks)?;
        let mut plan = Plan { parts: Vec::new(), along: Axes::new(), lists: Vec::new(), before: 0, made: Axes::new() };
        if !tensors {
            plan.parts = picks.into_iter().filter_map(|pick| if let Pick::Part(part) = pick { Some(part) } else { None }).collect();
            return Ok(plan);
        }
        // The number of result axes so far, and where among them tensors stood.
        let (mut axes, mut stood): (usize, Vec<usize>) = (0, Vec::new());
        let mut made = Axes::new();
        for pick in picks {
            let axis = plan.parts.len();
            match pick {
                Pick::Part(Index::NewAxis) => {
                    made.push(axes);
                    axes += 1;
                    continue;
                }
                Pick::Part(Index::At(position)) => {
                    let size = x.shape()[axis] as isize;
                    let inside = (-size..size).contains(&position);
                    fits(name, inside, || format!("position {position} is outside axis {axis} of size {size}, shape {:?}", x.shape()))?;
                    plan.lists.push(Tensor::scalar(position as f64, DType::I64));
                }
                Pick::Tensor(list) => plan.lists.push(list),
                Pick::Part(part) => {
                    plan.parts.push(part);
                    axes += 1;
                    continue;
                }
            }
            plan.parts.push(Index::All);
            plan.along.push(axis);
            stood.push(axes);
        }
        let shapes = plan.lists.iter().try_fold(Shape::new(), |joint, list| broadcast_shapes(&joint, list.shape()).ok());
        let message =
            || format!("tensors of the shapes {:?} do not broadcast", plan.lists.iter().map(|list| list.shape()).collect::<Vec<_>>());
        fits(name, shapes.is_some(), message)?;
        let rank = shapes.map_or(0, |shape| shape.len());
        plan.before = if stood.iter().all(|&at| at == stood[0]) { stood[0] } else { 0 };
        // New axes that were made behind the tensors lie behind theirs.
        plan.made = made.into_iter().map(|at| if at >= plan.before { at + rank } else { at }).collect();
        Ok(plan)
    }

    fn apply(&self, x: &Tensor) -> Attempt {
        let part = x.at(&self.parts[..]);
        sound(&[&part])?;
        if self.lists.is_empty() {
            return Ok(part);
        }
        let front = to_front(&part, &self.along);
        let flat = flat_positions(&self.lists, front.shape());
        let picked = gather(0, &merged(&front, self.along.len()), &flat);
        sound(&[&picked])?;
        // Of the axes that stay, those before the tensors' go back in front of them; new ones are not there yet.
        let rank = flat.rank();
        let before = self.before - self.made.iter().filter(|&&at| at < self.before).count();
        let kept = rank..rank + before;
        let order: Axes = kept.clone().chain(0..rank).chain(kept.end..picked.rank()).collect();
        let mut shaped = picked.permute(order);
        for &at in &self.made {
            shaped = shaped.unsqueeze(at as isize);
        }
        Ok(shaped)
    }
}

/// Masks as lists of positions, the ellipsis and what an index does not reach as whole axes; and whether tensors pick.
fn expanded(name: &str, x: &Tensor, mut picks: Vec<Pick>) -> Attempt<(Vec<Pick>, bool)> {
    let taken: usize = picks.iter().map(axes_taken).sum();
    fits(name, taken <= x.rank(), || format!("{taken} indices for the {} axes of {:?}", x.rank(), x.shape()))?;
    let is_rest = |pick: &Pick| matches!(pick, Pick::Part(Index::Ellipsis));
    let rests = picks.iter().filter(|&pick| is_rest(pick)).count();
    fits(name, rests <= 1, || "more than one `Ellipsis`: which axes each covers is not determined".into())?;
    let at = picks.iter().position(is_rest).unwrap_or(picks.len());
    let end = (at + 1).min(picks.len());
    picks.splice(at..end, std::iter::repeat_n(Pick::Part(Index::All), x.rank() - taken));
    let (mut list, mut axis, mut tensors) = (Vec::with_capacity(picks.len()), 0, false);
    for pick in picks {
        let first = axis;
        axis += axes_taken(&pick);
        let Pick::Tensor(index) = pick else {
            list.push(pick);
            continue;
        };
        tensors = true;
        if index.error().is_some() || index.dtype() != DType::Bool {
            positions(name, &index)?;
            list.push(Pick::Tensor(index));
            continue;
        }
        let own = &x.shape()[first..axis];
        fits(name, index.rank() > 0 && own == index.shape(), || format!("a mask {:?} for axes of the sizes {own:?}", index.shape()))?;
        list.extend(index.nonzero().map_err(Tensor::poison)?.into_iter().map(Pick::Tensor));
    }
    Ok((list, tensors))
}

/// How many axes of the tensor an entry of an index is for.
fn axes_taken(pick: &Pick) -> usize {
    match pick {
        Pick::Part(Index::NewAxis | Index::Ellipsis) => 0,
        Pick::Tensor(mask) if mask.error().is_none() && mask.dtype() == DType::Bool => mask.rank(),
        _ => 1,
    }
}
