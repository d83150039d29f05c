//! The training loop.

use anyhow::Context;
use tch::{Device, Kind, Tensor};

use super::config::TrainConfig;
use super::diagnostics;
use super::optimizer::Optimizer;
use crate::errors;
use crate::interrupt::Interrupt;
use crate::methods::Options;
use crate::model::task::Task;
use crate::model::{Activations, Batch, Model, Parameters, Shape};
use crate::progress::{Progress, Unit};
use crate::random::Stream;
use crate::terms::Selection;

/// One split's features and labels. Samples share pictures and texts, so features are stored once per distinct picture and
/// text and gathered batch by batch.
#[derive(Debug)]
pub struct FeatureSet {
    /// [distinct pictures, d_v]
    pub x_v: Tensor,
    /// [distinct texts, d_l]
    pub x_l: Tensor,
    /// `[n]`, int64: each sample's row in `x_v`.
    pub picture: Tensor,
    /// `[n]`, int64: each sample's row in `x_l`.
    pub text: Tensor,
    /// As [`Task::labels`] returns them.
    pub y: Tensor,
}

impl FeatureSet {
    /// Number of samples n.
    pub fn len(&self) -> i64 {
        self.picture.size()[0]
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of a model of these features with these settings.
    pub fn shape(&self, task: Task, config: &TrainConfig, heads: bool) -> Shape {
        Shape {
            task,
            fusion: config.fusion,
            image_features: self.x_v.size()[1],
            text_features: self.x_l.size()[1],
            embedding: i64::from(config.embedding),
            heads,
        }
    }

    /// The samples with these numbers, int64 `[B]`.
    pub fn batch(&self, samples: &Tensor) -> Batch {
        Batch {
            x_v: self.x_v.index_select(0, &self.picture.index_select(0, samples)),
            x_l: self.x_l.index_select(0, &self.text.index_select(0, samples)),
            y: self.y.index_select(0, samples),
        }
    }
}

/// The record of a training, step by step and epoch by epoch.
#[derive(Debug, Default)]
pub struct Trace {
    /// Scalar name → one value per step, in the order in which the method reports them.
    pub steps: Vec<(&'static str, Vec<f32>)>,
    /// The task's metric on the validation split after each epoch, in percent.
    pub validation: Vec<f64>,
}

/// The test split, for selections that look at it. The training itself never does.
#[derive(Debug)]
pub struct TestSplit {
    pub full: FeatureSet,
    /// The versions over whose scores [`Selection::BestTestImpaired`] takes the mean.
    pub impaired: Vec<FeatureSet>,
}

/// A finished training.
#[derive(Debug)]
pub struct Trained {
    /// The weights of the selected epoch.
    pub model: Model,
    pub trace: Trace,
    /// Counted from 1.
    pub selected_epoch: u32,
    /// What the other selections keep, in their order.
    pub others: Vec<Kept>,
}

/// What a selection keeps of a training.
#[derive(Debug)]
pub struct Kept {
    pub selection: Selection,
    /// Counted from 1.
    pub epoch: u32,
    /// The score in percent by which it was selected; none for the last epoch.
    pub score: Option<f64>,
    pub parameters: Parameters,
}

/// Everything that a training depends on.
#[derive(Clone, Debug)]
pub struct Cell<'a> {
    pub task: Task,
    pub config: &'a TrainConfig,
    /// The method's name in the suite.
    pub name: &'a str,
    pub method: &'a dyn Options,
    pub seed: u64,
    /// How predictions are scored that select an epoch.
    pub score: Score,
}

/// The score in percent of logits [n, C] against labels as [`Task::labels`] returns them.
pub type Score = fn(&Task, &Tensor, &Tensor) -> f64;

/// Trains one cell in float32 on the features' device. Selections look at the test split after an epoch, and change nothing.
///
/// # Errors
/// If a scalar is not finite (the message names it, the step and the epoch), if a split is empty or one that a selection
/// looks at is not given, or on an interrupt.
pub fn train(
    cell: &Cell<'_>,
    train: &FeatureSet,
    val: &FeatureSet,
    test: Option<&TestSplit>,
    interrupt: &Interrupt,
    progress: &dyn Progress,
) -> anyhow::Result<Trained> {
    let _no_grad = tch::no_grad_guard();
    let Cell { task, config, name, method: options, seed, score } = cell;
    anyhow::ensure!(!train.is_empty(), "the training split is empty");
    anyhow::ensure!(!val.is_empty(), "the validation split is empty");
    let device = train.x_v.device();
    let mut method = options.build(*seed);
    let mut model = Model::new(train.shape(*task, config, options.needs_heads()), *seed, Kind::Float, device);
    let mut optimizer = Optimizer::new(config.optimizer);
    let mut trace = Trace::default();
    let mut best: Vec<(Selection, Option<Kept>)> = config.selections().map(|selection| (selection, None)).collect();
    progress.begin(Some(u64::from(config.epochs)), Unit::Epochs);
    for epoch in 1..=config.epochs {
        method.begin_epoch(epoch);
        let order = shuffled(train.len(), *seed, epoch, device);
        let mut scalars = Vec::new();
        for start in (0..train.len()).step_by(config.batch_size as usize) {
            interrupt.check()?;
            let size = i64::from(config.batch_size).min(train.len() - start);
            let batch = train.batch(&order.narrow(0, start, size));
            let step = method.step(&model, &batch);
            let squares = optimizer.step(&mut model, &step.gradients, |role| method.learning_rate_factor(role));
            let mut happened = step.scalars;
            if config.diagnostics {
                happened.extend(diagnostics::scalars(&model, &step.gradients, &squares, &step.d_z));
            }
            scalars.push(happened);
        }
        record(&mut trace, scalars, epoch, name)?;
        let (metric, unimodal) = validation(&model, val, *score, method.wants_unimodal_scores())?;
        method.end_epoch(unimodal);
        trace.validation.push(metric);
        for (selection, best) in &mut best {
            let Some(score) = criterion(*selection, &model, metric, test, *score)? else { continue };
            if best.as_ref().is_none_or(|best| Some(score) > best.score) {
                *best = Some(Kept { selection: *selection, epoch, score: Some(score), parameters: copied(&model) });
            }
        }
        progress.advance(1);
    }
    let last = |selection| Kept { selection, epoch: config.epochs, score: None, parameters: copied(&model) };
    let mut kept = best.into_iter().map(|(selection, best)| best.unwrap_or_else(|| last(selection)));
    let selected = kept.next().context("a training has a selection")?;
    let others = kept.collect();
    model.parameters = selected.parameters;
    Ok(Trained { model, trace, selected_epoch: selected.epoch, others })
}

fn copied(model: &Model) -> Parameters {
    model.parameters.iter().map(|(id, value)| (*id, value.copy())).collect()
}

/// The score in percent by which a selection judges an epoch; none if it does not.
fn criterion(
    selection: Selection,
    model: &Model,
    validation: f64,
    test: Option<&TestSplit>,
    score: Score,
) -> anyhow::Result<Option<f64>> {
    let test = || test.with_context(|| format!("`{}` needs the test split", selection.name()));
    let of = |features: &FeatureSet| Ok(score(&model.shape.task, &logits(model, features)?, &features.y));
    Ok(match selection {
        Selection::Last => None,
        Selection::BestValidation => Some(validation),
        Selection::BestTest => Some(of(&test()?.full)?),
        Selection::BestTestImpaired => {
            let scores: Vec<f64> = test()?.impaired.iter().map(of).collect::<anyhow::Result<_>>()?;
            anyhow::ensure!(!scores.is_empty(), "`{}` needs an impaired version", selection.name());
            Some(scores.iter().sum::<f64>() / scores.len() as f64)
        }
    })
}

/// The order of the samples in an epoch, drawn on the CPU.
fn shuffled(n: i64, seed: u64, epoch: u32, device: Device) -> Tensor {
    let mut order: Vec<i64> = (0..n).collect();
    Stream::new(seed, &["shuffle", &epoch.to_string()]).shuffle(&mut order);
    Tensor::from_slice(&order).to_device(device)
}

/// Copies an epoch's scalars from the device in one transfer, and checks that they are finite.
fn record(
    trace: &mut Trace,
    epoch_scalars: Vec<Vec<(&'static str, Tensor)>>,
    epoch: u32,
    method: &str,
) -> anyhow::Result<()> {
    let names: Vec<&'static str> = epoch_scalars[0].iter().map(|(name, _)| *name).collect();
    if trace.steps.is_empty() {
        trace.steps = names.iter().map(|name| (*name, Vec::new())).collect();
    }
    let before = trace.steps[0].1.len();
    let (steps, width) = (epoch_scalars.len(), names.len());
    let flat: Vec<Tensor> = epoch_scalars.into_iter().flatten().map(|(_, scalar)| scalar).collect();
    let table: Vec<f32> = Vec::try_from(Tensor::stack(&flat, 0).to_kind(Kind::Float).to_device(Device::Cpu).view(-1))
        .context("cannot read the scalars of an epoch")?;
    for step in 0..steps {
        for (column, (name, values)) in trace.steps.iter_mut().enumerate() {
            let value = table[step * width + column];
            // The cosine with a zero vector is undefined, which is no failure.
            if !value.is_finite() && !name.starts_with("cos_") {
                return Err(errors::failed(
                    format!("{method}: `{name}` is {value} at step {} (epoch {epoch})", before + step + 1),
                    "a smaller learning rate usually helps; other cells are not affected",
                ));
            }
            values.push(value);
        }
    }
    Ok(())
}

/// The score in percent on the validation split, and those of the mono-modal responses u_v and u_l if `unimodal`.
fn validation(
    model: &Model,
    val: &FeatureSet,
    score: Score,
    unimodal: bool,
) -> anyhow::Result<(f64, Option<[f64; 2]>)> {
    let score = |logits: &Tensor| score(&model.shape.task, logits, &val.y);
    if !unimodal {
        return Ok((score(&logits(model, val)?), None));
    }
    let parts = in_batches(model, val, |a| {
        let [u_v, u_l] = model.responses(&a);
        Tensor::stack(&[a.fused.logits, u_v, u_l], 1)
    })?;
    let [fused, u_v, u_l] = [0, 1, 2].map(|which| score(&parts.select(1, which)));
    Ok((fused, Some([u_v, u_l])))
}

/// The fused logits of a whole split, [n, C], in batches of fixed size.
///
/// # Errors
/// If the features do not fit the model.
pub fn logits(model: &Model, features: &FeatureSet) -> anyhow::Result<Tensor> {
    in_batches(model, features, |a| a.fused.logits)
}

/// `of` the forward pass of a whole split, computed in batches of fixed size and concatenated.
fn in_batches(model: &Model, features: &FeatureSet, of: impl Fn(Activations) -> Tensor) -> anyhow::Result<Tensor> {
    let _no_grad = tch::no_grad_guard();
    for (name, found, expected) in [
        ("picture", features.x_v.size()[1], model.shape.image_features),
        ("text", features.x_l.size()[1], model.shape.text_features),
    ] {
        anyhow::ensure!(found == expected, "the model should get {expected} {name} features, found {found}");
    }
    const ROWS: i64 = 512;
    let samples = Tensor::arange(features.len(), (Kind::Int64, features.x_v.device()));
    let part = |start: i64| {
        let batch = features.batch(&samples.narrow(0, start, ROWS.min(features.len() - start)));
        of(model.forward(&batch))
    };
    let parts: Vec<Tensor> = (0..features.len()).step_by(ROWS as usize).map(part).collect();
    Ok(Tensor::cat(&parts, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::{Class, class_of};
    use crate::methods::{BalGrad, Baseline, MethodOptions, Mslr};
    use crate::model::task::BinaryHead;
    use crate::progress::Silent;
    use crate::terms::TaskKind;
    use crate::training::optimizer::OptimizerOptions;

    /// Classes that both modalities predict in part: image and text features are class means plus noise.
    fn split(task: &Task, n: i64, purpose: &str) -> FeatureSet {
        let mut means = Stream::new(0, &["fit test", "means"]);
        let mut mean = |d: usize| -> Vec<f64> { (0..4 * d).map(|_| 2.0 * means.normal()).collect() };
        let (mean_v, mean_l) = (mean(10), mean(6));
        let mut noise = Stream::new(0, &["fit test", purpose]);
        let (mut x_v, mut x_l, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..n as usize {
            let class = i % 4;
            x_v.extend((0..10).map(|j| (mean_v[class * 10 + j] + noise.normal()) as f32));
            x_l.extend((0..6).map(|j| (mean_l[class * 6 + j] + noise.normal()) as f32));
            labels.push(vec![class as u32]);
        }
        let each = Tensor::arange(n, (Kind::Int64, Device::Cpu));
        FeatureSet {
            x_v: Tensor::from_slice(&x_v).view([n, 10]),
            x_l: Tensor::from_slice(&x_l).view([n, 6]),
            picture: each.copy(),
            text: each,
            y: task.labels(&labels, Kind::Float),
        }
    }

    fn config(learning_rate: f64) -> TrainConfig {
        let optimizer = format!("optimizer = {{ name = \"adam\", learning-rate = {learning_rate:?} }}");
        toml::from_str(&format!("embedding = 16\nepochs = 8\nbatch-size = 7\n{optimizer}")).unwrap()
    }

    /// In percent, of a multiclass task.
    fn accuracy(task: &Task, logits: &Tensor, y: &Tensor) -> f64 {
        100.0 * task.predict(logits).eq_tensor(y).to_kind(Kind::Double).mean(None).double_value(&[])
    }

    fn trained(method: MethodOptions, config: &TrainConfig, seed: u64) -> anyhow::Result<Trained> {
        tch::set_num_threads(1);
        let task = Task::new(TaskKind::Multiclass, 4, BinaryHead::TwoLogits);
        let cell = Cell { task, config, name: method.name(), method: method.options(), seed, score: accuracy };
        let (full, swapped) = (split(&task, 32, "test"), split(&task, 32, "test, impaired"));
        let test = TestSplit { full, impaired: vec![swapped, split(&task, 28, "test, impaired otherwise")] };
        let test = config.selections().any(Selection::uses_test).then_some(&test);
        train(&cell, &split(&task, 64, "train"), &split(&task, 24, "val"), test, &Interrupt::default(), &Silent)
    }

    fn bytes(model: &Model) -> Vec<Vec<u8>> {
        let bits = |value: &Tensor| Vec::<f32>::try_from(value.view(-1)).unwrap();
        model.parameters.values().map(|value| bits(value).iter().flat_map(|x| x.to_le_bytes()).collect()).collect()
    }

    #[test]
    fn every_method_learns() {
        for named in crate::methods::NAMES {
            let method = MethodOptions::default_of(named.method).unwrap();
            let trained = trained(method, &config(1e-2), 1).unwrap();
            assert!(*trained.trace.validation.last().unwrap() > 80.0, "{:?}", trained.trace.validation);
            let (name, losses) = &trained.trace.steps[0];
            assert_eq!((*name, losses.len()), ("loss_T", 80));
            assert!(losses[79] < losses[0] / 3.0);
        }
    }

    /// The same cell gives the same bytes, alone or among other trainings in other threads; another seed does not.
    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let run = |seed| {
            let trained = trained(MethodOptions::BalGrad(BalGrad::default()), &config(1e-3), seed).unwrap();
            (bytes(&trained.model), format!("{:?}", trained.trace))
        };
        let alone = run(5);
        let together: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = [5, 6, 5].map(|seed| scope.spawn(move || run(seed))).into();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(together[0] == alone && together[2] == alone);
        assert_ne!(together[1].0, alone.0);
    }

    /// Probes do not change the training that they watch.
    #[test]
    fn probes_do_not_disturb() {
        let with = trained(MethodOptions::Baseline(Baseline { probe: true }), &config(1e-3), 2).unwrap();
        let without = trained(MethodOptions::Baseline(Baseline { probe: false }), &config(1e-3), 2).unwrap();
        for (id, value) in &without.model.parameters {
            assert_eq!(with.model.parameters[id], *value, "{id}");
        }
    }

    #[test]
    fn a_loss_that_is_not_finite_is_an_error_that_names_the_step() {
        let mut config = config(1e30);
        config.optimizer = OptimizerOptions::Sgd { learning_rate: 1e30, momentum: 0.0, weight_decay: 0.0 };
        let error = trained(MethodOptions::BalGrad(BalGrad::default()), &config, 1).unwrap_err();
        assert_eq!(class_of(&error), Class::Failed);
        let message = error.to_string();
        assert!(message.starts_with("balgrad: `loss_"), "{message}");
        assert!(message.contains("at step 2 (epoch 1)") || message.contains("at step 3 (epoch 1)"), "{message}");
    }

    /// MSLR adapts to the validation scores of the two modalities, which only the training loop computes.
    #[test]
    fn mslr_adapts_during_a_training() {
        let trained = trained(MethodOptions::Mslr(Mslr { history: 1, ..Mslr::default() }), &config(1e-3), 1).unwrap();
        let ratio = &trained.trace.steps.iter().find(|(name, _)| *name == "ratio_v").unwrap().1;
        assert!(ratio[..20].iter().all(|&ratio| ratio == 1.0), "two epochs of ten steps");
        assert!(ratio[20..].iter().any(|&ratio| ratio != 1.0));
    }

    /// The trace has diagnostics for every method, and they do not change the training.
    #[test]
    fn diagnostics_do_not_disturb() {
        for named in crate::methods::NAMES {
            let run = |diagnostics: bool| {
                let config = TrainConfig { diagnostics, epochs: 2, ..config(1e-3) };
                trained(MethodOptions::default_of(named.method).unwrap(), &config, 4).unwrap()
            };
            let (with, without) = (run(true), run(false));
            assert_eq!(bytes(&with.model), bytes(&without.model), "{}", named.name);
            let column = |trained: &Trained, name: &str| trained.trace.steps.iter().any(|(known, _)| *known == name);
            for name in ["cos_embedding_v_l", "norm_update_h_v", "norm_update_h_l", "norm_update_f_T"] {
                assert!(column(&with, name) && !column(&without, name), "{}: {name}", named.name);
            }
            assert!(!column(&with, "cos_update_v_l"), "there are 10 picture and 6 text features");
        }
    }

    /// The earliest epoch with the best validation metric is selected, and its weights equal those of a training of that
    /// many epochs.
    #[test]
    fn the_best_validation_epoch_is_selected() {
        let best = TrainConfig { selection: Selection::BestValidation, ..config(1e-2) };
        let method = || MethodOptions::Baseline(Baseline::default());
        let selected = trained(method(), &best, 3).unwrap();
        let curve = &selected.trace.validation;
        let highest = curve.iter().copied().fold(f64::MIN, f64::max);
        let expected = curve.iter().position(|&metric| metric == highest).unwrap() as u32 + 1;
        assert_eq!(selected.selected_epoch, expected);
        let shorter = trained(method(), &TrainConfig { epochs: expected, ..config(1e-2) }, 3).unwrap();
        assert_eq!(bytes(&shorter.model), bytes(&selected.model));
    }

    /// Several selections keep epochs of one training, which none of them changes: each has the weights of a training of its
    /// own.
    #[test]
    fn selections_look_on() {
        for method in ["baseline", "mslr", "balgrad"] {
            let run = |selection, other_selections: &[Selection]| {
                let config = TrainConfig { selection, other_selections: other_selections.to_vec(), ..config(2e-3) };
                trained(MethodOptions::default_of(method).unwrap(), &config, 3).unwrap()
            };
            let [own, others @ ..] = Selection::ALL;
            let (alone, watched) = (run(own, &[]), run(own, &others));
            assert_eq!(bytes(&watched.model), bytes(&alone.model), "{method}");
            assert_eq!(format!("{:?}", watched.trace), format!("{:?}", alone.trace), "{method}");
            assert_eq!(watched.others.iter().map(|kept| kept.selection).collect::<Vec<_>>(), others);
            for kept in watched.others {
                let own = run(kept.selection, &[]);
                assert_eq!(own.selected_epoch, kept.epoch, "{method}: {:?}", kept.selection);
                assert_eq!(own.model.parameters, kept.parameters, "{method}: {:?}", kept.selection);
            }
            let reversed = run(Selection::BestTest, &[Selection::Last]);
            assert_eq!(reversed.others[0].parameters, alone.model.parameters, "{method}");
            assert_eq!((reversed.others[0].epoch, reversed.others[0].score), (8, None));
        }
    }

    /// The epoch is the earliest with the best full score on the test split, or the best mean over its impaired versions.
    #[test]
    fn the_best_test_epoch_is_kept() {
        let others = vec![Selection::BestTest, Selection::BestTestImpaired];
        let run = |epochs| {
            let config = TrainConfig { epochs, other_selections: others.clone(), ..config(2e-3) };
            trained(MethodOptions::Baseline(Baseline::default()), &config, 3).unwrap()
        };
        let task = Task::new(TaskKind::Multiclass, 4, BinaryHead::TwoLogits);
        let after: Vec<Trained> = (1..=8).map(run).collect();
        let score = |trained: &Trained, n, purpose: &str| {
            let features = split(&task, n, purpose);
            accuracy(&task, &logits(&trained.model, &features).unwrap(), &features.y)
        };
        let full: Vec<f64> = after.iter().map(|trained| score(trained, 32, "test")).collect();
        let impaired = |trained: &Trained| {
            (score(trained, 32, "test, impaired") + score(trained, 28, "test, impaired otherwise")) / 2.0
        };
        let impaired: Vec<f64> = after.iter().map(impaired).collect();
        for (kept, scores) in after[7].others.iter().zip([full, impaired]) {
            let highest = scores.iter().copied().fold(f64::MIN, f64::max);
            let earliest = scores.iter().position(|score| *score == highest).unwrap();
            assert_eq!((kept.epoch as usize, kept.score), (earliest + 1, Some(highest)), "{scores:?}");
            assert_eq!(kept.parameters, after[earliest].model.parameters);
            assert_ne!(kept.epoch, 8, "another epoch than the last: {scores:?}");
        }
    }
}
