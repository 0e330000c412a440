//! A training while it runs: steps, figures, saving, and going on.
//!
//! Everything that decides the next step is saved: a training that was stopped and goes on computes
//! what it would have computed without the stop, bit by bit.

use std::time::{Duration, Instant};

use chainrule::data::batches::{Batches, LastBatch, Place};
use chainrule::io::atomic::atomic_write;
use chainrule::io::weights::{self, Metadata};
use chainrule::nn::{Activation, Mlp};
use chainrule::optim::{Adam, AdamW, Sgd};
use chainrule::train::Trainer;
use chainrule::{Rng, Runtime};
use serde_json::json;

use super::dataset::{Dataset, Task};
use super::folder::Folder;
use super::history::History;
use super::score::{self, Score};
use super::settings::{OptimizerKind, Settings, list};
use super::stop::{Request, Stop};
use crate::failure::Failure;
use crate::terminal::{Progress, ProgressDisplay, format_number, time_left};

/// A training is saved at the end of an epoch if it was not for this long.
const BETWEEN_SAVES: Duration = Duration::from_secs(20);

/// The keys of what is saved beside the trainer's own.
const SETTINGS: &str = "settings";
const DATA: &str = "data_fingerprint";
const EPOCH: &str = "epoch";
const POSITION: &str = "position";
const LOSS: &str = "epoch_loss";
const RIGHT: &str = "epoch_right";
const STEPS: &str = "epoch_steps";
const HISTORY: &str = "history";

/// How a training has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All epochs are done.
    Done,
    /// Somebody asked for it; the step was finished, and everything is saved.
    Stopped(Request),
}

/// A training.
pub struct Session {
    settings: Settings,
    data: Dataset,
    trainer: Trainer<Mlp>,
    batches: Batches,
    runtime: Runtime,
    history: History,
    /// Sums over the steps of the epoch that is being run.
    epoch: Sums,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sums {
    loss: f64,
    right: f64,
    steps: u64,
}

impl Session {
    /// A training from the start.
    ///
    /// # Errors
    /// A mistake that the engine finds.
    pub fn new(settings: Settings, data: Dataset, runtime: Runtime) -> Result<Session, Failure> {
        let mut random = Rng::new(settings.seed);
        let model = Mlp::new(&settings.sizes(&data), Activation::Relu, &mut random);
        let trainer = trainer(&settings, &data.task, model)?.seed(settings.seed).on(&runtime);
        let [features, targets] = score::tensors(&data.train, data.width, 0..data.train.targets.len());
        let batches = Batches::new(&[&features, &targets], settings.batch, &mut random)?.last(LastBatch::Fill);
        let history = History::new(&data.task);
        Ok(Session { settings, data, trainer, batches, runtime, history, epoch: Sums::default() })
    }

    /// Goes on where a training was saved. The session must have the settings and data of that one.
    ///
    /// # Errors
    /// Where the file cannot be read, or belongs to other settings or data.
    pub fn load(&mut self, folder: &Folder) -> Result<(), Failure> {
        let path = folder.training();
        let metadata = self.trainer.load(&path).map_err(Failure::bad_input)?;
        let saved = Saved(&metadata);
        let damaged = || {
            Failure::bad_input(format_args!(
                "{}: what it says of the training is incomplete; the file was changed or damaged",
                path.display()
            ))
        };
        let place = Place {
            epoch: saved.number(EPOCH).ok_or_else(damaged)?,
            position: saved.number(POSITION).ok_or_else(damaged)?,
            ..self.batches.place()
        };
        let epoch = Sums {
            loss: saved.number(LOSS).ok_or_else(damaged)?,
            right: saved.number(RIGHT).ok_or_else(damaged)?,
            steps: saved.number(STEPS).ok_or_else(damaged)?,
        };
        if !self.fits(&place, &epoch) {
            return Err(damaged());
        }
        let history = saved.get(HISTORY).and_then(|text| History::from_csv(text, &self.data.task, place.epoch));
        self.history = history.ok_or_else(damaged)?;
        self.batches.go_to(place);
        self.epoch = epoch;
        // The rate may have been chosen anew.
        self.trainer.set_rate(self.settings.rate);
        Ok(())
    }

    /// Whether steps and rows of the epoch agree, and the sums are what sums over steps can be.
    fn fits(&self, place: &Place, epoch: &Sums) -> bool {
        let rows = epoch.steps.saturating_mul(self.settings.batch as u64).min(self.batches.examples() as u64);
        let sums = epoch.loss.is_finite() && (0.0..=epoch.steps as f64).contains(&epoch.right);
        epoch.steps <= self.batches.per_epoch() as u64 && place.position == rows && sums
    }

    /// Trains until all epochs are done or `stop` was asked for, and saves.
    ///
    /// # Errors
    /// Where the loss is no longer a number, or a file cannot be written.
    pub fn run(&mut self, folder: &Folder, stop: &Stop) -> Result<End, Failure> {
        let mut display = ProgressDisplay::new();
        let (start, before) = (Instant::now(), self.steps_done());
        let mut saved = Instant::now();
        while self.batches.place().epoch < self.settings.epochs {
            while let Some(batch) = self.batches.next() {
                self.step(&batch)?;
                display.update(&self.progress(start, before));
                if let Some(request) = stop.asked().filter(|_| !self.is_done()) {
                    display.note(&format!("{}: the step is finished, saving; once more stops at once", request.name()));
                    self.save(folder)?;
                    return Ok(End::Stopped(request));
                }
            }
            let progress = self.progress(start, before);
            self.finish_epoch()?;
            display.epoch_done(&progress);
            if saved.elapsed() > BETWEEN_SAVES {
                self.save(folder)?;
                saved = Instant::now();
            }
        }
        display.clear();
        self.save(folder)?;
        Ok(End::Done)
    }

    fn step(&mut self, batch: &[chainrule::Tensor]) -> Result<(), Failure> {
        let loss = self.trainer.step(batch)?;
        if !loss.is_finite() {
            let step = format!("step {} of {}", self.epoch.steps + 1, self.batches.per_epoch());
            return Err(self.diverged("the loss", loss, self.batches.place().epoch, &step));
        }
        self.epoch.loss += loss;
        self.epoch.right += self.trainer.metric(0).unwrap_or(0.0);
        self.epoch.steps += 1;
        Ok(())
    }

    /// What to say when the loss is no longer a number.
    fn diverged(&self, which: &str, loss: f64, epochs: u64, place: &str) -> Failure {
        let what = if loss.is_nan() { "not a number" } else { "infinite" };
        Failure::went_wrong(format_args!(
            "{which} became {what} in epoch {}, {place}: the training has run away and was \
             stopped, its last parameters are not saved; the learning rate {} is probably too high, \
             try --lr {}",
            epochs.saturating_add(1),
            format_number(self.settings.rate),
            format_number((self.settings.rate / 10.0).min(self.settings.optimizer.usual_rate())),
        ))
    }

    /// Notes the figures of the epoch that is done.
    fn finish_epoch(&mut self) -> Result<(), Failure> {
        let steps = self.epoch.steps.max(1) as f64;
        let mut figures = vec![self.epoch.loss / steps];
        if let Task::Classes(_) = self.data.task {
            figures.push(self.epoch.right / steps);
        }
        let score = self.test()?;
        if !score.loss.is_finite() {
            // The step that spoils the parameters still has the loss of those before it.
            let epochs = self.batches.place().epoch.saturating_sub(1);
            return Err(self.diverged("the loss on the rows for the test", score.loss, epochs, "at its end"));
        }
        figures.extend(score.figures());
        self.history.push(figures);
        self.epoch = Sums::default();
        Ok(())
    }

    /// How well the model does now on the rows kept for the test.
    ///
    /// # Errors
    /// A mistake that the engine finds.
    pub fn test(&mut self) -> Result<Score, Failure> {
        Ok(score::test(self.trainer.model()?, &self.data, &self.runtime)?)
    }

    /// Whether the last step of the last epoch lies behind.
    fn is_done(&self) -> bool {
        let place = self.batches.place();
        place.epoch + 1 >= self.settings.epochs && place.position >= self.batches.examples() as u64
    }

    fn steps_done(&self) -> u64 {
        let per_epoch = self.batches.per_epoch() as u64;
        self.batches.place().epoch.saturating_mul(per_epoch).saturating_add(self.epoch.steps)
    }

    fn progress(&self, start: Instant, before: u64) -> Progress {
        let per_epoch = self.batches.per_epoch() as u64;
        let all = self.settings.epochs.saturating_mul(per_epoch);
        // At the end of an epoch the place is the next one's already.
        let finished = self.epoch.steps == per_epoch && self.batches.place().position == 0;
        let epoch = self.batches.place().epoch + u64::from(!finished);
        let done = (epoch - 1).saturating_mul(per_epoch).saturating_add(self.epoch.steps);
        let steps = self.epoch.steps.max(1) as f64;
        let classes = matches!(self.data.task, Task::Classes(_));
        Progress {
            epoch: usize::try_from(epoch).unwrap_or(usize::MAX),
            epochs: usize::try_from(self.settings.epochs).unwrap_or(usize::MAX),
            done: done as f64 / all.max(1) as f64,
            loss: Some(self.epoch.loss / steps),
            accuracy: classes.then_some(self.epoch.right / steps),
            left: time_left(start.elapsed(), done.saturating_sub(before), all.saturating_sub(before)),
        }
    }

    /// Writes all three files of the run, each whole or not at all.
    fn save(&mut self, folder: &Folder) -> Result<(), Failure> {
        let place = self.batches.place();
        let history = self.history.to_csv();
        let figure = |value: f64| format!("{value:?}");
        let training: Metadata = [
            (SETTINGS, self.settings.to_json()),
            (DATA, format!("{:016x}", self.data.fingerprint())),
            (EPOCH, place.epoch.to_string()),
            (POSITION, place.position.to_string()),
            (LOSS, figure(self.epoch.loss)),
            (RIGHT, figure(self.epoch.right)),
            (STEPS, self.epoch.steps.to_string()),
            (HISTORY, history.clone()),
        ]
        .map(|(key, text)| (key.to_string(), text))
        .into();
        // The place could be written to when the training began: it is not the user's input that is bad.
        let failed = |error: &dyn std::fmt::Display| Failure::went_wrong(format_args!("saving failed: {error}"));
        // What is needed to go on comes last: where it is, the others are.
        atomic_write(folder.metrics(), |out| out.write_all(history.as_bytes())).map_err(|error| failed(&error))?;
        let about = self.about_model();
        weights::save(folder.model(), self.trainer.model()?, &about).map_err(|error| failed(&error))?;
        self.trainer.save(folder.training(), &training).map_err(|error| failed(&error))
    }

    /// What somebody needs who wants to use the weights elsewhere.
    fn about_model(&self) -> Metadata {
        let mut about = vec![
            ("model".to_string(), "mlp".to_string()),
            ("sizes".to_string(), list(&self.settings.sizes(&self.data))),
            ("activation".to_string(), Activation::Relu.to_string()),
            ("data".to_string(), self.data.about.clone()),
        ];
        let mut add = |key: &str, value: serde_json::Value| about.push((key.to_string(), value.to_string()));
        match &self.data.task {
            Task::Classes(names) => add("classes", json!(names)),
            Task::Numbers { name, mean, deviation } => {
                add("target", json!({"name": name, "mean": mean, "deviation": deviation}));
            }
        }
        if let Some(scaling) = &self.data.scaling {
            add("feature_columns", json!(scaling.columns));
            add("feature_means", json!(scaling.means));
            add("feature_deviations", json!(scaling.deviations));
        }
        about
    }

    /// The choices of this training.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its data.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// The figures of the epochs that are done.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Whole epochs and steps of the next one that are done.
    pub fn place(&self) -> (u64, u64) {
        (self.batches.place().epoch, self.epoch.steps)
    }

    /// Steps in an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.batches.per_epoch()
    }

    /// Threads that compute.
    pub fn threads(&self) -> usize {
        self.runtime.threads()
    }
}

/// What a saved training says of itself before it is loaded.
pub struct SavedRun {
    /// Every choice.
    pub settings: Settings,
    /// Whole epochs that are done.
    pub epochs: u64,
    /// The fingerprint of its data.
    pub fingerprint: u64,
}

/// Reads what a saved training is.
///
/// # Errors
/// Where the file cannot be read or holds no training of this program.
pub fn saved_run(folder: &Folder) -> Result<SavedRun, Failure> {
    let path = folder.training();
    let (_, metadata) = weights::load_tensors(&path).map_err(Failure::bad_input)?;
    let saved = Saved(&metadata);
    let found = || {
        Some(SavedRun {
            settings: Settings::from_json(saved.get(SETTINGS)?)?,
            epochs: saved.number(EPOCH)?,
            fingerprint: u64::from_str_radix(saved.get(DATA)?, 16).ok()?,
        })
    };
    found().ok_or_else(|| {
        Failure::bad_input(format_args!(
            "{}: this file holds no training of this program to go on with; name the folder of a run",
            path.display()
        ))
    })
}

/// What stands beside the tensors of a saved training.
struct Saved<'a>(&'a Metadata);

impl Saved<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, text)| text.as_str())
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.parse().ok()
    }
}

fn trainer(settings: &Settings, task: &Task, model: Mlp) -> Result<Trainer<Mlp>, Failure> {
    let task = task.clone();
    let objective = move |model: &Mlp, batch: &[chainrule::Tensor], _: &mut chainrule::nn::Mode<'_>| {
        let outputs = model.forward(&batch[0]);
        let mut all = vec![score::objective(&task, &outputs, &batch[1])];
        if let Task::Classes(_) = task {
            all.push(score::accuracy(&outputs, &batch[1]));
        }
        all
    };
    Ok(match settings.optimizer {
        OptimizerKind::AdamW => Trainer::with_metrics(model, AdamW::new(settings.rate), objective),
        OptimizerKind::Adam => Trainer::with_metrics(model, Adam::new(settings.rate), objective),
        OptimizerKind::Sgd => {
            let sgd = Sgd { momentum: 0.9, ..Sgd::new(settings.rate) };
            Trainer::with_metrics(model, sgd, objective)
        }
    }?)
}
