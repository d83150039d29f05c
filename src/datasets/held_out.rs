//! Splits that were not published: shares of each class, drawn by a seed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::random::Stream;
use crate::terms::Split;

/// A whole number of percents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(u32);

impl Default for Percent {
    fn default() -> Self {
        Percent(10)
    }
}

impl Percent {
    /// # Errors
    /// If a split of so many percents would be empty or most of the data; names the option.
    pub(super) fn check(self, option: &str) -> Result<(), String> {
        match (1..=50).contains(&self.0) {
            true => Ok(()),
            false => Err(format!("`{option}` should be between 1 and 50, found {}", self.0)),
        }
    }

    /// The share of `n`, rounded to the nearest whole number.
    pub(super) fn of(self, n: usize) -> usize {
        (n * self.0 as usize + 50) / 100
    }
}

/// The items of each class in an order drawn for that class: `purpose`, then the class's name.
pub(super) fn in_drawn_order<'a, T>(
    classes: BTreeMap<&'a str, Vec<T>>,
    seed: u64,
    purpose: [&'a str; 2],
) -> impl Iterator<Item = Vec<T>> {
    classes.into_iter().map(move |(class, mut items)| {
        Stream::new(seed, &[purpose[0], purpose[1], class]).shuffle(&mut items);
        items
    })
}

/// A share of each class's training items, for validation.
pub(super) fn validation<'a, T: Ord>(
    training: impl Iterator<Item = (&'a str, T)>,
    share: Percent,
    seed: u64,
    dataset: &'a str,
) -> BTreeSet<T> {
    let mut classes: BTreeMap<&str, Vec<T>> = BTreeMap::new();
    training.for_each(|(class, item)| classes.entry(class).or_default().push(item));
    let drawn = in_drawn_order(classes, seed, [dataset, "validation"]);
    drawn
        .flat_map(|items| {
            let n = share.of(items.len());
            items.into_iter().take(n)
        })
        .collect()
}

/// The split of a sample, by whether it is for training and, if so, for validation.
pub(super) fn split(training: bool, validation: bool) -> Split {
    match (training, validation) {
        (true, true) => Split::Val,
        (true, false) => Split::Train,
        (false, _) => Split::Test,
    }
}
