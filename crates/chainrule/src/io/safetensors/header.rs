//! The JSON header of a safetensors file: parsed strictly, checked as a whole, and written.
//!
//! The JSON is read by `serde_json` with visitors of our own, because its maps would silently keep
//! the last of two equal names.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{LONGEST_HEADER, METADATA, MOST_AXES, RawDtype, TensorProblem};

/// What a header says.
pub(super) struct Header {
    /// The tensors, in the order in which the header names them.
    pub(super) places: Vec<Place>,
    /// Keys and texts, in the order of the header.
    pub(super) metadata: Vec<(String, String)>,
}

/// Where one tensor lies and what it is.
pub(super) struct Place {
    pub(super) name: String,
    pub(super) dtype: RawDtype,
    pub(super) shape: Vec<usize>,
    /// The first byte, counted from the end of the header.
    pub(super) begin: u64,
    /// One past the last byte.
    pub(super) end: u64,
}

/// The bytes that a tensor takes, with every way to overflow refused.
pub(super) fn byte_count(tensor: &str, dtype: RawDtype, shape: &[usize]) -> Result<u64, TensorProblem> {
    if shape.len() > MOST_AXES {
        let (tensor, axes) = (tensor.to_string(), shape.len());
        return Err(TensorProblem::TooManyAxes { tensor, axes });
    }
    // Axes of length zero are left out: strides are products of the others, and must fit as well.
    let largest = shape.iter().try_fold(dtype.bytes(), |product, &length| product.checked_mul(length.max(1)));
    match largest {
        Some(bytes) if isize::try_from(bytes).is_ok() => match shape.contains(&0) {
            true => Ok(0),
            false => Ok(bytes as u64),
        },
        _ => Err(TensorProblem::ShapeOverflow { tensor: tensor.to_string(), shape: shape.to_vec() }),
    }
}

impl Header {
    /// Reads the header of a file in which `data_length` bytes follow it.
    pub(super) fn parse(text: &[u8], data_length: u64) -> Result<Header, TensorProblem> {
        if let Err(error) = std::str::from_utf8(text) {
            let at = error.valid_up_to();
            return Err(TensorProblem::HeaderNotUtf8 { at });
        }
        let current = RefCell::new(None);
        let mut json = serde_json::Deserializer::from_slice(text);
        let raw = if text.first() == Some(&b'{') {
            json.deserialize_map(HeaderVisitor { current: &current }).and_then(|raw| json.end().map(|()| raw))
        } else {
            Err(Error::custom("the first character must be {"))
        };
        let raw = raw.map_err(|error| TensorProblem::HeaderNotJson { tensor: current.take(), reason: error.to_string() })?;
        let header = Header {
            places: raw.entries.into_iter().map(|(name, entry)| entry.into_place(name)).collect::<Result<_, _>>()?,
            metadata: raw.metadata.unwrap_or_default(),
        };
        header.check_names()?;
        header.check_cover(data_length)?;
        Ok(header)
    }

    /// The header as text, padded with blanks so that the data starts at a multiple of 8.
    pub(super) fn to_text(&self) -> Result<String, TensorProblem> {
        if let Some(place) = self.places.iter().find(|place| place.name == METADATA) {
            return Err(TensorProblem::ReservedName(place.name.clone()));
        }
        self.check_names()?;
        // Serialising a text cannot fail; `Value` does it without an error to handle.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut fields = Vec::with_capacity(self.places.len() + 1);
        if !self.metadata.is_empty() {
            let pairs: Vec<String> = self.metadata.iter().map(|(key, text)| format!("{}:{}", quoted(key), quoted(text))).collect();
            fields.push(format!("\"{METADATA}\":{{{}}}", pairs.join(",")));
        }
        for place in &self.places {
            let axes: Vec<String> = place.shape.iter().map(usize::to_string).collect();
            fields.push(format!(
                "{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                quoted(&place.name),
                place.dtype.name(),
                axes.join(","),
                place.begin,
                place.end
            ));
        }
        let mut text = format!("{{{}}}", fields.join(","));
        let padded = text.len().next_multiple_of(8);
        text.push_str(&" ".repeat(padded - text.len()));
        match text.len() as u64 {
            claimed if claimed > LONGEST_HEADER => Err(TensorProblem::HeaderTooLong { claimed }),
            _ => Ok(text),
        }
    }

    fn check_names(&self) -> Result<(), TensorProblem> {
        let keys = self.metadata.iter().map(|(key, _)| key.as_str());
        let names = self.places.iter().map(|place| place.name.as_str());
        match first_repeated(names).or_else(|| first_repeated(keys)) {
            Some(name) => Err(TensorProblem::RepeatedName(name.to_string())),
            None => Ok(()),
        }
    }

    /// Every byte of the data belongs to exactly one tensor.
    fn check_cover(&self, data_length: u64) -> Result<(), TensorProblem> {
        let mut in_order: Vec<&Place> = self.places.iter().collect();
        in_order.sort_by_key(|place| (place.begin, place.end));
        let mut covered = 0;
        let mut before: Option<&Place> = None;
        for place in in_order {
            place.check(data_length)?;
            if place.begin > covered {
                let (from, to) = (covered, place.begin);
                return Err(TensorProblem::Gap { from, to });
            }
            if let (true, Some(before)) = (place.begin < covered, before) {
                return Err(TensorProblem::Overlap {
                    tensor: place.name.clone(),
                    begin: place.begin,
                    other: before.name.clone(),
                    other_end: covered,
                });
            }
            covered = place.end;
            before = Some(place);
        }
        match covered < data_length {
            true => Err(TensorProblem::Gap { from: covered, to: data_length }),
            false => Ok(()),
        }
    }
}

impl Place {
    fn check(&self, data_length: u64) -> Result<(), TensorProblem> {
        let tensor = || self.name.clone();
        let (begin, end) = (self.begin, self.end);
        let Some(found) = end.checked_sub(begin) else {
            let tensor = tensor();
            return Err(TensorProblem::OffsetsReversed { tensor, begin, end });
        };
        let needed = byte_count(&self.name, self.dtype, &self.shape)?;
        if needed != found {
            return Err(TensorProblem::WrongSize { tensor: tensor(), dtype: self.dtype, shape: self.shape.clone(), needed, found });
        }
        if end > data_length {
            return Err(TensorProblem::BeyondFile { tensor: tensor(), end, available: data_length });
        }
        Ok(())
    }
}

fn first_repeated<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// The header's JSON in its own terms.
struct RawHeader {
    entries: Vec<(String, RawEntry)>,
    metadata: Option<Vec<(String, String)>>,
}

struct RawEntry {
    dtype: String,
    shape: Vec<u64>,
    offsets: [u64; 2],
}

impl RawEntry {
    fn into_place(self, name: String) -> Result<Place, TensorProblem> {
        let known = RawDtype::ALL.iter().find(|dtype| dtype.name() == self.dtype);
        let Some(&dtype) = known else {
            return Err(TensorProblem::UnknownDtype { tensor: name, dtype: self.dtype });
        };
        // A length that no address space holds saturates, and is then refused as an overflow.
        let length = |&length: &u64| usize::try_from(length).unwrap_or(usize::MAX);
        Ok(Place { dtype, shape: self.shape.iter().map(length).collect(), begin: self.offsets[0], end: self.offsets[1], name })
    }
}

struct HeaderVisitor<'a> {
    /// The entry that is being read, so that an error can name it.
    current: &'a RefCell<Option<String>>,
}

impl<'de> Visitor<'de> for HeaderVisitor<'_> {
    type Value = RawHeader;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from names to tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
        let mut raw = RawHeader { entries: Vec::new(), metadata: None };
        while let Some(name) = map.next_key::<String>()? {
            self.current.replace(Some(name.clone()));
            if name != METADATA {
                raw.entries.push((name, map.next_value_seed(Entry)?));
            } else if raw.metadata.replace(map.next_value_seed(Texts)?).is_some() {
                return Err(A::Error::custom("metadata is given twice"));
            }
            self.current.replace(None);
        }
        Ok(raw)
    }
}

/// Reads an object from keys to texts, keeping repeated keys.
struct Texts;

impl<'de> DeserializeSeed<'de> for Texts {
    type Value = Vec<(String, String)>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Texts {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from keys to texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut texts = Vec::new();
        while let Some(pair) = map.next_entry()? {
            texts.push(pair);
        }
        Ok(texts)
    }
}

/// Reads what the header says about one tensor.
struct Entry;

impl<'de> DeserializeSeed<'de> for Entry {
    type Value = RawEntry;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<RawEntry, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entry {
    type Value = RawEntry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawEntry, A::Error> {
        let (mut dtype, mut shape, mut offsets) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            let repeated = match key.as_str() {
                "dtype" => dtype.replace(map.next_value::<String>()?).is_some(),
                "shape" => shape.replace(map.next_value_seed(Axes)?).is_some(),
                "data_offsets" => offsets.replace(map.next_value::<[u64; 2]>()?).is_some(),
                _ => {
                    let known = &["dtype", "shape", "data_offsets"];
                    return Err(A::Error::unknown_field(&key, known));
                }
            };
            if repeated {
                return Err(A::Error::custom(format!("{key} is given twice")));
            }
        }
        Ok(RawEntry {
            dtype: dtype.ok_or_else(|| A::Error::missing_field("dtype"))?,
            shape: shape.ok_or_else(|| A::Error::missing_field("shape"))?,
            offsets: offsets.ok_or_else(|| A::Error::missing_field("data_offsets"))?,
        })
    }
}

/// Reads a list of axis lengths, and stops at one too many instead of storing millions.
struct Axes;

impl<'de> DeserializeSeed<'de> for Axes {
    type Value = Vec<u64>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Vec<u64>, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Axes {
    type Value = Vec<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of whole numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u64>, A::Error> {
        let mut axes = Vec::new();
        while let Some(length) = list.next_element()? {
            if axes.len() == MOST_AXES {
                let message = format!("the shape has more than {MOST_AXES} axes");
                return Err(A::Error::custom(message));
            }
            axes.push(length);
        }
        Ok(axes)
    }
}
