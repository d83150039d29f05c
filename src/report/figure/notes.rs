//! What is missing from a figure, and why.

use crate::report::results::SuiteDescription;

/// What is missing, collected by cause.
pub struct Gaps<'a> {
    suite: &'a SuiteDescription,
    told: Vec<(String, Vec<Place>)>,
}

/// Where a cause left something out.
struct Place {
    /// `BalGrad on words`.
    of: String,
    seeds: Vec<u64>,
    /// Of a figure over missing ratios; else empty.
    ratios: Vec<f64>,
}

impl<'a> Gaps<'a> {
    pub fn new(suite: &'a SuiteDescription) -> Gaps<'a> {
        Gaps { suite, told: Vec::new() }
    }

    /// Notes that one seed is missing at a place, at a ratio where the figure has several.
    pub fn add(&mut self, of: &str, seed: u64, ratio: Option<f64>, cause: &str) {
        let at = self.told.iter().position(|(known, _)| known == cause).unwrap_or_else(|| {
            self.told.push((cause.to_owned(), Vec::new()));
            self.told.len() - 1
        });
        let places = &mut self.told[at].1;
        let at = places.iter().position(|place| place.of == of).unwrap_or_else(|| {
            places.push(Place { of: of.to_owned(), seeds: Vec::new(), ratios: Vec::new() });
            places.len() - 1
        });
        let Place { of: _, seeds, ratios } = &mut places[at];
        if !seeds.contains(&seed) {
            seeds.push(seed);
        }
        if let Some(ratio) = ratio.filter(|ratio| !ratios.contains(ratio)) {
            ratios.push(ratio);
        }
    }

    /// A line per cause.
    pub fn lines(&self) -> Vec<String> {
        let line = |(cause, places): &(String, Vec<Place>)| {
            let places: Vec<String> = places.iter().map(|place| self.place(place)).collect();
            format!("Left out: {}: {cause}", places.join("; "))
        };
        self.told.iter().map(line).collect()
    }

    fn place(&self, Place { of, seeds, ratios }: &Place) -> String {
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
