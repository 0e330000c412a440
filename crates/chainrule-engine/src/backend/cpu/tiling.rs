//! How a matrix product is cut into tiles, and in which form each tile is computed.
//!
//! Every decision depends on the shapes and the layout alone. It refuses to know how many
//! threads there are, as that would change the bits of a result with the thread count.
//!
//! Measured in GFLOP/s, f32, the `gemm` library called per tile, two cores with AVX-512 at
//! 2.6 GHz, medians of five on an otherwise idle machine, operands in cache where they fit.
//! The columns: m x n x k (At, Bt: that operand is a transposed view), form, tile, tiles, the
//! whole matrix directly on one thread, the tiles on one thread, on two threads that claim
//! tiles, on two threads with fixed shares. The rows with the form Loop were timed through the
//! library too; the loop itself is compared below.
//!
//! ```text
//! 128x512x784            Direct     128x64      8    153    154    288    296
//! 128x784x512 Bt         Turned     64x256      8    116    121    239    239
//! 784x512x128 At         Direct     784x64      8    159    157    281    296
//! 128x10x512             Direct     128x10      1     57     56     55     56
//! 128x512x10 Bt          Direct    128x256      2    112    109    166    189
//! 512x10x128 At          Direct     174x10      3     54     50     71     70
//! 32x32x64               Loop        32x32      1    129    128     85     88
//! 32x64x32 Bt            Direct      32x64      1     79     78     61     62
//! 64x32x32 At            Loop        64x32      1    116    116     80     82
//! 768x384x128            Direct     384x64     12    172    170    295    333
//! 768x512x128            Direct     768x64      8    169    169    307    321
//! 768x128x512            Direct     192x64      8    174    166    315    332
//! 128x384x768 At         Direct     128x64      6    148    154    280    287
//! 128x512x768 At         Direct     128x64      8    148    152    280    292
//! 512x128x768 At         Direct     132x64      8    151    137    255    268
//! 768x128x384 Bt         Direct     258x64      6    169    155    291    305
//! 2048x1536x384          Direct    516x256     24    171    162    320    325
//! 2048x384x1536          Direct    258x384      8    171    160    324    326
//! 384x1536x2048 At       Direct    384x128     12    149    143    279    281
//! 1536x384x2048 At       Direct    192x384      8    135    126    257    257
//! 2048x384x1536 Bt       Direct    516x128     12    168    149    298    302
//! 32x1024x256            Direct     32x128      8    155    156    265    278
//! 256x1024x32 At         Direct    256x128      8    146    143    179    251
//! 32x256x1024 Bt         Turned     32x128      2     56    116    220    225
//! 2000x50x50             Direct     252x50      8    115    111    207    210
//! 2000x50x50 Bt          Direct     504x50      4    114    111    208    209
//! 50x50x2000 At          Direct      50x50      1    109    108    108    108
//! 2000x50x2              Direct     672x50      3     25     25     35     35
//! 2x50x2000 At           Direct       2x50      1     22     22     21     21
//! 2000x1x50              Direct      256x1      8     13     28     41     45
//! 784x64x288             Direct     198x64      4    174    167    312    318
//! 288x64x784 At          Direct     144x64      2    159    156    292    292
//! 784x288x64 Bt          Direct     784x64      5    158    159    261    235
//! 64x64x32 x48 Bt        Direct      64x64     48     98     99    185    191
//! 64x32x64 x48           Loop        64x32     48    124    126    223    215
//! 256x256x64 x48 Bt      Direct    256x256     48    138    137    262    273
//! 256x64x256 x48         Direct     256x64     48    153    153    282    283
//! ```
//!
//! Fixed shares keep a tile's memory in the cache of the core that last had it, which counts
//! most where k is small; claiming wins where the tiles at the edge are smaller.
//!
//! Library against a loop of eight rows by two vectors, one thread, A and B row-major:
//!
//! ```text
//! 8x8x8       4 to  39      32x32x64   124 to 142      64x64x64    154 to 141
//! 16x16x16   53 to  98      64x32x64   135 to 142      128x128x64  153 to 138
//! 32x32x32  108 to 135      48x48x48   140 to 130      128x128x128 157 to 128
//! ```

/// One product `C[m, n] = A[m, k] B[k, n]`, repeated over `batch` independent matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Product {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A and rows of B.
    pub k: usize,
    /// How many such products there are.
    pub batch: usize,
    /// A's neighbours in memory lie along m: it is a transposed view, as in `dW = X^T dY`.
    pub a_transposed: bool,
    /// B's neighbours in memory lie along k: it is a transposed view, as in `dX = dY W^T`.
    pub b_transposed: bool,
}

/// How a tile is best computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By a small loop of our own, without packing.
    Loop,
    /// By the library, straight into C.
    Direct,
    /// By the library into a scratch that holds the tile transposed, then turned into C.
    Turned,
}

/// Multiply-adds up to which our own loop is the faster.
const LOOP_LIMIT: usize = 1 << 17;
/// The most tiles one matrix is cut into.
const MOST_TILES: usize = 64;
/// The most that cutting may slow a single thread, by the estimate below.
const ALLOWED_LOSS: f64 = 1.07;
/// The same for [`Form::Turned`], which starts from a lead over the direct form.
const ALLOWED_LOSS_TURNED: f64 = 1.25;
/// The least width to cut to; the others are its doubles. Between them, 192 lost a tenth where A
/// is transposed and k is 2,048.
const LEAST_WIDTH: usize = 64;

/// Which form suits the whole product.
pub fn form(product: &Product) -> Form {
    let Product { m, n, k, .. } = *product;
    // Products with one column or row go to the library's matrix-vector code.
    if !product.b_transposed && n >= 8 && m.saturating_mul(n).saturating_mul(k) <= LOOP_LIMIT {
        return Form::Loop;
    }
    // The library packs a transposed B anew in each call, which few rows do not pay back.
    // Computing the transposed tile packs A instead, at the price of turning m * n results.
    if product.b_transposed && k >= 512 && m <= k / 4 {
        return Form::Turned;
    }
    Form::Direct
}

/// Rows and columns of a tile; the last ones of a row or column of tiles are smaller.
///
/// Among all even cuts that keep one thread near the speed of the whole product, it takes the
/// one whose estimated time on 2, 4 and 8 threads is least.
pub fn tile_shape(product: &Product) -> (usize, usize) {
    let (m, n) = (product.m.max(1), product.n.max(1));
    let form = form(product);
    if form == Form::Loop {
        return (m, n);
    }
    if n == 1 && !product.a_transposed {
        // Up to 256 results the library uses a dot-product kernel, twice as fast as its other one.
        return (m.min(256), 1);
    }
    let cost = Cost::new(product, form);
    let (row_step, loss) = match form {
        Form::Turned => (64, ALLOWED_LOSS_TURNED),
        Form::Loop | Form::Direct => (6, ALLOWED_LOSS),
    };
    let allowed = cost.tile(m, n) * loss;
    let (mut best, mut least) = ((m, n), f64::INFINITY);
    let widths = std::iter::successors(Some(LEAST_WIDTH), |width| width.checked_mul(2));
    for columns in std::iter::once(n).chain(widths.take_while(|&width| width < n)) {
        // None when even one row of tiles would be too many.
        for down in 1..=m.div_ceil(row_step).min(MOST_TILES / n.div_ceil(columns)) {
            let rows = even(m, down, row_step);
            let uncut = (rows, columns) == (m, n);
            if !uncut && cost.all(m, n, rows, columns) > allowed {
                continue;
            }
            let tiles = m.div_ceil(rows) * n.div_ceil(columns);
            let tiles = tiles.saturating_mul(product.batch.max(1));
            let waves = |threads: usize| (tiles.div_ceil(threads) as f64) * threads as f64;
            let time = (waves(2) + waves(4) + waves(8)) * cost.tile(rows, columns);
            // A nearly equal time is not worth more tiles.
            if time < least * 0.99 {
                (best, least) = ((rows, columns), time);
            }
        }
    }
    best
}

/// `length` in `parts` nearly even pieces, each a multiple of `step` but for the last.
fn even(length: usize, parts: usize, step: usize) -> usize {
    let piece = length.div_ceil(parts);
    piece.checked_next_multiple_of(step).map_or(length, |piece| piece.min(length))
}

/// An estimate of a tile's time, in multiply-adds at full speed, fitted to measurements.
///
/// A tile of r rows and c columns costs about `k (r + a) (c + b)`: each call packs its part of
/// B, worth `a` more rows, and reads or packs its part of A, worth `b` more columns.
struct Cost {
    depth: f64,
    more_rows: f64,
    more_columns: f64,
    turned: bool,
}

impl Cost {
    /// What starting a tile costs: about 0.4 microseconds.
    const START: f64 = 30_000.0;
    /// Numbers of A that a tile can read without leaving the near cache.
    const NEAR: f64 = 262_144.0;

    fn new(product: &Product, form: Form) -> Cost {
        let turned = form == Form::Turned;
        let (more_rows, more_columns) = match (turned, product.a_transposed, product.b_transposed) {
            (true, _, _) => (2.0, 25.0),
            (false, false, false) => (10.0, 2.0),
            (false, true, false) => (10.0, 4.0),
            (false, false, true) => (25.0, 2.0),
            (false, true, true) => (25.0, 4.0),
        };
        // Reading and writing C counts as six more steps along k.
        Cost { depth: product.k as f64 + 6.0, more_rows, more_columns, turned }
    }

    fn tile(&self, rows: usize, columns: usize) -> f64 {
        // The kernel takes four vectors of 16 at once; fewer keep the multipliers less busy.
        let in_vectors = |length: usize| {
            let rest = [0.0, 24.0, 40.0, 53.0, 64.0][(length % 64).div_ceil(16)];
            (length / 64 * 64) as f64 + rest
        };
        let (r, c) = if self.turned { (in_vectors(rows), columns as f64) } else { (rows as f64, in_vectors(columns)) };
        // A strip of A beyond a megabyte falls out of the near cache and is fetched anew per tile.
        let far = if self.depth * rows as f64 > Cost::NEAR { 4.0 } else { 0.0 };
        Cost::START + self.depth * (r + self.more_rows) * (c + self.more_columns + far)
    }

    /// The sum over all tiles of an m by n matrix, the smaller ones at its edges included.
    fn all(&self, m: usize, n: usize, rows: usize, columns: usize) -> f64 {
        let strip = |height: usize| {
            let edge = if !n.is_multiple_of(columns) { self.tile(height, n % columns) } else { 0.0 };
            (n / columns) as f64 * self.tile(height, columns) + edge
        };
        let edge = if !m.is_multiple_of(rows) { strip(m % rows) } else { 0.0 };
        (m / rows) as f64 * strip(rows) + edge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(m: usize, n: usize, k: usize, layout: usize) -> Product {
        Product { m, n, k, batch: 1, a_transposed: layout & 1 != 0, b_transposed: layout & 2 != 0 }
    }

    /// Every shape, empty and absurd ones included, gets a tile that fits and not too many.
    #[test]
    fn tiles_fit_and_are_few() {
        let lengths = [0, 1, 2, 7, 16, 63, 64, 65, 130, 257, 1536, 50_257, 1 << 40, usize::MAX];
        for m in lengths {
            for n in lengths {
                for k in lengths {
                    for layout in 0..4 {
                        let product = product(m, n, k, layout);
                        let (rows, columns) = tile_shape(&product);
                        assert!((1..=m.max(1)).contains(&rows), "{product:?}: {rows}");
                        assert!((1..=n.max(1)).contains(&columns), "{product:?}: {columns}");
                        let tiles = m.div_ceil(rows).saturating_mul(n.div_ceil(columns));
                        assert!(tiles <= MOST_TILES || n == 1, "{product:?}: {tiles} tiles");
                    }
                }
            }
        }
    }

    #[test]
    fn large_products_are_shared_and_small_ones_are_not() {
        for layout in 0..4 {
            for (m, n, k) in [(2048, 1536, 384), (2048, 384, 1536), (1536, 384, 2048), (128, 512, 784)] {
                let (rows, columns) = tile_shape(&product(m, n, k, layout));
                let tiles = m.div_ceil(rows) * n.div_ceil(columns);
                assert!(tiles >= 4, "{m}x{n}x{k}, layout {layout}: {tiles} tiles");
            }
            assert_eq!(tile_shape(&product(32, 32, 32, layout)), (32, 32));
        }
    }

    #[test]
    fn many_matrices_are_not_cut_when_they_are_tiles_enough() {
        let one = Product { batch: 48, ..product(256, 256, 64, 2) };
        assert_eq!(tile_shape(&one), (256, 256));
    }

    #[test]
    fn forms_follow_the_layout() {
        assert_eq!(form(&product(32, 32, 64, 0)), Form::Loop);
        assert_eq!(form(&product(64, 32, 32, 1)), Form::Loop);
        assert_eq!(form(&product(32, 32, 64, 2)), Form::Direct);
        assert_eq!(form(&product(2000, 1, 50, 0)), Form::Direct);
        assert_eq!(form(&product(32, 256, 1024, 2)), Form::Turned);
        assert_eq!(form(&product(32, 256, 1024, 0)), Form::Direct);
        assert_eq!(form(&product(2048, 384, 1536, 2)), Form::Direct);
    }
}
