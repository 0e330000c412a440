//! `chainrule train`: trains a network on handwritten digits, toy data or a table, and shows how
//! well it does.

mod dataset;
mod folder;
mod history;
mod report;
mod score;
mod session;
mod settings;
mod toys;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chainrule::Runtime;
use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::output::{Output, complain};
use dataset::Dataset;
use folder::Folder;
use session::{End, Session};
use settings::{OptimizerKind, Settings};

/// What `chainrule train` is asked for.
#[derive(Args, Debug, Default)]
#[command(after_help = EXAMPLES)]
pub struct TrainArgs {
    /// digits, xor, spiral, or a CSV file whose first line names the columns [default: digits]
    data: Option<String>,
    /// The column of a CSV file that is to be predicted: classes or numbers
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// Sizes of the hidden layers, such as 64,32; `none` for a linear model
    #[arg(long, value_name = "N,..", allow_negative_numbers = true)]
    layers: Option<Layers>,
    /// How parameters move [default: adamw]
    #[arg(long, value_enum, value_name = "NAME")]
    optimizer: Option<OptimizerKind>,
    /// The learning rate [default: 0.003, for sgd 0.05]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    lr: Option<f64>,
    /// How often all rows are gone through, in all
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..))]
    epochs: Option<u64>,
    /// Rows in a step [default: 32]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    batch: Option<usize>,
    /// What the split of a table, the first parameters and all shuffling are drawn from [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Threads that compute; the results are the same for any number [default: one per processor]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
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
            size.map_err(|_| format!("{:?} is not the size of a layer; write whole numbers as in 64,32, or none", part.trim()))
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
        Some(threads) => Runtime::new(threads)
            .map_err(|error| Failure::bad_input(format_args!("--threads {threads}: {error}; choose 1 or more, up to one per processor")))?,
    };
    let (mut session, folder) = match &args.resume {
        Some(path) => resumed(&args, Folder::open(path)?, runtime)?,
        None => started(&args, runtime)?,
    };
    out.write(&report::head(&session, &folder))?;
    let interrupted = watch_for_ctrl_c();
    match session.run(&folder, &interrupted)? {
        End::Done => {
            let score = session.test()?;
            out.write(&report::results(&session, &score, &folder))?;
            Ok(Outcome::Done)
        }
        End::Interrupted => {
            let (epochs, steps) = session.place();
            out.line(&format!("stopped by Ctrl-C after {epochs} epochs and {steps} steps; everything is saved"))?;
            out.line(&format!("go on with: {}", report::resume_command(folder.path(), None)))?;
            Ok(Outcome::Interrupted)
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
    let (mut settings, done) = session::saved_settings(&folder)?;
    if let Some(source) = &args.data {
        settings.source = source.clone();
    }
    settings.rate = args.lr.unwrap_or(settings.rate);
    settings.epochs = args.epochs.unwrap_or(settings.epochs);
    if settings.epochs <= done {
        return Err(Failure::bad_input(format_args!(
            "{} has done {done} epochs; say with --epochs how many there shall be in all, such as --epochs {}",
            folder.path().display(),
            done.saturating_mul(2)
        )));
    }
    let data = Dataset::open(&settings.source, settings.target.as_deref(), settings.seed)?;
    settings.check(&data)?;
    let mut session = Session::new(settings, data, runtime)?;
    session.load(&folder)?;
    Ok((session, folder))
}

/// A flag that Ctrl-C sets. Pressed again, Ctrl-C ends the program at once.
fn watch_for_ctrl_c() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    let handler = move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        complain(&format!("Ctrl-C will stop the training without saving it: {error}\n"));
    }
    flag
}
