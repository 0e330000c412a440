//! What a training prints: a head before it, results after it.

use std::io::IsTerminal;
use std::path::Path;

use super::dataset::{Targets, Task};
use super::folder::Folder;
use super::score::{Quality, Score};
use super::session::Session;
use super::settings::{counted, thousands};
use crate::terminal::{Confusion, Curve, Scale, Style, format_number, width_of};

/// The data, the model and the choices.
pub fn head(session: &Session, folder: &Folder) -> String {
    let (settings, data) = (session.settings(), session.data());
    let sizes: Vec<String> = settings.sizes(data).iter().map(usize::to_string).collect();
    let (train, test) = (data.train.targets.len(), data.test.targets.len());
    let task = match &data.task {
        Task::Classes(names) => format!("{} classes", names.len()),
        Task::Numbers { name, .. } => format!("{name} is a number"),
    };
    let (epoch, step) = session.place();
    let mut text = format!("data      {}\n", data.about);
    text += &format!("          {task}; {} to learn from, {test} to be tested on\n", counted(train as u64, "row"));
    text += &format!("model     {} with relu between, {} parameters\n", sizes.join(" -> "), thousands(settings.parameters(data)));
    text += &format!(
        "training  {}, learning rate {}, {} of {}, {} a step, seed {}, {}\n",
        settings.optimizer,
        format_number(settings.rate),
        counted(settings.epochs, "epoch"),
        counted(session.steps_per_epoch() as u64, "step"),
        counted(settings.batch as u64, "row"),
        settings.seed,
        counted(session.threads() as u64, "thread"),
    );
    if (epoch, step) != (0, 0) {
        text += &format!("goes on   after {} and {}\n", counted(epoch, "epoch"), counted(step, "step"));
    }
    text + &format!("folder    {}\n\n", folder.path().display())
}

/// The curve, the confusions, the files, how to go on, and last the result.
pub fn results(session: &Session, score: &Score, folder: &Folder) -> String {
    let mut text = curve(&session.history().losses());
    if let (Quality::Classes { predicted, .. }, Task::Classes(names), Targets::Classes(truths)) =
        (&score.quality, &session.data().task, &session.data().test.targets)
        && let Ok(confusion) = Confusion::count(names, truths, predicted)
    {
        text += &format!("\n{}", confusion.draw());
    }
    let settings = session.settings();
    text += &format!("\nweights: {}\n", folder.model().display());
    text += &format!("metrics: {}\n", folder.metrics().display());
    let more = settings.epochs.saturating_mul(2);
    text += &format!("go on with: {}\n\n", resume_command(folder.path(), Some(more)));
    text + &result_line(score)
}

/// Such as `test accuracy: 97.8 %`.
fn result_line(score: &Score) -> String {
    match score.quality {
        Quality::Classes { accuracy, .. } => format!("test accuracy: {:.1} %\n", 100.0 * accuracy),
        Quality::Numbers { rmse, r_squared } => {
            let explained = match r_squared.is_nan() {
                true => "undefined, as all targets of the test are equal".to_string(),
                false => format!("{r_squared:.4}"),
            };
            format!("test error: RMSE {}, R^2 {explained}\n", format_number(rmse))
        }
    }
}

fn curve(losses: &[f64]) -> String {
    // Pipes and files may be read by what knows no Braille; a terminal of today knows it.
    let braille = std::io::stdout().is_terminal();
    let curve = Curve {
        title: "training loss",
        unit: "epoch",
        values: losses,
        width: if braille { width_of(std::io::stdout(), 72) } else { 72 },
        height: 10,
        scale: Scale::Detect,
        style: if braille { Style::Braille } else { Style::Ascii },
    };
    curve.draw()
}

/// What to type to go on.
pub fn resume_command(folder: &Path, epochs: Option<u64>) -> String {
    let epochs = epochs.map_or(String::new(), |epochs| format!(" --epochs {epochs}"));
    let program = std::env::args().next().unwrap_or_default();
    resume_with(&program, &folder.to_string_lossy(), &epochs)
}

/// The program is named as it was called: it need not lie where the shell looks.
fn resume_with(program: &str, folder: &str, epochs: &str) -> String {
    let program = if program.is_empty() { "chainrule" } else { program };
    format!("{} train --resume {}{epochs}", quoted(program), quoted(folder))
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@".contains(c);
    match !path.is_empty() && path.chars().all(plain) {
        true => path.to_string(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        assert_eq!(resume_with("", "runs/a-1", ""), "chainrule train --resume runs/a-1");
        let odd = resume_with("target/release/chainrule", "my runs/it's", " --epochs 3");
        assert_eq!(odd, "target/release/chainrule train --resume 'my runs/it'\\''s' --epochs 3");
    }

    #[test]
    fn the_last_line_says_how_good_it_is() {
        let classes = Quality::Classes { accuracy: 0.9775, predicted: Vec::new() };
        let line = |quality| result_line(&Score { loss: 0.0, quality });
        assert_eq!(line(classes), "test accuracy: 97.8 %\n");
        let numbers = Quality::Numbers { rmse: 0.123456, r_squared: 0.98765 };
        assert_eq!(line(numbers), "test error: RMSE 0.1235, R^2 0.9877\n");
    }
}
