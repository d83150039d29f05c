//! MSLR (Yao & Mihalcea, "Modality-specific Learning Rates for Effective Multimodal Additive Late-fusion", ACL Findings
//! 2022): each modality's embedding layer has a learning rate of its own.
//!
//! ```text
//! h_m is trained with η_m = η · φ_m · ρ_m(e) in epoch e;  f_T with η.   Gradient: g_T.
//! ```
//!
//! - `keep`: φ_m as given, ρ = 1;
//! - `smooth`: log φ_m ← (1 − s) log φ_m + s · mean_k log φ_k, ρ = 1 (our formula: we could not read the paper's);
//! - `dynamic`: φ_m as given; ρ_m is the modality's validation score relative to the mean of its last H scores.
//!
//! The authors published no code. The default factors are the only published ones of an image and a text, those of
//! UR-Funny in the AGM repository (lihong2303/AGM_ICCV2023). That code differs in two points:
//!
//! - it multiplies gradients before the optimiser (`application = "gradient"`), which is the same for plain SGD and has
//!   nearly no effect under Adam;
//! - it scores on the test split, which must not steer a training. We score on the validation split.

use serde::{Deserialize, Serialize};

use super::{Method, Options, Step, probes};
use crate::errors::positive;
use crate::model::{Batch, Model, Role};
use crate::terms::Modality;

/// How the factor on a modality's learning rate is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// φ as given.
    Keep,
    /// φ drawn towards their geometric mean.
    Smooth,
    /// φ as given, times ρ.
    #[default]
    Dynamic,
}

/// How a new ratio changes the current one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accumulation {
    /// ρ_m ← a_m / mean.
    #[default]
    Replace,
    /// ρ_m ← ρ_m · a_m / mean; a score of 0 then stops a modality forever.
    Multiply,
}

/// What φ_m ρ_m multiplies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Application {
    #[default]
    LearningRate,
    Gradient,
}

/// Options of MSLR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Mslr {
    pub strategy: Strategy,
    /// φ_v
    pub factor_v: f64,
    /// φ_l
    pub factor_l: f64,
    /// s of `smooth`: 0 is `keep`, 1 gives both modalities the same rate.
    pub smoothing: f64,
    /// H of `dynamic`: the number of scores in the mean.
    pub history: u32,
    pub accumulation: Accumulation,
    pub application: Application,
    /// Whether to train unimodal heads beside the method.
    pub probe: bool,
}

impl Default for Mslr {
    fn default() -> Self {
        Mslr {
            strategy: Strategy::default(),
            factor_v: 1.4,
            factor_l: 0.7,
            smoothing: 0.5,
            history: 5,
            accumulation: Accumulation::default(),
            application: Application::default(),
            probe: false,
        }
    }
}

impl Options for Mslr {
    fn needs_heads(&self) -> bool {
        self.probe
    }

    fn check(&self) -> Result<(), String> {
        positive("factor-v", self.factor_v)?;
        positive("factor-l", self.factor_l)?;
        if !(0.0..=1.0).contains(&self.smoothing) {
            return Err(format!("`smoothing` should lie between 0 and 1, found {}", self.smoothing));
        }
        match self.history {
            0 => Err("`history` should be at least 1, found 0".to_owned()),
            _ => Ok(()),
        }
    }

    fn build(&self, _seed: u64) -> Box<dyn Method> {
        Box::new(Rates::new(self.clone()))
    }
}

impl Mslr {
    /// φ_v and φ_l.
    fn factors(&self) -> [f64; 2] {
        let given = [self.factor_v, self.factor_l];
        match self.strategy {
            Strategy::Keep | Strategy::Dynamic => given,
            Strategy::Smooth => {
                let mean = given.map(f64::ln).iter().sum::<f64>() / 2.0;
                given.map(|factor| ((1.0 - self.smoothing) * factor.ln() + self.smoothing * mean).exp())
            }
        }
    }
}

/// MSLR with its state.
#[derive(Debug)]
pub struct Rates {
    options: Mslr,
    /// ρ_v and ρ_l of the current epoch.
    ratios: [f64; 2],
    /// The last H scores of v and l, oldest first.
    memory: Vec<[f64; 2]>,
}

impl Rates {
    pub fn new(options: Mslr) -> Self {
        Rates { options, ratios: [1.0; 2], memory: Vec::new() }
    }

    /// φ_m ρ_m of v and l.
    fn coefficients(&self) -> [f64; 2] {
        let [φ_v, φ_l] = self.options.factors();
        let [ρ_v, ρ_l] = self.ratios;
        [φ_v * ρ_v, φ_l * ρ_l]
    }
}

impl Method for Rates {
    fn step(&mut self, model: &Model, batch: &Batch) -> Step {
        let a = model.forward(batch);
        let (loss_t, d_o_t) = model.shape.task.loss(&a.fused.logits, &batch.y);
        let mut g_t = model.pull_back_fused(&a, &d_o_t);
        let number = |x: f64| loss_t.full_like(x);
        let coefficients = self.coefficients().map(number);
        if self.options.application == Application::Gradient {
            g_t.theta = g_t.theta.weighted(&coefficients[0], &coefficients[1]);
        }
        let mut gradients = g_t.head;
        gradients.extend(model.embedding_gradient(batch, &g_t.theta));
        let ([ratio_v, ratio_l], [coefficient_v, coefficient_l]) = (self.ratios.map(number), coefficients);
        let scalars = vec![
            ("loss_T", loss_t),
            ("ratio_v", ratio_v),
            ("ratio_l", ratio_l),
            ("coefficient_v", coefficient_v),
            ("coefficient_l", coefficient_l),
        ];
        let step = Step { gradients, d_z: g_t.d_z, scalars };
        if self.options.probe { probes(model, &a, batch, step) } else { step }
    }

    fn learning_rate_factor(&self, role: Role) -> f64 {
        let [v, l] = self.coefficients();
        match (self.options.application, role) {
            (Application::LearningRate, Role::Embedding(Modality::Image)) => v,
            (Application::LearningRate, Role::Embedding(Modality::Text)) => l,
            _ => 1.0,
        }
    }

    fn wants_unimodal_scores(&self) -> bool {
        self.options.strategy == Strategy::Dynamic
    }

    /// After epoch e, once the memory is full: ρ_m ← a_m(e) / mean(memory), or 1 if that mean is 0; then a_m(e) replaces the
    /// oldest score.
    fn end_epoch(&mut self, unimodal_scores: Option<[f64; 2]>) {
        let Some(scores) = unimodal_scores.filter(|_| self.options.strategy == Strategy::Dynamic) else { return };
        let history = self.options.history as usize;
        if self.memory.len() == history {
            for m in [0, 1] {
                let mean = self.memory.iter().map(|scores| scores[m]).sum::<f64>() / history as f64;
                let ratio = if mean == 0.0 { 1.0 } else { scores[m] / mean };
                self.ratios[m] = match self.options.accumulation {
                    Accumulation::Replace => ratio,
                    Accumulation::Multiply => self.ratios[m] * ratio,
                };
            }
            self.memory.remove(0);
        }
        self.memory.push(scores);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ratios of twelve epochs, from a recording; one score is 0 on purpose.
    #[test]
    fn the_schedule_is_the_recorded_one() {
        let path = crate::testing::fixtures("methods").join("mslr-schedule.json");
        let recorded: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let list = |value: &serde_json::Value| -> Vec<f64> {
            value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
        };
        let scores = [list(&recorded["metric_v"]), list(&recorded["metric_l"])];
        assert_eq!(scores[0].len(), 12);
        for (name, accumulation) in [("replace", Accumulation::Replace), ("multiply", Accumulation::Multiply)] {
            let expected = ["ratio_v", "ratio_l"].map(|ratio| list(&recorded[name][ratio]));
            let mut rates = Rates::new(Mslr { accumulation, ..Mslr::default() });
            for epoch in 0..12 {
                for (m, expected) in expected.iter().enumerate() {
                    let difference = (rates.ratios[m] - expected[epoch]).abs();
                    assert!(difference < 1e-12, "{name}, epoch {epoch}, modality {m}: {}", rates.ratios[m]);
                }
                rates.end_epoch(Some([scores[0][epoch], scores[1][epoch]]));
            }
        }
    }

    #[test]
    fn smoothing_goes_from_keep_to_one_rate() {
        let factors = |smoothing: f64| Mslr { strategy: Strategy::Smooth, smoothing, ..Mslr::default() }.factors();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(factors(0.0)[0], 1.4) && close(factors(0.0)[1], 0.7));
        let mean = (1.4f64 * 0.7).sqrt();
        assert!(factors(1.0).iter().all(|&factor| close(factor, mean)));
        assert!(factors(0.5)[0] < 1.4 && factors(0.5)[0] > mean);
    }

    #[test]
    fn only_dynamic_asks_for_scores() {
        for (strategy, wants) in [(Strategy::Keep, false), (Strategy::Smooth, false), (Strategy::Dynamic, true)] {
            let mut rates = Rates::new(Mslr { strategy, history: 1, ..Mslr::default() });
            assert_eq!(rates.wants_unimodal_scores(), wants);
            (0..4).for_each(|epoch| rates.end_epoch(Some([f64::from(epoch), 1.0])));
            assert_eq!(rates.ratios != [1.0; 2], wants);
        }
    }
}
