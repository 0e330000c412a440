//! Examples in shuffled batches of one size.
//!
//! The order of an epoch is a function of a seed and the epoch's number alone, so three numbers
//! say where a training stands. Batches are copied on the host; nothing here records a graph.

use chainrule_engine::tensor::Shape;
use chainrule_engine::tensor::random::word;
use chainrule_engine::{Data, Error, ErrorKind, Result, Rng, Tensor};
use std::sync::Arc;

/// What becomes of the examples that do not fill a batch at the end of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastBatch {
    /// They wait for another epoch, in which the order is another.
    #[default]
    Drop,
    /// The batch is filled up with the first examples of the same epoch.
    Fill,
    /// They make a smaller batch. A captured step is compiled once more for it.
    Short,
}

/// Examples in shuffled batches. As an iterator it gives the rest of an epoch, then `None` once,
/// then the next epoch.
///
/// ```
/// use chainrule::prelude::*;
/// let x = Tensor::from([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5], [3.0, 3.5], [4.0, 4.5]]);
/// let y = Tensor::from_slice(&[0i64, 1, 2, 3, 4], [5]);
/// let mut batches = Batches::new(&[&x, &y], 2, &mut Rng::new(7))?;
/// for epoch in 0..3 {
///     let mut seen = 0;
///     for batch in &mut batches {
///         assert_eq!((batch[0].shape(), batch[1].shape()), (&[2, 2][..], &[2][..]));
///         seen += 1;
///     }
///     assert_eq!((seen, batches.place().epoch), (2, epoch + 1));
/// }
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    columns: Vec<Column>,
    count: usize,
    size: usize,
    last: LastBatch,
    place: Place,
    /// The rows in the order of this epoch.
    order: Vec<usize>,
}

/// Where in the stream of batches the next one lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What all orders are drawn from.
    pub seed: u64,
    /// Whole epochs that lie behind.
    pub epoch: u64,
    /// Examples of this epoch that lie behind.
    pub position: u64,
}

/// One tensor of examples: rows of `row` bytes.
#[derive(Clone, Debug)]
struct Column {
    shape: Shape,
    data: Arc<Data>,
    row: usize,
}

impl Batches {
    /// Batches of `size` rows of all tensors together, say images and labels; their first axes,
    /// which count the examples, must agree.
    ///
    /// # Errors
    /// If they do not agree, there is no example, or not one batch can be filled.
    #[track_caller]
    pub fn new(tensors: &[&Tensor], size: usize, rng: &mut Rng) -> Result<Batches> {
        let mistake = |kind, message| Err(Error::new(kind, "batches", message));
        let Some(count) = tensors.first().map(|t| t.shape().first().copied()) else {
            return mistake(ErrorKind::Argument, "there is no tensor to take examples from".into());
        };
        let mut columns = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let data = tensor.to_data()?;
            if tensor.rank() == 0 || tensor.shape().first().copied() != count {
                let shapes: Vec<&[usize]> = tensors.iter().map(|t| t.shape()).collect();
                let message = format!("the tensors {shapes:?} have no common first axis that counts examples");
                return mistake(ErrorKind::Shape, message);
            }
            let row = tensor.shape()[1..].iter().product::<usize>() * tensor.dtype().bytes();
            columns.push(Column { shape: tensor.shape().into(), data, row });
        }
        let count = count.unwrap_or(0);
        if count == 0 || size == 0 || size > count {
            let message = format!("batches of {size} from {count} examples; choose a size from 1 to {count}");
            return mistake(ErrorKind::Argument, message);
        }
        let place = Place { seed: rng.next_u64(), epoch: 0, position: 0 };
        let order = shuffled(count, place);
        Ok(Batches { columns, count, size, last: LastBatch::Drop, place, order })
    }

    /// Decides what becomes of the examples that do not fill the last batch.
    pub fn last(mut self, last: LastBatch) -> Batches {
        self.last = last;
        self
    }

    /// How many batches an epoch has.
    pub fn per_epoch(&self) -> usize {
        match self.last {
            LastBatch::Drop => self.count / self.size,
            LastBatch::Fill | LastBatch::Short => self.count.div_ceil(self.size),
        }
    }

    /// How many examples there are.
    pub fn examples(&self) -> usize {
        self.count
    }

    /// Where the next batch lies, to go on from there later.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Goes to a place that [`Batches::place`] told, of batches of the same examples.
    ///
    /// ```
    /// # use chainrule::prelude::*;
    /// # let x = Tensor::arange(10, DType::I64);
    /// let mut batches = Batches::new(&[&x], 3, &mut Rng::new(7))?;
    /// batches.next();
    /// let place = batches.place();
    /// let mut others = Batches::new(&[&x], 3, &mut Rng::new(8))?;
    /// others.go_to(place);
    /// assert_eq!(others.next().unwrap()[0].to_vec::<i64>()?, batches.next().unwrap()[0].to_vec::<i64>()?);
    /// # Ok::<(), chainrule::Error>(())
    /// ```
    pub fn go_to(&mut self, place: Place) {
        self.place = place;
        self.order = shuffled(self.count, place);
    }

    fn batch(&self, from: usize, size: usize) -> Vec<Tensor> {
        let rows = || (from..from + size).map(|at| self.order[at % self.count]);
        self.columns.iter().map(|column| column.pick(size, rows())).collect()
    }
}

impl Iterator for Batches {
    type Item = Vec<Tensor>;

    fn next(&mut self) -> Option<Vec<Tensor>> {
        let from = usize::try_from(self.place.position).unwrap_or(usize::MAX).min(self.count);
        let left = self.count - from;
        let size = match self.last {
            LastBatch::Drop if left < self.size => 0,
            LastBatch::Fill if left > 0 => self.size,
            _ => left.min(self.size),
        };
        if size == 0 {
            let next = Place { epoch: self.place.epoch.wrapping_add(1), position: 0, ..self.place };
            self.go_to(next);
            return None;
        }
        self.place.position += size as u64;
        Some(self.batch(from, size))
    }
}

impl Column {
    fn pick(&self, size: usize, rows: impl Iterator<Item = usize>) -> Tensor {
        let mut shape = self.shape.clone();
        shape[0] = size;
        let width: usize = shape[1..].iter().product();
        let mut data = Data::zeros(self.data.dtype(), size * width);
        if self.row > 0 {
            let from = self.data.bytes();
            for (to, row) in data.bytes_mut().chunks_exact_mut(self.row).zip(rows) {
                to.copy_from_slice(&from[row * self.row..][..self.row]);
            }
        }
        Tensor::from_data(data, shape)
    }
}

/// The numbers `0..count` in the order of an epoch, by Fisher and Yates.
fn shuffled(count: usize, place: Place) -> Vec<usize> {
    // Each epoch has a stream of its own, so that no order depends on those before.
    let mut rng = Rng::new(word(place.seed as i64, place.epoch));
    let mut order: Vec<usize> = (0..count).collect();
    for end in (1..count).rev() {
        let other = (u128::from(rng.next_u64()) * (end as u128 + 1)) >> 64;
        order.swap(end, other as usize);
    }
    order
}
