//! What is looked up or counted: evaluated while recording, and without a derivative.

use super::shape::vector;
use crate::error::{Error, Result};
use crate::record::Value;
use crate::record::call::{Call, entries, one, size};
use chainrule::{DType, Data, Tensor};

type Outcome = Result<Vec<Value>>;

/// The bits of elements as another type of the same size.
pub fn bit_cast(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let number = call.integer("to")?.ok_or_else(|| Error::operator("attribute 'to' is missing"))?;
    let dtype = crate::proto::tensor::Element(number).dtype()?;
    if dtype.bytes() != x.dtype().bytes() {
        return Err(Error::operator(format!("elements of {} bytes as {dtype} of {}", x.dtype().bytes(), dtype.bytes())));
    }
    one(Tensor::from_data(Data::from_bytes(dtype, x.to_data()?.bytes()), x.shape()))
}

/// How often runs of elements, with gaps, are found: n-grams with skips.
pub fn tf_idf(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let (values, columns) = (call.whole_numbers(0)?, x.shape().last().copied().unwrap_or(1));
    let whole = |name: &str| -> Result<usize> { size(call.integer_or(name, 0)?, name) };
    let (shortest, longest, skips) = (whole("min_gram_length")?, whole("max_gram_length")?, whole("max_skip_count")?);
    let starts = super::shape::sizes(&call.integers("ngram_counts")?.unwrap_or_default())?;
    let places = super::shape::sizes(&call.integers("ngram_indexes")?.unwrap_or_default())?;
    let pool = call.integers("pool_int64s")?.ok_or_else(|| Error::unsupported("a pool of strings; strings are not the engine's"))?;
    let width = places.iter().max().map_or(0, |&last| last.saturating_add(1));
    let rows = values.len().checked_div(columns).unwrap_or(0);
    let mut counts = vec![0.0f64; entries(rows.saturating_mul(width), "counts")?];
    let weights = call.floats("weights")?;
    let mode = call.text_or("mode", "TF")?;
    let mut number = 0;
    for (at, &start) in starts.iter().enumerate() {
        let length = at + 1;
        let stop = starts.get(at + 1).copied().unwrap_or(pool.len());
        let Some(grams) = pool.get(start..stop) else { return Err(Error::operator("attribute 'ngram_counts' reaches beyond the pool")) };
        for gram in grams.chunks_exact(length) {
            let place = *places.get(number).ok_or_else(|| Error::operator("attribute 'ngram_indexes' is too short"))?;
            let factor = weights.as_ref().and_then(|weights| weights.get(number)).copied().unwrap_or(1.0);
            number += 1;
            if !(shortest..=longest).contains(&length) {
                continue;
            }
            for row in 0..rows {
                let row_values = &values[row * columns..(row + 1) * columns];
                let found = occurrences(row_values, gram, if length == 1 { 0 } else { skips }) as f64;
                counts[row * width + place] += match mode.as_str() {
                    "TF" => found,
                    "IDF" => {
                        if found > 0.0 {
                            factor
                        } else {
                            0.0
                        }
                    }
                    _ => found * factor,
                };
            }
        }
    }
    let shape = if x.rank() > 1 { vec![rows, width] } else { vec![width] };
    one(Tensor::from_slice(&counts, shape).cast(call.recorder.float_type(DType::F32)))
}

/// How often `gram` stands in `values`, its elements up to `skips` elements apart, and equally far.
fn occurrences(values: &[i64], gram: &[i64], skips: usize) -> usize {
    let at = |start: usize, step: usize| gram.iter().enumerate().all(|(k, wanted)| values.get(start + k * step) == Some(wanted));
    (1..=skips.min(values.len()) + 1).map(|step| (0..values.len()).filter(|&start| at(start, step)).count()).sum()
}

/// Columns by number.
pub fn feature_extractor(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    one(x.index_select(-1, &vector(&call.whole_numbers(1)?)))
}

/// 1 above a bound, 0 elsewhere.
pub fn binarizer(call: &Call) -> Outcome {
    let x = call.tensor(0)?;
    let bound = Tensor::full(x.shape(), call.float_or("threshold", 0.0)?, x.dtype());
    one(bound.less(x).cast(x.dtype()))
}
