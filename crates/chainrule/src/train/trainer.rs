//! The trainer: records forward pass, backward pass and update once, then only runs them.
//!
//! It knows no data set, prints nothing and decides nothing about when to stop.

mod anomaly;
mod recorded;

use crate::nn::module::replace;
use crate::nn::{Mode, Module};
use crate::optim::{Optimizer, Schedule};
use crate::rule::{Backpropagation, LearningRule};
use chainrule_engine::tensor::Type;
use chainrule_engine::tensor::random::word;
use chainrule_engine::{DType, Error, ErrorKind, Precision, Result, Runtime, Step, Tensor};
pub(crate) use recorded::distinct;
use recorded::{Recorded, distinct_buffers};
use std::collections::HashMap;

/// What is minimised, then what else is to be told of each step.
type Objective<M> = dyn Fn(&M, &[Tensor], &mut Mode<'_>) -> Vec<Tensor> + Send;

/// Trains a model: one call of [`Trainer::step`] is a forward pass, a backward pass and an update
/// of all parameters, compiled into one program the first time a batch of these shapes comes by.
///
/// ```
/// use chainrule::prelude::*;
/// let mut rng = Rng::new(0);
/// let x = Tensor::randn([32, 3], &mut rng);
/// let y = x.matmul(&Tensor::from([[1.0], [-2.0], [0.5]]));
/// let model = Linear::new(3, 1, &mut rng);
/// let mut trainer = Trainer::new(model, Sgd::new(0.2), |model, batch, _mode| {
///     loss::mse(&model.forward(&batch[0]), &batch[1])
/// })?;
/// let batch = [x, y];
/// let first = trainer.step(&batch)?;
/// for _ in 0..60 {
///     trainer.step(&batch)?;
/// }
/// assert!(trainer.step(&batch)? < 1e-4 * first);
/// assert!((trainer.model()?.weight.to_vec::<f32>()?[1] + 2.0).abs() < 0.01);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// Buffers that a forward pass gives new values to ([`crate::nn::Training::update`]), such as running statistics, get them in the
/// same program, and are saved and resumed with the rest; no optimizer touches them:
///
/// ```
/// use chainrule::prelude::*;
/// let mut rng = Rng::new(0);
/// let model = (BatchNorm::new(3), Linear::new(3, 1, &mut rng));
/// let mut trainer = Trainer::new(model, AdamW::new(0.01), |model, batch, mode| {
///     model.1.forward(&model.0.forward(&batch[0], mode)).square().mean()
/// })?;
/// for _ in 0..60 {
///     trainer.step(&[Tensor::randn([32, 3], &mut rng) * 2.0 + 5.0])?;
/// }
/// let norm = &trainer.model()?.0;
/// assert_eq!(norm.num_batches_tracked.item()?, 60.0);
/// assert!(norm.running_mean.to_vec::<f32>()?.iter().all(|mean| (mean - 5.0).abs() < 0.3));
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// A parameter that no gradient reaches is an error that names it and what stops the gradient, not a parameter that
/// silently stays:
///
/// ```
/// use chainrule::prelude::*;
/// let mut rng = Rng::new(0);
/// let model = (Linear::new(3, 1, &mut rng), Linear::new(3, 1, &mut rng));
/// let mut trainer = Trainer::new(model, Sgd::new(0.2), |model, batch, _| {
///     model.0.forward(&batch[0]).square().sum()
/// })?;
/// let error = trainer.step(&[Tensor::ones([4, 3])]).unwrap_err().to_string();
/// assert!(error.contains("parameters `1.weight`, `1.bias`"), "{error}");
/// # Ok::<(), chainrule::Error>(())
/// ```
pub struct Trainer<M> {
    model: M,
    objective: Box<Objective<M>>,
    rule: Box<dyn LearningRule>,
    pub(super) optimizer: Box<dyn Optimizer>,
    /// For each distinct parameter, what the optimizer keeps.
    pub(super) states: Vec<Vec<Tensor>>,
    pub(super) steps: u64,
    pub(super) seed: u64,
    rate: f64,
    schedule: Schedule,
    longest_gradient: Option<f64>,
    zeros_where_disconnected: bool,
    detects_anomalies: bool,
    runtime: Option<Runtime>,
    precision: Option<Precision>,
    loss_scale: f64,
    captured: Option<Captured>,
}

/// A step for batches of certain types. While it is there, it owns the values of all that it changes.
struct Captured {
    types: Vec<Type>,
    step: Step,
    outputs: usize,
    /// How many tensors the step changes.
    states: usize,
    /// Which of the model's buffers the step gives new values to, after the parameters and what the optimizer keeps.
    buffers: Vec<usize>,
    /// Whether the model's own tensors hold the values of the last step.
    in_model: bool,
}

impl<M: Module> Trainer<M> {
    /// A trainer of `model`, whose parameters get their first values now. `loss` is given the model,
    /// a batch, and the mode for layers such as dropout and batch normalisation, and records a scalar.
    ///
    /// # Errors
    /// The first mistake in the recording of the parameters.
    pub fn new(
        model: M,
        optimizer: impl Optimizer + 'static,
        loss: impl Fn(&M, &[Tensor], &mut Mode<'_>) -> Tensor + Send + 'static,
    ) -> Result<Trainer<M>> {
        Trainer::with_metrics(model, optimizer, move |model, batch, mode| vec![loss(model, batch, mode)])
    }

    /// As [`Trainer::new`], with further scalars to be computed in each step: `objective` gives the
    /// loss first, then what [`Trainer::metric`] tells, such as how many answers were right.
    ///
    /// ```
    /// use chainrule::prelude::*;
    /// let model = Linear::new(2, 1, &mut Rng::new(0));
    /// let mut trainer = Trainer::with_metrics(model, Sgd::new(0.1), |model, batch, _| {
    ///     let y = model.forward(&batch[0]);
    ///     vec![y.square().sum(), y.max()]
    /// })?;
    /// let loss = trainer.step(&[Tensor::ones([1, 2])])?;
    /// assert!((trainer.metric(0).unwrap().powi(2) - loss).abs() < 1e-6);
    /// # Ok::<(), chainrule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn with_metrics(
        mut model: M,
        optimizer: impl Optimizer + 'static,
        objective: impl Fn(&M, &[Tensor], &mut Mode<'_>) -> Vec<Tensor> + Send + 'static,
    ) -> Result<Trainer<M>> {
        model.initialize()?;
        let states = distinct(&model).iter().map(|(_, p)| optimizer.first_state(p)).collect();
        Ok(Trainer {
            model,
            objective: Box::new(objective),
            rule: Box::new(Backpropagation),
            rate: optimizer.learning_rate(),
            optimizer: Box::new(optimizer),
            states,
            steps: 0,
            seed: 0,
            schedule: Schedule::Constant,
            longest_gradient: None,
            zeros_where_disconnected: false,
            detects_anomalies: false,
            runtime: None,
            precision: None,
            loss_scale: 1.0,
            captured: None,
        })
    }

    /// Draws the random numbers of all steps from this seed, 0 unless told otherwise.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Lets the learning rate follow a schedule.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Shortens gradients that are together longer than `longest`; see [`crate::optim::clip_by_global_norm`].
    pub fn clip(mut self, longest: f64) -> Self {
        self.longest_gradient = Some(longest);
        self
    }

    /// Finds gradients by another rule than [`Backpropagation`]. A rule that draws random numbers draws new ones in each step.
    ///
    /// ```
    /// use chainrule::prelude::*;
    /// use chainrule::rule::EvolutionStrategy;
    /// // The loss is a count, which no derivative gets through.
    /// let model = Linear::new(1, 1, &mut Rng::new(0));
    /// let mut trainer = Trainer::new(model, Sgd::new(0.05), |model, batch, _| {
    ///     (model.forward(&batch[0]) - &batch[1]).abs().floor().mean()
    /// })?
    /// .rule(EvolutionStrategy::new(32, 0.5));
    /// let batch = [Tensor::from([[1.0], [2.0], [3.0]]), Tensor::from([[10.0], [20.0], [30.0]])];
    /// let first = trainer.step(&batch)?;
    /// (0..300).try_for_each(|_| trainer.step(&batch).map(|_| ()))?;
    /// assert!(trainer.step(&batch)? < 0.1 * first);
    /// # Ok::<(), chainrule::Error>(())
    /// ```
    pub fn rule(mut self, rule: impl LearningRule + 'static) -> Self {
        self.rule = Box::new(rule);
        self
    }

    /// Takes the gradient of a parameter that none reaches as zero, instead of refusing it.
    pub fn allow_disconnected(mut self) -> Self {
        self.zeros_where_disconnected = true;
        self
    }

    /// Takes back a step that makes NaN or an infinity, and gives the operation that made it first as an error, with its
    /// source line, scope, and the ranges of its operands, as PyTorch's `detect_anomaly` does; see
    /// [`crate::check::anomaly()`]. It looks at the loss, the parameters, and whatever else is kept between steps.
    ///
    /// Each step copies all of these, so training is slower; a step that fails is recorded again and evaluated operation by
    /// operation, with all values in memory.
    ///
    /// ```
    /// use chainrule::{ErrorKind, prelude::*};
    /// let model = Linear::without_bias(2, 1, &mut Rng::new(0));
    /// let mut trainer = Trainer::new(model, Sgd::new(0.1), |model, batch, _| {
    ///     // Below 0 for some of them.
    ///     model.forward(&batch[0]).log().mean()
    /// })?
    /// .detect_anomaly();
    /// let error = trainer.step(&[Tensor::from([[1.0, 2.0], [-1.0, -2.0]])]).unwrap_err();
    /// assert_eq!((error.kind(), error.operation()), (ErrorKind::NotFinite, "log"));
    /// assert!(error.to_string().contains("gives NaN in 1 of 2 elements"), "{error}");
    /// // The model is as it was.
    /// assert!(trainer.model()?.weight.to_vec::<f32>()?.iter().all(|w| w.is_finite()));
    /// # Ok::<(), chainrule::Error>(())
    /// ```
    pub fn detect_anomaly(mut self) -> Self {
        self.detects_anomalies = true;
        self
    }

    /// Runs the steps on these threads.
    pub fn on(mut self, runtime: &Runtime) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    /// Computes the products of a step, forward and backward, with this precision: [`Precision::Mixed`], say, for
    /// operands of 16 bits. Parameters, what the optimizer keeps, and everything that is no product stay as they are.
    ///
    /// ```
    /// use chainrule::{Precision, prelude::*};
    /// let model = Linear::new(64, 32, &mut Rng::new(0));
    /// let mut trainer = Trainer::new(model, AdamW::new(0.01), |model, batch, _| model.forward(&batch[0]).square().mean())?
    ///     .precision(Precision::Mixed);
    /// let (x, mut rng) = (Tensor::ones([16, 64]), Rng::new(1));
    /// let first = trainer.step(&[Tensor::randn([16, 64], &mut rng)])?;
    /// (0..30).try_for_each(|_| trainer.step(&[Tensor::randn([16, 64], &mut rng)]).map(|_| ()))?;
    /// assert!(trainer.step(&[x])? < first);
    /// # Ok::<(), chainrule::Error>(())
    /// ```
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = Some(precision);
        self
    }

    /// Differentiates the loss times `factor`, and divides the gradients by it, as Micikevicius et al., "Mixed Precision
    /// Training" (2018) do: gradients that would be too small for the numbers they pass through are not. Losses and
    /// metrics are given unscaled. With a power of two no bit changes unless something was too small, or is too large now.
    ///
    /// Numbers of bf16 reach as far down as those of f32, so [`Precision::Mixed`] alone does not need it; parts of a model
    /// in [`DType::F16`] do.
    pub fn scale_loss(mut self, factor: f64) -> Self {
        self.loss_scale = factor;
        self
    }

    /// One step on a batch; gives the loss before the update.
    ///
    /// A batch of other shapes or element types than the last is compiled for anew, so keep them
    /// constant. A loss that is not finite is given as it is, and the parameters are spoilt then, unless
    /// [`Trainer::detect_anomaly`] was asked for.
    ///
    /// # Errors
    /// The first mistake in the recording of the loss; a parameter that no gradient reaches; an
    /// index that points outside: that one is found while the step runs, so the parameters are not to
    /// be relied on afterwards.
    pub fn step(&mut self, batch: &[Tensor]) -> Result<f64> {
        batch.iter().try_for_each(Tensor::check)?;
        let fits = |captured: &Captured| captured.types.iter().eq(batch.iter().map(Tensor::ty));
        if !self.captured.as_ref().is_some_and(fits) {
            self.take_back()?;
            self.captured = Some(self.capture(batch)?);
        }
        self.let_go();
        let Some(captured) = &mut self.captured else {
            return Err(Error::new(ErrorKind::Machine, "step", "the captured step is gone"));
        };
        let key = word(self.seed as i64, self.steps) as i64;
        let rate = self.rate * self.schedule.factor(self.steps);
        let scalars = [Tensor::from_slice(&[key], ()), Tensor::from_slice(&[rate], ()), Tensor::from_slice(&[self.steps as f64 + 1.0], ())];
        let before = if self.detects_anomalies { captured.states() } else { Vec::new() };
        captured.step.run(&batch.iter().chain(&scalars).collect::<Vec<_>>())?;
        if self.detects_anomalies && !captured.is_finite(&before)? {
            return Err(self.explain(batch, &scalars, &before)?);
        }
        self.steps = self.steps.saturating_add(1);
        Ok(captured.step.item(0))
    }

    /// A scalar of the last step that the objective of [`Trainer::with_metrics`] gave after the
    /// loss, counted from 0; after those, with [`Trainer::clip`], the gradients' length. `None`
    /// before the first step and past the last scalar.
    pub fn metric(&self, at: usize) -> Option<f64> {
        let captured = self.captured.as_ref().filter(|captured| at + 1 < captured.outputs)?;
        Some(captured.step.item(at + 1))
    }

    /// The model with its parameters and buffers as they are now, as leaves.
    ///
    /// # Errors
    /// None that is the caller's: reading the step's memory.
    pub fn model(&mut self) -> Result<&M> {
        self.take_values()?;
        Ok(&self.model)
    }

    /// Ends the training and gives the model.
    ///
    /// # Errors
    /// As [`Trainer::model`].
    pub fn into_model(mut self) -> Result<M> {
        self.take_back()?;
        Ok(self.model)
    }

    /// Steps done so far, also before a resumed training was saved.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The learning rate that the next step takes.
    pub fn rate(&self) -> f64 {
        self.rate * self.schedule.factor(self.steps)
    }

    /// Sets the learning rate that the schedule scales. Nothing is compiled anew.
    pub fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    /// Records and compiles a step for batches like this one.
    fn capture(&self, batch: &[Tensor]) -> Result<Captured> {
        let types: Vec<Type> = batch.iter().map(|t| t.ty().clone()).collect();
        let given: Vec<Tensor> = types.iter().map(|ty| Tensor::placeholder(&ty.shape[..], ty.dtype)).collect();
        let scalars = [DType::I64, DType::F64, DType::F64].map(|dtype| Tensor::placeholder((), dtype));
        let Recorded { outputs, updates, buffers, .. } = self.record(&given, &scalars)?;
        let inputs: Vec<&Tensor> = given.iter().chain(&scalars).collect();
        let results: Vec<&Tensor> = outputs.iter().collect();
        let updates: Vec<(&Tensor, &Tensor)> = updates.iter().map(|(old, new)| (old, new)).collect();
        let runtime = self.runtime.as_ref().unwrap_or_else(|| Runtime::shared());
        let runtime = self.precision.map_or_else(|| runtime.clone(), |precision| runtime.with_precision(precision));
        let step = Step::capture_on(&runtime, &inputs, &results, &updates)?;
        let (outputs, states) = (outputs.len(), updates.len());
        Ok(Captured { types, step, outputs, states, buffers, in_model: true })
    }

    /// Brings the values of parameters and buffers from the captured step to the model.
    pub(super) fn take_values(&mut self) -> Result<()> {
        let Some(captured) = self.captured.as_mut().filter(|captured| !captured.in_model) else {
            return Ok(());
        };
        let mut at = 0;
        let mut new = HashMap::new();
        for (parameter, state) in distinct(&self.model).iter().zip(&mut self.states) {
            new.insert(parameter.1.id(), captured.step.state(at));
            for (i, state) in state.iter_mut().enumerate() {
                *state = captured.step.state(at + 1 + i);
            }
            at += 1 + state.len();
        }
        let buffers = distinct_buffers(&self.model);
        new.extend(captured.buffers.iter().zip(at..).map(|(&buffer, at)| (buffers[buffer].1.id(), captured.step.state(at))));
        replace(&mut self.model, &new);
        captured.in_model = true;
        Ok(())
    }

    /// Lets go of the values that the captured step has copied: they would be in memory twice, and soon be out of date.
    fn let_go(&mut self) {
        let Some(captured) = self.captured.as_mut().filter(|captured| captured.in_model) else { return };
        let gone = |tensor: &Tensor| Tensor::placeholder(tensor.shape(), tensor.dtype());
        let (parameters, buffers) = (distinct(&self.model), distinct_buffers(&self.model));
        let copied = parameters.iter().chain(captured.buffers.iter().map(|&at| &buffers[at]));
        let new = copied.map(|(_, tensor)| (tensor.id(), gone(tensor))).collect();
        replace(&mut self.model, &new);
        self.states.iter_mut().flatten().for_each(|state| *state = gone(state));
        captured.in_model = false;
    }

    /// As [`Trainer::take_values`], and lets the captured step go.
    pub(super) fn take_back(&mut self) -> Result<()> {
        self.take_values()?;
        self.captured = None;
        Ok(())
    }

    pub(super) fn model_mut(&mut self) -> &mut M {
        &mut self.model
    }
}
