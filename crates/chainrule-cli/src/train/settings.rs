//! What a training is asked to be: every choice, checked, and written down to go on from later.

use std::fmt;
use std::str::FromStr;

use chainrule::spelling::nearest;
use serde_json::{Value, json};

use super::dataset::Dataset;
use crate::failure::Failure;

/// More layers than this are taken for a mistake.
const MOST_LAYERS: usize = 100;
/// What a training may take where the system does not say what is free: 16 GiB.
const MEMORY: u128 = 16 << 30;

/// Every choice that decides what a training computes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// A data set's name or a file.
    pub source: String,
    /// The column to be predicted, of a file.
    pub target: Option<String>,
    /// The sizes of the hidden layers.
    pub layers: Vec<usize>,
    /// How parameters move.
    pub optimizer: OptimizerKind,
    /// The learning rate.
    pub rate: f64,
    /// How often all rows are gone through, in all.
    pub epochs: u64,
    /// Rows in a step.
    pub batch: usize,
    /// What all random numbers are drawn from.
    pub seed: u64,
}

/// How parameters move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "lower")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay
    AdamW,
    /// Adam
    Adam,
    /// Gradient descent with momentum 0.9
    Sgd,
}

impl OptimizerKind {
    const ALL: [OptimizerKind; 3] = [OptimizerKind::AdamW, OptimizerKind::Adam, OptimizerKind::Sgd];

    /// How many numbers it keeps for each parameter.
    fn kept(self) -> u128 {
        if self == OptimizerKind::Sgd { 1 } else { 2 }
    }

    /// A learning rate that works for small networks.
    pub fn usual_rate(self) -> f64 {
        if self == OptimizerKind::Sgd { 0.05 } else { 0.003 }
    }
}

impl fmt::Display for OptimizerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OptimizerKind::AdamW => "adamw",
            OptimizerKind::Adam => "adam",
            OptimizerKind::Sgd => "sgd",
        })
    }
}

impl FromStr for OptimizerKind {
    type Err = String;

    fn from_str(name: &str) -> Result<OptimizerKind, String> {
        let known = OptimizerKind::ALL.map(|kind| (kind.to_string(), kind));
        if let Some((_, kind)) = known.iter().find(|(known, _)| known == name) {
            return Ok(*kind);
        }
        let names = known.iter().map(|(name, _)| name.as_str());
        let meant = nearest(name, names).map_or(String::new(), |name| format!("; did you mean {name}?"));
        Err(format!("there is no optimizer {name:?}{meant}; there are adamw, adam and sgd"))
    }
}

impl Settings {
    /// The sizes of all layers, from the features to the outputs.
    pub fn sizes(&self, data: &Dataset) -> Vec<usize> {
        let ends = (data.width, data.task.outputs());
        std::iter::once(ends.0).chain(self.layers.iter().copied()).chain([ends.1]).collect()
    }

    /// Refuses choices that no training can be made of, before anything is allocated.
    ///
    /// # Errors
    /// For a learning rate, a batch or layers that cannot be, and for a training that would take
    /// more memory than is free.
    pub fn check(&self, data: &Dataset) -> Result<(), Failure> {
        if !self.rate.is_finite() || self.rate <= 0.0 {
            return Err(Failure::bad_input(format_args!(
                "--lr {} is no learning rate; choose a number above 0, such as {}",
                self.rate,
                self.optimizer.usual_rate()
            )));
        }
        let rows = data.train.targets.len();
        if self.batch == 0 || self.batch > rows {
            return Err(Failure::bad_input(format_args!(
                "--batch {} does not fit: there are {rows} rows to learn from; choose 1 to {rows}",
                self.batch
            )));
        }
        if self.layers.len() > MOST_LAYERS {
            return Err(Failure::bad_input(format_args!(
                "--layers names {} layers; at most {MOST_LAYERS} are possible",
                self.layers.len()
            )));
        }
        if self.layers.contains(&0) {
            return Err(Failure::bad_input("--layers has a layer of size 0, through which nothing passes; give each at least 1"));
        }
        let (needed, free) = (self.bytes(data), free_memory());
        match needed > free {
            true => Err(Failure::bad_input(format_args!(
                "--layers {} gives {} parameters; training them takes about {}, and {} of memory are \
                 free; choose smaller layers",
                list(&self.layers),
                thousands(self.parameters(data)),
                bytes_text(needed),
                bytes_text(free)
            ))),
            false => Ok(()),
        }
    }

    /// How many numbers are learned.
    pub fn parameters(&self, data: &Dataset) -> u128 {
        let sizes = self.sizes(data);
        let layer = |pair: &[usize]| (pair[0] as u128).saturating_add(1).saturating_mul(pair[1] as u128);
        sizes.windows(2).map(layer).fold(0, u128::saturating_add)
    }

    /// About how many bytes the training takes at its peak.
    fn bytes(&self, data: &Dataset) -> u128 {
        // A parameter, its gradient, what the optimizer keeps, and a copy while it is saved.
        let per_parameter = 4 * (3 + self.optimizer.kept());
        // For each row of a step, each layer's value, activation and both their gradients.
        let units = self.sizes(data).iter().fold(0u128, |sum, &size| sum.saturating_add(size as u128));
        let in_step = units.saturating_mul(self.batch as u128).saturating_mul(16);
        self.parameters(data).saturating_mul(per_parameter).saturating_add(in_step)
    }

    /// The choices as text.
    pub fn to_json(&self) -> String {
        json!({
            "data": self.source,
            "target": self.target,
            "layers": self.layers,
            "optimizer": self.optimizer.to_string(),
            "learning_rate": self.rate,
            "epochs": self.epochs,
            "batch": self.batch,
            "seed": self.seed,
        })
        .to_string()
    }

    /// The choices back from text; nothing where one is missing or is not what it should be.
    pub fn from_json(text: &str) -> Option<Settings> {
        let value: Value = serde_json::from_str(text).ok()?;
        let size = |value: &Value| usize::try_from(value.as_u64()?).ok();
        Some(Settings {
            source: value["data"].as_str()?.to_string(),
            target: value["target"].as_str().map(str::to_string),
            layers: value["layers"].as_array()?.iter().map(size).collect::<Option<_>>()?,
            optimizer: value["optimizer"].as_str()?.parse().ok()?,
            rate: value["learning_rate"].as_f64()?,
            epochs: value["epochs"].as_u64()?,
            batch: size(&value["batch"])?,
            seed: value["seed"].as_u64()?,
        })
    }
}

/// `64,32`, or `none`.
pub fn list(sizes: &[usize]) -> String {
    let texts: Vec<String> = sizes.iter().map(usize::to_string).collect();
    if texts.is_empty() { "none".into() } else { texts.join(",") }
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 step`, `2 steps`.
pub fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn bytes_text(bytes: u128) -> String {
    let mut size = bytes as f64;
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut at = 0;
    while size >= 1024.0 && at + 1 < units.len() {
        size /= 1024.0;
        at += 1;
    }
    if size < 1e4 { format!("{size:.1} {}", units[at]) } else { format!("{size:.1e} {}", units[at]) }
}

/// The memory that the system could give now, where it says so.
fn free_memory() -> u128 {
    let about = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = about.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u128>().ok());
    kilobytes.map_or(MEMORY, |kilobytes| kilobytes.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_read_back() {
        let settings = Settings {
            source: "a \"b\".csv".into(),
            target: Some("ü".into()),
            layers: vec![64, 1],
            optimizer: OptimizerKind::Sgd,
            rate: 0.1 + 0.2,
            epochs: 7,
            batch: 3,
            seed: u64::MAX,
        };
        assert_eq!(Settings::from_json(&settings.to_json()), Some(settings));
        for hostile in ["", "[]", "{}", "{\"layers\": [-1]}", "null"] {
            assert_eq!(Settings::from_json(hostile), None);
        }
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(thousands(1), "1");
        assert_eq!(thousands(1234), "1,234");
        assert_eq!(thousands(123_456_789), "123,456,789");
        assert_eq!([0, 1, 2].map(|number| counted(number, "step")), ["0 steps", "1 step", "2 steps"]);
        assert_eq!(bytes_text(1536), "1.5 KiB");
        assert_eq!(bytes_text(u128::MAX), "3.0e23 PiB");
        assert_eq!("adamw".parse(), Ok(OptimizerKind::AdamW));
        assert!("adma".parse::<OptimizerKind>().unwrap_err().contains("did you mean adam?"));
    }
}
