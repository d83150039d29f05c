//! Collects what is missing from a figure, by cause.

use crate::report::results::{DatasetDescription, MethodDescription, Number, SeedValue, SuiteDescription};
use crate::report::value_of;

pub struct Gaps<'a> {
    suite: &'a SuiteDescription,
    /// Cause → `BalGrad on words` → what is missing there.
    causes: Vec<(String, Vec<(String, Missing)>)>,
}

#[derive(Default)]
struct Missing {
    seeds: Vec<u64>,
    /// Empty if the figure is not about missing ratios.
    ratios: Vec<f64>,
}

/// How notes name a cell.
pub fn place(dataset: &DatasetDescription, method: &MethodDescription) -> String {
    format!("{} on {}", method.title, dataset.title)
}

impl<'a> Gaps<'a> {
    pub fn new(suite: &'a SuiteDescription) -> Gaps<'a> {
        Gaps { suite, causes: Vec::new() }
    }

    /// Notes that one seed is missing at a place, and at which ratio if the figure has several.
    pub fn add(&mut self, of: &str, seed: u64, ratio: Option<f64>, cause: &str) {
        let places = value_of(&mut self.causes, cause.to_owned());
        let Missing { seeds, ratios } = value_of(places, of.to_owned());
        if !seeds.contains(&seed) {
            seeds.push(seed);
        }
        if let Some(ratio) = ratio.filter(|ratio| !ratios.contains(ratio)) {
            ratios.push(ratio);
        }
    }

    /// Notes the seeds that gave no value of a number; all of them if there is no number.
    pub fn add_number(&mut self, of: &str, number: Option<&Number>, ratio: Option<f64>) {
        let Some(number) = number else {
            let suite = self.suite;
            return suite.seeds.iter().for_each(|&seed| self.add(of, seed, ratio, "not run"));
        };
        number.seeds.iter().for_each(|seed| self.add_seed(of, seed, ratio));
    }

    /// Notes a seed if it gave no value.
    pub fn add_seed(&mut self, of: &str, seed: &SeedValue, ratio: Option<f64>) {
        if let Some(cause) = seed.value.cause() {
            self.add(of, seed.seed, ratio, &cause);
        }
    }

    /// A line per cause.
    pub fn lines(&self) -> Vec<String> {
        let line = |(cause, places): &(String, Vec<_>)| {
            let places: Vec<String> = places.iter().map(|place| self.place(place)).collect();
            format!("Left out: {}: {cause}", places.join("; "))
        };
        self.causes.iter().map(line).collect()
    }

    fn place(&self, (of, Missing { seeds, ratios }): &(String, Missing)) -> String {
        let mut text = of.clone();
        if seeds.len() < self.suite.seeds.len() {
            text += if seeds.len() == 1 { ", seed " } else { ", seeds " };
            text += &list(seeds);
        }
        if !ratios.is_empty() && ratios.len() < self.suite.ratios.len() {
            text += &format!(", r = {}", list(ratios));
        }
        text
    }
}

fn list(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
