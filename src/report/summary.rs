//! Summarises traces for tables and figures: the share of conflicting steps, the cosine between the gradients of image
//! and text, the losses per epoch.

use anyhow::{anyhow, ensure};
use serde::{Deserialize, Serialize};

use super::trace::Columns;
use crate::map::Map;
use crate::terms::named;

/// The losses whose means per epoch are kept: of the fused output, of the image alone, of the text alone.
pub const LOSSES: [&str; 3] = ["loss_T", "loss_v", "loss_l"];

/// Equal bins over [-1, 1] of a cosine's histogram.
pub const BINS: usize = 200;

/// How far rounding in float32 can push a cosine beyond ±1.
const ROUNDING: f32 = 1e-3;

/// The summary of one training's trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TraceSummary {
    pub steps: usize,
    /// The share of steps in which the task gradient and the KL gradient have a negative inner product, before any
    /// projection, in percent; `None` if the method has no KL gradient.
    pub conflict: Option<f64>,
    /// The cosine between the gradients of image and text; `None` if the trace has neither column.
    pub cosine: Option<CosineSummary>,
    /// Column → its mean over the steps of each epoch; only the columns of [`LOSSES`] that the trace has.
    pub losses: Map<Vec<f64>>,
}

named! {
    /// Which gradients of image and text a cosine compares, by the trace's column; the preferred one first.
    pub enum Cosine {
        /// The updates of the embedding layers h_v and h_l, which have to be of one shape.
        Update = "cos_update_v_l",
        /// The task loss's gradients at the embeddings z_v and z_l.
        Embedding = "cos_embedding_v_l",
    }
}

impl Cosine {
    /// Describes what it compares.
    pub fn meaning(self) -> &'static str {
        match self {
            Cosine::Update => "the updates of the image and the text embedding layer (h_v, h_l)",
            Cosine::Embedding => "the task loss's gradients at the image and the text embedding (z_v, z_l)",
        }
    }
}

/// The cosines of all steps of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CosineSummary {
    pub column: Cosine,
    /// Over the steps in which it is defined; `None` if there are none.
    pub mean: Option<f64>,
    /// Steps in which one of the gradients is 0, so that there is no cosine.
    pub undefined: usize,
    /// Steps per bin: [`BINS`] equal ones over [-1, 1], each with its lower end, the last with both.
    pub histogram: Vec<u64>,
}

impl TraceSummary {
    /// Summarises a trace whose epochs all have the same number of steps.
    ///
    /// # Errors
    /// If the steps do not divide into the epochs; if a loss is not finite, a cosine lies outside [-1, 1], or
    /// `conflict` is neither 0 nor 1: the column and the step are named, counted from 1.
    pub fn of(columns: &Columns, epochs: u32) -> anyhow::Result<TraceSummary> {
        let steps = columns.values().next().map_or(0, Vec::len);
        let per_epoch = steps.checked_div(epochs as usize).unwrap_or(0);
        ensure!(
            per_epoch > 0 && per_epoch * epochs as usize == steps,
            "a trace of {epochs} epochs should have a multiple of {epochs} steps, found {steps}"
        );
        let conflict = columns.get("conflict").map(|steps| conflict(steps)).transpose()?;
        let found = Cosine::ALL.into_iter().filter_map(|cosine| Some((cosine, columns.get(cosine.name())?)));
        let mut cosines: Vec<CosineSummary> =
            found.map(|(column, steps)| cosine(column, steps)).collect::<anyhow::Result<_>>()?;
        // A column that is undefined in every step says less than the other.
        let chosen = cosines.iter().position(|cosine| cosine.mean.is_some()).unwrap_or(0);
        let mut losses = Map::default();
        for name in LOSSES {
            if let Some(steps) = columns.get(name) {
                losses.insert(name.to_owned(), epoch_means(name, steps, per_epoch)?);
            }
        }
        let cosine = (chosen < cosines.len()).then(|| cosines.swap_remove(chosen));
        Ok(TraceSummary { steps, conflict, cosine, losses })
    }
}

/// Whether each step's value is what it should be; the error names the first that is not.
fn check(column: &str, should: &str, steps: &[f32], is: impl Fn(f32) -> bool) -> anyhow::Result<()> {
    let wrong = (1..).zip(steps).find(|(_, value)| !is(**value));
    wrong.map_or(Ok(()), |(step, value)| Err(anyhow!("`{column}` should be {should}, found {value} at step {step}")))
}

fn conflict(steps: &[f32]) -> anyhow::Result<f64> {
    check("conflict", "0 or 1", steps, |value| value == 0.0 || value == 1.0)?;
    let conflicting = steps.iter().filter(|&&value| value == 1.0).count();
    Ok(100.0 * conflicting as f64 / steps.len() as f64)
}

fn cosine(column: Cosine, steps: &[f32]) -> anyhow::Result<CosineSummary> {
    let is_cosine = |value: f32| value.is_nan() || value.abs() <= 1.0 + ROUNDING;
    check(column.name(), "a cosine between -1 and 1", steps, is_cosine)?;
    let defined: Vec<f64> =
        steps.iter().filter(|value| !value.is_nan()).map(|value| f64::from(value.clamp(-1.0, 1.0))).collect();
    let mut histogram = vec![0; BINS];
    for value in &defined {
        let bin = ((value + 1.0) * BINS as f64 / 2.0).floor() as usize;
        histogram[bin.min(BINS - 1)] += 1;
    }
    // Not `sum`, which begins with -0.
    let mean = (!defined.is_empty()).then(|| defined.iter().fold(0.0, |sum, value| sum + value) / defined.len() as f64);
    Ok(CosineSummary { column, mean, undefined: steps.len() - defined.len(), histogram })
}

fn epoch_means(name: &str, steps: &[f32], per_epoch: usize) -> anyhow::Result<Vec<f64>> {
    check(name, "a finite loss", steps, f32::is_finite)?;
    let mean = |epoch: &[f32]| epoch.iter().copied().map(f64::from).sum::<f64>() / epoch.len() as f64;
    Ok(steps.chunks(per_epoch).map(mean).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(given: &[(&str, &[f32])]) -> Columns {
        given.iter().map(|(name, steps)| ((*name).to_owned(), steps.to_vec())).collect()
    }

    fn summary(given: &[(&str, &[f32])], epochs: u32) -> TraceSummary {
        TraceSummary::of(&columns(given), epochs).unwrap()
    }

    #[test]
    fn conflicts_are_a_share_of_all_steps() {
        let steps = [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(summary(&[("conflict", &steps)], 2).conflict, Some(25.0));
        assert_eq!(summary(&[("conflict", &[0.0; 3])], 1).conflict, Some(0.0));
        assert_eq!(summary(&[("loss_T", &[0.0; 3])], 1).conflict, None);
    }

    #[test]
    fn losses_are_means_over_the_steps_of_an_epoch() {
        let steps = [4.0, 2.0, 1.0, 0.5];
        let found = summary(&[("loss_T", &steps), ("loss_l", &[1.0; 4]), ("loss_kl_v", &[1.0; 4])], 2);
        assert_eq!(found.steps, 4);
        assert_eq!(
            found.losses,
            [("loss_T".into(), vec![3.0, 0.75]), ("loss_l".into(), vec![1.0, 1.0])].into_iter().collect()
        );
        assert_eq!(summary(&[("loss_T", &steps)], 4).losses["loss_T"], [4.0, 2.0, 1.0, 0.5]);
    }

    /// A bin includes its lower end. The last one also includes 1, and values that rounding put beyond it.
    #[test]
    fn bins_end_where_the_next_begins() {
        let steps = [-1.0, -1.00001, -0.951, -0.949, -0.001, 0.0, 0.049, 0.05, 0.949, 0.951, 1.0, 1.00001];
        let cosine = summary(&[("cos_update_v_l", &steps)], 1).cosine.unwrap();
        let filled: Vec<(usize, u64)> =
            cosine.histogram.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect();
        assert_eq!(
            filled,
            [(0, 2), (4, 1), (5, 1), (99, 1), (100, 1), (104, 1), (105, 1), (194, 1), (195, 1), (199, 2)]
        );
        assert_eq!((cosine.histogram.len(), cosine.histogram.iter().sum::<u64>(), cosine.undefined), (200, 12, 0));
    }

    /// Steps without a cosine are counted, but do not enter its mean as 0.
    #[test]
    fn undefined_is_not_zero() {
        let cosine = summary(&[("cos_update_v_l", &[f32::NAN, 0.5, f32::NAN, 0.25])], 1).cosine.unwrap();
        assert_eq!((cosine.mean, cosine.undefined, cosine.histogram.iter().sum::<u64>()), (Some(0.375), 2, 2));
    }

    #[test]
    fn the_update_is_compared_unless_it_is_always_undefined() {
        let of = |given: &[(&str, &[f32])]| summary(given, 1).cosine.map(|cosine| (cosine.column, cosine.mean));
        let (some, none) = (&[0.5, f32::NAN][..], &[f32::NAN, f32::NAN][..]);
        let (update, embedding) = ("cos_update_v_l", "cos_embedding_v_l");
        assert_eq!(of(&[(update, some), (embedding, &[0.0, 0.0])]), Some((Cosine::Update, Some(0.5))));
        assert_eq!(of(&[(update, none), (embedding, some)]), Some((Cosine::Embedding, Some(0.5))));
        assert_eq!(of(&[(embedding, some)]), Some((Cosine::Embedding, Some(0.5))));
        assert_eq!(of(&[(update, none), (embedding, none)]), Some((Cosine::Update, None)));
        assert_eq!(of(&[("loss_T", &[1.0, 1.0])]), None);
    }

    #[test]
    fn impossible_numbers_are_refused() {
        for (given, epochs, expected) in [
            (("loss_T", &[1.0; 5][..]), 2, "a trace of 2 epochs should have a multiple of 2 steps, found 5"),
            (("loss_T", &[1.0; 5]), 0, "a trace of 0 epochs should have a multiple of 0 steps, found 5"),
            (("loss_T", &[]), 2, "a trace of 2 epochs should have a multiple of 2 steps, found 0"),
            (("loss_v", &[1.0, f32::NAN]), 1, "`loss_v` should be a finite loss, found NaN at step 2"),
            (("conflict", &[1.0, 0.5]), 1, "`conflict` should be 0 or 1, found 0.5 at step 2"),
            (("conflict", &[f32::NAN]), 1, "`conflict` should be 0 or 1, found NaN at step 1"),
            (
                ("cos_update_v_l", &[0.0, 1.5]),
                1,
                "`cos_update_v_l` should be a cosine between -1 and 1, found 1.5 at step 2",
            ),
            (
                ("cos_embedding_v_l", &[f32::INFINITY]),
                1,
                "`cos_embedding_v_l` should be a cosine between -1 and 1, found inf at step 1",
            ),
        ] {
            assert_eq!(TraceSummary::of(&columns(&[given]), epochs).unwrap_err().to_string(), expected);
        }
    }
}
