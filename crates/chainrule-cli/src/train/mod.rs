//! `chainrule train`: trains a network on handwritten digits, toy data or a table, and shows how
//! well it does.

mod dataset;
mod folder;
mod history;
mod report;
mod score;
mod session;
mod settings;
mod stop;
mod toys;

use std::path::{Path, PathBuf};

use chainrule::Runtime;
use chainrule::io::output::Output;
use clap::Args;

use crate::failure::{Failure, Outcome};
use dataset::{Dataset, NAMED};
use folder::Folder;
use session::{End, Session};
use settings::{OptimizerKind, Settings, counted};
pub use stop::Request;
use stop::Stop;

/// What `chainrule train` is asked for.
#[derive(Args, Debug, Default)]
#[command(after_help = EXAMPLES)]
pub struct TrainArgs {
    /// digits, xor, spiral, or a CSV file whose first line names the columns [default: digits]
    data: Option<String>,
    /// The column of a CSV file that is to be predicted: classes or numbers
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Sizes of the hidden layers, such as 64,32; `none` for a linear model [default: 256 for digits,
    /// 16 for xor, 64,64 for spiral, 64,32 for a table]
    #[arg(long, value_name = "N,..", allow_negative_numbers = true)]
    layers: Option<Layers>,
    /// How parameters move [default: adamw]
    #[arg(long, value_enum, value_name = "NAME")]
    optimizer: Option<OptimizerKind>,
    /// The learning rate [default: 0.003, for sgd 0.05]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// How often all rows are gone through, in all [default: 40 for digits, 30 for xor, else 60]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| whole::<u64>(text, 1))]
    epochs: Option<u64>,
    /// Rows in a step [default: 32]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| whole::<usize>(text, 1))]
    batch: Option<usize>,
    /// What xor, spiral, the split of a table, the first parameters and all shuffling are drawn from
    /// [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| whole::<u64>(text, 0))]
    seed: Option<u64>,
    /// Threads that compute; the results are the same for any number [default: one per processor]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = |text: &str| whole::<usize>(text, 1))]
    threads: Option<usize>,
    /// The folder for weights and metrics [default: the next free one, such as runs/digits-1]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in this folder; --epochs then says how many there shall be in all
    #[arg(long, value_name = "DIR", conflicts_with_all = ["target", "layers", "optimizer", "batch", "seed", "out"])]
    resume: Option<PathBuf>,
}

const EXAMPLES: &str = "\
A fifth of the rows of a table is kept for the test; its columns are brought to one scale.

Examples:
  chainrule train digits
  chainrule train spiral --layers 64,64 --optimizer adam --lr 0.01
  chainrule train flowers.csv --target species --epochs 200 --out runs/flowers
  chainrule train --resume runs/flowers --epochs 400";

/// Reads a whole number of `least` or more. What the standard library says of others ("invalid digit
/// found in string") helps nobody.
fn whole<N: std::str::FromStr + TryInto<u64> + Copy>(text: &str, least: u64) -> Result<N, String> {
    let number = text.trim().parse::<N>().ok();
    match number.filter(|&number| number.try_into().is_ok_and(|number| number >= least)) {
        Some(number) => Ok(number),
        None if is_digits(text) && number.is_none() => Err(format!("the number is too large; the largest is {}", u64::MAX)),
        None => Err(format!("write a whole number of {least} or more, such as 32")),
    }
}

fn is_digits(text: &str) -> bool {
    text.trim().bytes().all(|byte| byte.is_ascii_digit()) && !text.trim().is_empty()
}

/// Sizes of hidden layers.
#[derive(Clone, Debug)]
struct Layers(Vec<usize>);

impl std::str::FromStr for Layers {
    type Err = String;

    fn from_str(text: &str) -> Result<Layers, String> {
        if text.trim() == "none" {
            return Ok(Layers(Vec::new()));
        }
        let size = |part: &str| {
            let size = part.trim().parse::<usize>();
            let why = if is_digits(part) { "is far too large for a layer" } else { "is not the size of a layer" };
            size.map_err(|_| format!("{:?} {why}; write whole numbers as in 64,32, or none", part.trim()))
        };
        Ok(Layers(text.split(',').map(size).collect::<Result<_, _>>()?))
    }
}

/// Trains, and prints how well it went.
///
/// # Errors
/// Where the data, the choices or the folders cannot be used, or the training runs away.
pub fn run(args: TrainArgs, out: &mut Output) -> Result<Outcome, Failure> {
    let runtime = match args.threads {
        None => Runtime::shared().clone(),
        Some(threads) => Runtime::new(threads).map_err(|error| {
            Failure::bad_input(format_args!("--threads cannot be {threads}: {error}; more than one per processor gain nothing"))
        })?,
    };
    let (mut session, folder) = match &args.resume {
        Some(path) => resumed(&args, Folder::open(path)?, runtime)?,
        None => started(&args, runtime)?,
    };
    out.write(&report::head(&session, &folder))?;
    match session.run(&folder, &Stop::listen())? {
        End::Done => {
            let score = session.test()?;
            out.write(&report::results(&session, &score, &folder))?;
            Ok(Outcome::Done)
        }
        End::Stopped(request) => {
            let (epochs, steps) = session.place();
            let after = format!("{} and {}", counted(epochs, "epoch"), counted(steps, "step"));
            out.line(&format!("stopped by {} after {after}; everything is saved", request.name()))?;
            out.line(&format!("go on with: {}", report::resume_command(folder.path(), None)))?;
            Ok(Outcome::Stopped(request))
        }
    }
}

fn started(args: &TrainArgs, runtime: Runtime) -> Result<(Session, Folder), Failure> {
    let source = args.data.as_deref().unwrap_or("digits");
    let seed = args.seed.unwrap_or(0);
    let data = Dataset::open(source, args.target.as_deref(), seed)?;
    let optimizer = args.optimizer.unwrap_or(OptimizerKind::AdamW);
    let (layers, epochs) = usual(source);
    let settings = Settings {
        source: source.to_string(),
        target: args.target.clone(),
        layers: args.layers.clone().map_or(layers, |layers| layers.0),
        optimizer,
        rate: args.lr.unwrap_or(optimizer.usual_rate()),
        epochs: args.epochs.unwrap_or(epochs),
        batch: args.batch.unwrap_or(32.min(data.train.targets.len())),
        seed,
    };
    settings.check(&data)?;
    let folder = Folder::create(args.out.as_deref(), &data.name)?;
    folder.check_writable()?;
    Ok((Session::new(settings, data, runtime)?, folder))
}

/// Hidden layers and epochs that suit a data set.
fn usual(source: &str) -> (Vec<usize>, u64) {
    match source {
        "digits" => (vec![256], 40),
        "xor" => (vec![16], 30),
        "spiral" => (vec![64, 64], 60),
        _ => (vec![64, 32], 60),
    }
}

fn resumed(args: &TrainArgs, folder: Folder, runtime: Runtime) -> Result<(Session, Folder), Failure> {
    let saved = session::saved_run(&folder)?;
    let (mut settings, run) = (saved.settings, folder.path().display());
    let named = args.data.as_ref().filter(|source| **source != settings.source);
    // A saved target belongs to a table: with the name of a data set it would be refused by a flag
    // that nobody has given.
    let other_data = |source: &str, known: &str| {
        Failure::bad_input(format_args!("{run} was trained on {known}, and {source} holds other data; leave {source} out, or start anew"))
    };
    if let Some(source) = named.filter(|source| NAMED.contains(&source.as_str())) {
        return Err(other_data(source, &settings.source));
    }
    let known = settings.source.clone();
    if let Some(source) = named {
        settings.source = source.clone();
    }
    settings.rate = args.lr.unwrap_or(settings.rate);
    settings.epochs = args.epochs.unwrap_or(settings.epochs);
    if settings.epochs <= saved.epochs {
        return Err(Failure::bad_input(format_args!(
            "{run} has done {}; say with --epochs how many there shall be in all, such as --epochs {}",
            counted(saved.epochs, "epoch"),
            saved.epochs.saturating_mul(2)
        )));
    }
    if named.is_none() && !NAMED.contains(&known.as_str()) && !Path::new(&known).exists() {
        // A path is as it was typed, and may be seen from another folder now.
        return Err(Failure::bad_input(format_args!(
            "{run} was trained on {known}, which is not there; say where it lies, as in: chainrule train PATH --resume {run}"
        )));
    }
    let data = Dataset::open(&settings.source, settings.target.as_deref(), settings.seed)?;
    if data.fingerprint() != saved.fingerprint {
        return Err(match named {
            Some(source) => other_data(source, &known),
            None => Failure::bad_input(format_args!(
                "the data is not what {run} was trained on: {known} has changed; bring the old data back, or start anew"
            )),
        });
    }
    settings.check(&data)?;
    folder.check_writable()?;
    let mut session = Session::new(settings, data, runtime)?;
    session.load(&folder)?;
    Ok((session, folder))
}
