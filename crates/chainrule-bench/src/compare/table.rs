//! Figures of several rounds made into tables: spreads, ratios, shares of the peak.
//!
//! Refuses to measure, and to average: of every figure the least, the median and the greatest stand; of the
//! fastest steps the least alone.

use super::lines::Figures;

/// Least, median and greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The least.
    pub least: f64,
    /// The middle one; of an even number, half way between the two.
    pub median: f64,
    /// The greatest.
    pub greatest: f64,
}

/// All figures of one workload: for each contender, ours first, one of each round that it has run.
pub struct Row {
    /// The workload.
    pub workload: String,
    /// By contender, then by round. `None` where the contender has no such workload.
    pub samples: Vec<Vec<Option<Figures>>>,
}

/// The tables as text: times, ratios and shares of `peak` (GFLOP/s); the fastest steps; then first steps
/// and losses. `names` are the contenders, ours first.
pub fn tables(names: &[&str], rows: &[Row], peak: f64) -> String {
    [steps(names, rows, peak), fastest(names, rows), starts(names, rows)].map(|table| laid_out(&table)).join("\n")
}

impl Spread {
    /// Of some values; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, greatest) = (*values.first()?, *values.last()?);
        let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
        Some(Spread { least, median, greatest })
    }

    fn text(self, number: fn(f64) -> String) -> String {
        format!("{} / {} / {}", number(self.least), number(self.median), number(self.greatest))
    }
}

impl Row {
    fn spread(&self, contender: usize, figure: fn(&Figures) -> f64) -> Option<Spread> {
        Spread::of(self.samples.get(contender)?.iter().flatten().map(figure))
    }

    /// The fastest of the others by its median over all rounds, and our time divided by its, round by round: a
    /// round's two figures are taken within a minute or so, and share what the machine did then.
    pub fn ratio(&self) -> Option<(usize, Spread)> {
        let medians = (1..self.samples.len()).filter_map(|peer| Some((peer, self.spread(peer, |figures| figures.median)?.median)));
        let (best, _) = medians.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let pairs = self.samples[0].iter().zip(&self.samples[best]);
        let ratios = Spread::of(pairs.filter_map(|(ours, peer)| Some(ours.as_ref()?.median / peer.as_ref()?.median)))?;
        Some((best, ratios))
    }

    /// GFLOP of our step's products.
    fn products(&self) -> Option<f64> {
        self.samples.first()?.iter().flatten().find_map(|figures| figures.products)
    }

    /// What our products would take at the peak, of what the whole step takes.
    pub fn share(&self, peak: f64) -> Option<f64> {
        let seconds = self.spread(0, |figures| figures.median)?.median / 1e3;
        Some(self.products()? / seconds / peak)
    }
}

fn steps(names: &[&str], rows: &[Row], peak: f64) -> Vec<Vec<String>> {
    let compared = names.len() > 1;
    let mut head = vec!["workload".to_string()];
    head.extend(names.iter().map(|name| format!("{name}, ms")));
    if compared {
        head.push(format!("{} / best peer", names[0]));
    }
    head.extend(["products, GFLOP", "of the peak"].map(str::to_string));
    let mut table = vec![head];
    for row in rows {
        let mut cells = vec![row.workload.clone()];
        cells.extend((0..names.len()).map(|i| cell(row.spread(i, |figures| figures.median), |spread| spread.text(milliseconds))));
        if compared {
            cells.push(cell(row.ratio(), |(best, ratios)| format!("{} of {}", ratios.text(ratio), names[best])));
        }
        cells.push(cell(row.products(), |products| if products < 0.01 { format!("{products:.6}") } else { format!("{products:.3}") }));
        cells.push(cell(row.share(peak), |share| format!("{:.1} %", share * 100.0)));
        table.push(cells);
    }
    table
}

/// The fastest step of all rounds: what a machine that others use as well cannot slow down, if it leaves
/// one step in peace.
fn fastest(names: &[&str], rows: &[Row]) -> Vec<Vec<String>> {
    let mut head = vec!["workload".to_string()];
    head.extend(names.iter().map(|name| format!("fastest step of {name}, ms")));
    if names.len() > 1 {
        head.push(format!("{} / best peer", names[0]));
    }
    let mut table = vec![head];
    for row in rows {
        let least: Vec<Option<f64>> = (0..names.len()).map(|i| Some(row.spread(i, |figures| figures.least)?.least)).collect();
        let best = (1..names.len()).filter_map(|i| Some((i, least[i]?))).min_by(|a, b| a.1.total_cmp(&b.1));
        let mut cells = vec![row.workload.clone()];
        cells.extend(least.iter().map(|&least| cell(least, milliseconds)));
        if names.len() > 1 {
            let compared = least[0].zip(best).map(|(ours, (peer, best))| format!("{} of {}", ratio(ours / best), names[peer]));
            cells.push(cell(compared, |text| text));
        }
        table.push(cells);
    }
    table
}

fn starts(names: &[&str], rows: &[Row]) -> Vec<Vec<String>> {
    let mut head = vec!["workload".to_string()];
    head.extend(names.iter().map(|name| format!("first step of {name}, ms")));
    head.extend(names.iter().map(|name| format!("loss of {name}")));
    let mut table = vec![head];
    for row in rows {
        let mut cells = vec![row.workload.clone()];
        cells.extend((0..names.len()).map(|i| cell(row.spread(i, |figures| figures.first), |spread| spread.text(milliseconds))));
        cells.extend((0..names.len()).map(|i| cell(row.spread(i, |figures| figures.loss), |spread| format!("{:.4}", spread.median))));
        table.push(cells);
    }
    table
}

fn cell<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".to_string(), text)
}

/// Three digits that count, as far as the scripts print them.
fn milliseconds(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        0.1.. => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

fn ratio(value: f64) -> String {
    if value < 0.1 { format!("{value:.3}") } else { format!("{value:.2}") }
}

/// A table in Markdown whose columns also line up as they stand: the first to the left, figures to the right.
fn laid_out(table: &[Vec<String>]) -> String {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| table.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0).max(2);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (i, row) in table.iter().enumerate() {
        let cells = row.iter().zip(&widths).enumerate();
        let cells: Vec<String> =
            cells.map(|(j, (cell, &width))| if j == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") }).collect();
        text += &format!("| {} |\n", cells.join(" | "));
        if i == 0 {
            let lines = widths.iter().enumerate().map(|(j, &width)| if j == 0 { "-".repeat(width) } else { "-".repeat(width - 1) + ":" });
            text += &format!("| {} |\n", lines.collect::<Vec<_>>().join(" | "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(median: f64) -> Option<Figures> {
        Some(Figures { median, least: 0.8 * median, first: 10.0 * median, loss: median / 100.0, products: None })
    }

    /// Ours, and two peers of which the second is faster by its median, though not in the first round.
    fn row() -> Row {
        let mut ours: Vec<_> = [4.0, 2.0, 3.0].into_iter().map(figures).collect();
        ours.iter_mut().flatten().for_each(|figures| figures.products = Some(0.06));
        let slow = [4.0, 9.0, 10.0].into_iter().map(figures).collect();
        let fast = [5.0, 5.0, 2.0].into_iter().map(figures).collect();
        Row { workload: "mlp".to_string(), samples: vec![ours, slow, fast] }
    }

    #[test]
    fn spreads_of_odd_even_and_no_numbers() {
        assert_eq!(Spread::of([3.0, 1.0, 8.0]), Some(Spread { least: 1.0, median: 3.0, greatest: 8.0 }));
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 9.0]), Some(Spread { least: 1.0, median: 3.0, greatest: 9.0 }));
        assert_eq!(Spread::of([7.0]), Some(Spread { least: 7.0, median: 7.0, greatest: 7.0 }));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round_against_the_fastest() {
        let (best, ratios) = row().ratio().unwrap();
        assert_eq!(best, 2);
        // 4/5, 2/5, 3/2: the median of the ratios is not the ratio of the medians, 3/5.
        assert_eq!(ratios, Spread { least: 0.4, median: 0.8, greatest: 1.5 });
    }

    #[test]
    fn rounds_that_one_side_has_not_run_are_left_out() {
        let mut row = row();
        row.samples[2].truncate(1);
        // The one figure of the second peer, 5, is still less than the first peer's median of 9.
        assert_eq!(row.ratio(), Some((2, Spread { least: 0.8, median: 0.8, greatest: 0.8 })));
        row.samples[2] = vec![None; 3];
        assert_eq!(row.ratio().unwrap().0, 1);
        row.samples.truncate(1);
        assert_eq!(row.ratio(), None);
    }

    #[test]
    fn the_share_of_the_peak() {
        // 0.06 GFLOP in 3 ms are 20 GFLOP/s.
        assert!((row().share(80.0).unwrap() - 0.25).abs() < 1e-12);
        let mut unknown = row();
        unknown.samples[0].iter_mut().flatten().for_each(|figures| figures.products = None);
        assert_eq!(unknown.share(80.0), None);
    }

    #[test]
    fn the_whole_text() {
        let mut missing = row();
        missing.workload = "a longer name".to_string();
        missing.samples[2] = vec![None; 3];
        let text = tables(&["ours", "slow", "fast"], &[row(), missing], 80.0);
        let expected = "\
| workload      |           ours, ms |           slow, ms |           fast, ms |           ours / best peer | products, GFLOP | of the peak |
| ------------- | -----------------: | -----------------: | -----------------: | -------------------------: | --------------: | ----------: |
| mlp           | 2.00 / 3.00 / 4.00 | 4.00 / 9.00 / 10.0 | 2.00 / 5.00 / 5.00 | 0.40 / 0.80 / 1.50 of fast |           0.060 |      25.0 % |
| a longer name | 2.00 / 3.00 / 4.00 | 4.00 / 9.00 / 10.0 |                  - | 0.22 / 0.30 / 1.00 of slow |           0.060 |      25.0 % |

| workload      | fastest step of ours, ms | fastest step of slow, ms | fastest step of fast, ms | ours / best peer |
| ------------- | -----------------------: | -----------------------: | -----------------------: | ---------------: |
| mlp           |                     1.60 |                     3.20 |                     1.60 |     1.00 of fast |
| a longer name |                     1.60 |                     3.20 |                        - |     0.50 of slow |

| workload      | first step of ours, ms | first step of slow, ms | first step of fast, ms | loss of ours | loss of slow | loss of fast |
| ------------- | ---------------------: | ---------------------: | ---------------------: | -----------: | -----------: | -----------: |
| mlp           |     20.0 / 30.0 / 40.0 |      40.0 / 90.0 / 100 |     20.0 / 50.0 / 50.0 |       0.0300 |       0.0900 |       0.0500 |
| a longer name |     20.0 / 30.0 / 40.0 |      40.0 / 90.0 / 100 |                      - |       0.0300 |       0.0900 |            - |
";
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn without_peers_nothing_is_compared() {
        let mut alone = row();
        alone.samples.truncate(1);
        let text = tables(&["ours"], &[alone], 80.0);
        assert!(!text.contains("peer") && text.contains("25.0 %"), "{text}");
    }

    #[test]
    fn milliseconds_keep_three_digits() {
        let texts = [0.0125, 0.125, 1.25, 12.51, 125.2, 1252.0].map(milliseconds);
        assert_eq!(texts, ["0.0125", "0.125", "1.25", "12.5", "125", "1252"]);
    }
}
