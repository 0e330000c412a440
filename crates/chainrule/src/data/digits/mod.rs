//! The embedded data set: 1,797 handwritten digits of 8x8 pixels, and their fixed split.
//!
//! The rows lie beside this file in `digits.csv`; `SOURCE.md` names the authors and the licence
//! (CC BY 4.0). This file refuses to download anything and to draw a new split: every run of every
//! version trains on the same 1,437 images and is tested on the same 360.

/// How many images there are.
pub const COUNT: usize = 1797;
/// How many pixels an image has: 8 rows of 8.
pub const PIXELS: usize = 64;
/// How many classes there are: the digits 0 to 9.
pub const CLASSES: usize = 10;
/// How many images [`Digits::split`] keeps for testing.
pub const TEST_COUNT: usize = 360;

/// The year in which the data set was published: the seed of the split, fixed for good.
const SPLIT_SEED: u64 = 1998;
/// The brightest pixel of the file; dividing by it brings pixels to 0..=1.
const BRIGHTEST: f32 = 16.0;

static FILE: &[u8] = include_bytes!("digits.csv");

/// Images and the digit that each one shows, in one order.
#[derive(Clone, Debug, PartialEq)]
pub struct Digits {
    /// The pixels, image after image, each row by row from the top left: 0 is paper, 1 is ink.
    pub images: Vec<f32>,
    /// The digit of each image, 0 to 9.
    pub labels: Vec<u8>,
}

/// The split of all images into two parts that share none.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// 1,437 images to learn from.
    pub train: Digits,
    /// 360 images to be tested on.
    pub test: Digits,
}

/// All 1,797 images in the order of the file.
///
/// ```
/// let all = chainrule::data::digits::digits();
/// assert_eq!(all.count(), 1797);
/// assert_eq!(all.labels[..4], [0, 1, 2, 3]);
/// ```
pub fn digits() -> Digits {
    let mut images = Vec::with_capacity(COUNT * PIXELS);
    let mut labels = Vec::with_capacity(COUNT);
    let mut cell = 0u8;
    for &byte in FILE {
        match byte {
            b'0'..=b'9' => cell = cell.wrapping_mul(10).wrapping_add(byte - b'0'),
            b',' => images.push(f32::from(std::mem::take(&mut cell)) / BRIGHTEST),
            b'\n' => labels.push(std::mem::take(&mut cell)),
            // A checkout on Windows may have turned line ends into `\r\n`.
            _ => {}
        }
    }
    Digits { images, labels }
}

impl Digits {
    /// How many images there are.
    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// The 64 pixels of one image, or nothing where `index` is past the last.
    pub fn image(&self, index: usize) -> Option<&[f32]> {
        let start = index.checked_mul(PIXELS)?;
        self.images.get(start..start.checked_add(PIXELS)?)
    }

    /// Splits the whole set into 1,437 images for training and 360 for testing.
    ///
    /// The row numbers are shuffled once (Fisher-Yates, drawn from SplitMix64 seeded with 1998);
    /// the first 360 are the test set, the rest, in shuffled order, the training set. Digits by the
    /// same hand can be in both parts, so the test says how well a model knows *these* writers.
    ///
    /// ```
    /// let split = chainrule::data::digits::digits().split();
    /// assert_eq!((split.train.count(), split.test.count()), (1437, 360));
    /// ```
    pub fn split(&self) -> Split {
        let order = shuffled_rows(self.count());
        let (test, train) = order.split_at(TEST_COUNT.min(order.len()));
        Split { train: self.pick(train), test: self.pick(test) }
    }

    fn pick(&self, rows: &[usize]) -> Digits {
        Digits {
            images: rows.iter().flat_map(|&row| self.image(row).unwrap_or_default()).copied().collect(),
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
        }
    }
}

/// The numbers 0 to `count - 1` in the fixed order of the split.
fn shuffled_rows(count: usize) -> Vec<usize> {
    let mut state = SPLIT_SEED;
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, below(&mut state, last + 1));
    }
    order
}

/// A number from 0 to `bound - 1`: the upper half of a 64 x 64 bit product.
fn below(state: &mut u64, bound: usize) -> usize {
    ((u128::from(split_mix(state)) * bound as u128) >> 64) as usize
}

/// SplitMix64 (Steele, Lea and Flood, 2014): a counter and two rounds of mixing.
///
/// The split keeps its own generator so that no change to the library's random numbers can ever
/// move an image from one part to the other.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The pixel as the integer that stands in the file.
    fn ink(pixel: f32) -> u64 {
        (pixel * BRIGHTEST) as u64
    }

    /// Figures computed once in Python from scikit-learn's own copy; the weighted sums notice a
    /// row, a column or a label out of place.
    #[test]
    fn agrees_with_stored_figures() {
        let all = digits();
        assert_eq!(all.images.len(), COUNT * PIXELS);
        assert_eq!(all.count(), COUNT);
        let mut per_class = [0; CLASSES];
        let (mut ink_per_class, mut by_row, mut by_pixel, mut by_label) = ([0; CLASSES], 0, 0, 0);
        for (row, &label) in all.labels.iter().enumerate() {
            per_class[usize::from(label)] += 1;
            by_label += (row as u64 + 1) * u64::from(label);
            for (column, &pixel) in all.image(row).unwrap().iter().enumerate() {
                ink_per_class[usize::from(label)] += ink(pixel);
                by_row += (row as u64 % 97 + 1) * ink(pixel);
                by_pixel += (column as u64 + 1) * ink(pixel);
            }
        }
        assert_eq!(per_class, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert_eq!(ink_per_class, [56415, 57007, 55566, 56151, 56239, 55915, 56336, 54289, 57408, 56392]);
        assert_eq!((by_row, by_pixel, by_label), (27_113_569, 18_222_371, 7_272_861));
    }

    #[test]
    fn pixels_are_sixteenths_from_zero_to_one() {
        let all = digits();
        assert!(all.images.iter().all(|&p| (0.0..=1.0).contains(&p)));
        assert!(all.images.iter().all(|&p| (p * BRIGHTEST).fract() == 0.0));
        assert!(all.images.contains(&0.0) && all.images.contains(&1.0));
    }

    #[test]
    fn split_mix_matches_its_published_stream() {
        // The first numbers for seed 1234567, as the algorithm's authors' reference code prints.
        let mut state = 1_234_567;
        let drawn: Vec<u64> = (0..3).map(|_| split_mix(&mut state)).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    /// The first rows of both parts and the classes of the test part, computed by a separate
    /// program in Python: whoever changes the split changes every published accuracy.
    #[test]
    fn the_split_never_moves() {
        let order = shuffled_rows(COUNT);
        assert_eq!(order[..8], [897, 609, 1445, 1293, 608, 229, 1051, 267]);
        assert_eq!(order[360..368], [705, 1414, 1465, 818, 1768, 341, 760, 47]);
        assert_eq!(order.iter().collect::<HashSet<_>>().len(), COUNT);
        let split = digits().split();
        let mut classes = [0; CLASSES];
        for &label in &split.test.labels {
            classes[usize::from(label)] += 1;
        }
        assert_eq!(classes, [40, 42, 32, 39, 27, 42, 30, 33, 36, 39]);
    }

    #[test]
    fn the_split_keeps_images_with_their_labels() {
        let all = digits();
        let split = all.split();
        let order = shuffled_rows(COUNT);
        for (place, &row) in order.iter().enumerate() {
            let (part, at) = match place.checked_sub(TEST_COUNT) {
                None => (&split.test, place),
                Some(at) => (&split.train, at),
            };
            assert_eq!(part.labels[at], all.labels[row]);
            assert_eq!(part.image(at), all.image(row));
        }
        assert_eq!(split.train.image(1437), None);
        assert_eq!(all.image(usize::MAX), None);
    }
}
