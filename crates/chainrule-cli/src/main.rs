//! The `chainrule` program: trains networks and derives expressions from the command line.
//!
//! Results go to standard output, progress and mistakes to standard error. Exit codes: 0 done,
//! 1 a check or a training failed, 2 the input cannot be used, 130 stopped by Ctrl-C, 143 by SIGTERM.

mod derive;
mod expression;
mod failure;
mod output;
mod terminal;
mod train;

use std::process::ExitCode;

use chainrule::io::output::Output;
use clap::{Parser, Subcommand};

use failure::{Failure, Outcome};
use output::complain;

const EXAMPLES: &str = "\
Examples:
  chainrule                                      learn handwritten digits
  chainrule train spiral --layers 32,32          learn two spirals
  chainrule train flowers.csv --target species   learn a table
  chainrule derive '(w*x - y)^2' --at w=1,x=2,y=3   see a backward pass, step by step

Exit codes: 0 done, 1 a check or a training failed, 2 input that cannot be used, 130 stopped by
Ctrl-C, 143 by SIGTERM.";

/// Learning by backpropagation over a computational graph that you can see.
///
/// Without a command it trains a network on handwritten digits.
#[derive(Parser, Debug)]
#[command(name = "chainrule", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Train a network on handwritten digits, toy data or a CSV file
    Train(train::TrainArgs),
    /// Differentiate an expression, every step shown and checked
    Derive(derive::DeriveArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli, &mut Output::new()) {
        Ok(outcome) => outcome.into(),
        Err(failure) => {
            complain(&failure.text);
            ExitCode::from(failure.code)
        }
    }
}

fn run(cli: Cli, out: &mut Output) -> Result<Outcome, Failure> {
    match cli.command {
        Some(Command::Derive(args)) => derive::run(&args, out),
        Some(Command::Train(args)) => train::run(args, out),
        None => train::run(train::TrainArgs::default(), out),
    }
}
