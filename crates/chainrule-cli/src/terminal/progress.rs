//! One line that says how far a training is, and a display that keeps it up to date.
//!
//! The line is a pure function of values. The display rewrites it in place on a terminal and writes
//! whole lines elsewhere; it uses the carriage return and blanks, no other control codes.

use std::io::{self, IsTerminal, Stderr, Write};
use std::time::{Duration, Instant};

use super::format_number;

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The epoch that is being run, from 1.
    pub epoch: usize,
    /// How many epochs there will be.
    pub epochs: usize,
    /// The share of the whole training that is done, 0 to 1.
    pub done: f64,
    /// The loss, not necessarily finite.
    pub loss: Option<f64>,
    /// The share of right answers, 0 to 1.
    pub accuracy: Option<f64>,
    /// The time that is left.
    pub left: Option<Duration>,
}

/// The line, such as `epoch 3/20  [#####.....]  loss 0.1234  accuracy 97.1 %  0:12 left`.
///
/// It takes at most `width` characters: the bar has 10 to 30, and where the line would still be too
/// long, parts are left out from the end, the epoch last of all.
pub fn progress_line(progress: &Progress, width: usize) -> String {
    // The epoch keeps its width, so that what follows stays in place.
    let digits = progress.epochs.to_string().len();
    let epoch = format!("epoch {:>digits$}/{}", progress.epoch, progress.epochs);
    let mut parts = Vec::new();
    if let Some(loss) = progress.loss {
        parts.push(format!("loss {}", loss_text(loss)));
    }
    if let Some(accuracy) = progress.accuracy {
        parts.push(format!("accuracy {:.1} %", 100.0 * accuracy));
    }
    if let Some(left) = progress.left {
        parts.push(format!("{} left", format_duration(left)));
    }
    // Room is kept for what parts usually come to, or the bar would grow and shrink with them.
    let taken = |parts: &[String]| -> usize {
        let texts = parts.iter().zip(USUAL).map(|(part, usual)| part.chars().count().max(usual.len()) + 2);
        epoch.len() + texts.sum::<usize>()
    };
    // The frame of the bar takes two characters, and two blanks stand before it.
    let room = |parts: &[String]| width.checked_sub(taken(parts) + 4);
    while !parts.is_empty() && room(&parts).is_none_or(|room| room < 10) {
        parts.pop();
    }
    match room(&parts) {
        Some(room) if room >= 10 => parts.insert(0, bar(progress.done, room.min(30))),
        _ => {}
    }
    parts.insert(0, epoch);
    parts.join("  ").chars().take(width).collect()
}

/// Loss, accuracy and time at their usual longest.
const USUAL: [&str; 3] = ["loss 0.1234", "accuracy 100.0 %", "12:34 left"];

/// A loss with a fixed number of digits where possible, so that the line does not flicker.
fn loss_text(loss: f64) -> String {
    match loss.abs() {
        small if (1e-3..1000.0).contains(&small) => format!("{loss:.4}"),
        _ => format_number(loss),
    }
}

fn bar(done: f64, cells: usize) -> String {
    // NaN counts as nothing done, and full means done.
    let full = (done.clamp(0.0, 1.0) * cells as f64) as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(cells - full))
}

/// The time as `0:07`, `12:34` or `1:02:03`.
pub fn format_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// The time that the rest will take if it goes on as it went; nothing before the first step.
pub fn time_left(elapsed: Duration, done_steps: u64, all_steps: u64) -> Option<Duration> {
    if done_steps == 0 {
        return None;
    }
    let rest = all_steps.saturating_sub(done_steps) as f64 / done_steps as f64;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * rest).ok()
}

/// Lines are at most this wide, and narrower on a narrow terminal: a line that wraps could not be
/// rewritten.
const WIDTH: usize = 79;
/// The line is rewritten at most this often: 20 times a second.
const INTERVAL: Duration = Duration::from_millis(50);

/// Shows the line while a training runs.
#[derive(Debug)]
pub struct ProgressDisplay<W: Write = Stderr> {
    out: W,
    /// Whether the line is rewritten in place.
    rewrites: bool,
    /// How wide the line may be.
    width: usize,
    /// How many characters of the line now stand on the terminal.
    shown: usize,
    last_drawn: Option<Instant>,
}

impl ProgressDisplay<Stderr> {
    /// Writes to standard error; in place if that is a terminal that can move its cursor.
    pub fn new() -> ProgressDisplay<Stderr> {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let rewrites = io::stderr().is_terminal() && !dumb;
        let mut display = ProgressDisplay::to(io::stderr(), rewrites);
        if rewrites {
            display.width = super::width_of(io::stderr(), WIDTH);
        }
        display
    }
}

impl Default for ProgressDisplay<Stderr> {
    fn default() -> Self {
        ProgressDisplay::new()
    }
}

impl<W: Write> ProgressDisplay<W> {
    /// Writes to `out`, in place if `rewrites`.
    pub fn to(out: W, rewrites: bool) -> ProgressDisplay<W> {
        ProgressDisplay { out, rewrites, width: WIDTH, shown: 0, last_drawn: None }
    }

    /// Shows how far the training is, on a terminal, unless it was shown a moment ago.
    ///
    /// A display that cannot be written to is no reason to stop a training: errors are ignored.
    pub fn update(&mut self, progress: &Progress) {
        let recent = self.last_drawn.is_some_and(|drawn| drawn.elapsed() < INTERVAL);
        if self.rewrites && !recent {
            self.last_drawn = Some(Instant::now());
            self.rewrite(&progress_line(progress, self.width));
        }
    }

    /// Shows the end of an epoch: in place on a terminal, as a line of its own elsewhere.
    pub fn epoch_done(&mut self, progress: &Progress) {
        match self.rewrites {
            true => self.rewrite(&progress_line(progress, self.width)),
            false => {
                let _ = writeln!(self.out, "{}", progress_line(progress, WIDTH));
            }
        }
    }

    /// Writes a lasting line above the progress.
    pub fn note(&mut self, text: &str) {
        self.clear();
        let _ = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
    }

    /// Removes the line, so that other text can follow.
    pub fn clear(&mut self) {
        if self.shown > 0 {
            let _ = write!(self.out, "\r{}\r", " ".repeat(self.shown));
            let _ = self.out.flush();
            self.shown = 0;
        }
    }

    fn rewrite(&mut self, line: &str) {
        let length = line.chars().count();
        let rest = " ".repeat(self.shown.saturating_sub(length));
        let _ = write!(self.out, "\r{line}{rest}");
        let _ = self.out.flush();
        self.shown = length;
    }
}

impl<W: Write> Drop for ProgressDisplay<W> {
    /// Leaves a clean line behind, also after an error.
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Progress =
        Progress { epoch: 3, epochs: 20, done: 0.5, loss: Some(0.1234), accuracy: Some(0.971), left: Some(Duration::from_secs(12)) };

    #[test]
    fn the_line_says_everything() {
        let line = progress_line(&HALF, 70);
        assert_eq!(line, "epoch  3/20  [######......]  loss 0.1234  accuracy 97.1 %  0:12 left");
    }

    #[test]
    fn the_bar_keeps_its_width() {
        let length = |accuracy, loss, seconds| {
            let progress = Progress { accuracy: Some(accuracy), loss: Some(loss), left: Some(Duration::from_secs(seconds)), ..HALF };
            let line = progress_line(&progress, WIDTH);
            line.find(']').unwrap() - line.find('[').unwrap()
        };
        let bars = [(1.0, 0.1, 5), (0.999, 1e-6, 5), (0.05, 9.5, 700), (0.0, 0.0, 3599)].map(|(a, l, s)| length(a, l, s));
        assert_eq!(bars, [bars[0]; 4]);
    }

    /// At every width the line fits; parts go from the end, and what is left is whole.
    #[test]
    fn every_width_is_kept() {
        let mut last = String::new();
        for width in 0..200 {
            let line = progress_line(&HALF, width);
            assert!(line.chars().count() <= width);
            assert!(line.len() >= last.len(), "{last:?} {line:?}");
            for part in line.split("  ").filter(|_| width >= 11) {
                let part = part.trim();
                let whole = ["loss 0.1234", "accuracy 97.1 %", "0:12 left", "epoch", "3/20"];
                assert!(whole.contains(&part) || part.starts_with('['), "{line:?}");
            }
            last = line;
        }
        assert_eq!(last.len(), 86);
    }

    #[test]
    fn bars_are_full_only_at_the_end() {
        for cells in 10..=30 {
            let mut before = 0;
            for percent in 0..=100 {
                let bar = bar(f64::from(percent) / 100.0, cells);
                let full = bar.matches('#').count();
                assert_eq!(bar.len(), cells + 2);
                assert!(full >= before && (full == cells) == (percent == 100));
                before = full;
            }
            for odd in [f64::NAN, -1.0, f64::NEG_INFINITY] {
                assert!(!bar(odd, cells).contains('#'));
            }
            assert!(!bar(f64::INFINITY, cells).contains('.'));
        }
    }

    #[test]
    fn losses_of_every_size_are_readable() {
        let text = |loss| {
            let progress = Progress { loss: Some(loss), ..HALF };
            progress_line(&progress, 100).split("  ").nth(3).unwrap_or("").to_string()
        };
        let cases = [
            (2.0, "loss 2.0000"),
            (1e-7, "loss 1e-7"),
            (0.0, "loss 0"),
            (123456.0, "loss 123456"),
            (-0.5, "loss -0.5000"),
            (f64::NAN, "loss nan"),
            (f64::INFINITY, "loss inf"),
        ];
        for (loss, expected) in cases {
            assert_eq!(text(loss), expected);
        }
    }

    #[test]
    fn times_are_formatted_and_foretold() {
        let text = |seconds| format_duration(Duration::from_secs(seconds));
        let cases = [(0, "0:00"), (7, "0:07"), (754, "12:34"), (3723, "1:02:03"), (360_000, "100:00:00")];
        for (seconds, expected) in cases {
            assert_eq!(text(seconds), expected);
        }
        let second = Duration::from_secs(1);
        assert_eq!(time_left(second, 0, 10), None);
        assert_eq!(time_left(second, 1, 10), Some(9 * second));
        assert_eq!(time_left(4 * second, 8, 10), Some(second));
        assert_eq!(time_left(second, 11, 10), Some(Duration::ZERO));
        assert_eq!(time_left(Duration::MAX, 1, u64::MAX), None);
    }

    /// What a terminal shows after this output: each line as it was last overwritten.
    fn screen(output: &[u8]) -> Vec<String> {
        let text = std::str::from_utf8(output).unwrap();
        let mut lines = Vec::new();
        for line in text.split('\n') {
            let mut cells: Vec<char> = Vec::new();
            for rewritten in line.split('\r') {
                for (column, character) in rewritten.chars().enumerate() {
                    match cells.get_mut(column) {
                        Some(cell) => *cell = character,
                        None => cells.push(character),
                    }
                }
            }
            lines.push(cells.iter().collect::<String>().trim_end().to_string());
        }
        lines
    }

    #[test]
    fn a_terminal_shows_the_newest_line_and_a_clean_end() {
        let mut out = Vec::new();
        {
            let mut display = ProgressDisplay::to(&mut out, true);
            display.update(&HALF);
            display.note("saved");
            display.epoch_done(&Progress { accuracy: None, left: None, ..HALF });
        }
        let longest = progress_line(&HALF, WIDTH);
        assert!(String::from_utf8_lossy(&out).contains(&longest));
        assert_eq!(screen(&out), ["saved", ""]);
        assert!(!out.contains(&0x1b), "no control codes");
        // A shorter line covers all of the longer one before it.
        let mut out = Vec::new();
        let mut display = ProgressDisplay::to(&mut out, true);
        let short = Progress { loss: None, accuracy: None, left: None, ..HALF };
        display.epoch_done(&HALF);
        display.epoch_done(&short);
        std::mem::forget(display);
        assert_eq!(screen(&out), [progress_line(&short, WIDTH)]);
    }

    #[test]
    fn elsewhere_each_epoch_is_a_line() {
        let mut out = Vec::new();
        {
            let mut display = ProgressDisplay::to(&mut out, false);
            (0..100).for_each(|_| display.update(&HALF));
            display.epoch_done(&HALF);
            display.epoch_done(&HALF);
        }
        let line = progress_line(&HALF, WIDTH);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{line}\n{line}\n"));
    }

    #[test]
    fn many_updates_draw_few_lines() {
        let mut out = Vec::new();
        let start = Instant::now();
        {
            let mut display = ProgressDisplay::to(&mut out, true);
            (0..10_000).for_each(|_| display.update(&HALF));
        }
        let allowed = start.elapsed().as_millis() / INTERVAL.as_millis() + 1;
        let drawn = String::from_utf8(out).unwrap().matches("epoch").count();
        assert!(drawn >= 1 && drawn as u128 <= allowed, "{drawn} of {allowed}");
    }
}
