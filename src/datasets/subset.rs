//! A part of a dataset, for trials: so many samples of each split, by class, always the same.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::{Dataset, Sample, SplitData};
use crate::terms::Split;

/// The version of the drawing, part of the keys of subsets: raised when the same samples would give another subset.
pub const RECIPE: u64 = 2;

/// In which order samples are drawn. Classes (for multilabel tasks: sets of labels) keep their shares of the split, by
/// largest remainders; where fewer samples are wanted than there are classes, those of the training split, so that all
/// splits have the same classes. Within a class, those whose ids have the smallest SHA-256 come first.
pub(super) struct Draws {
    n: usize,
    splits: BTreeMap<Split, Vec<Stratum>>,
}

/// The samples of a class.
struct Stratum {
    /// What its share is in proportion to.
    weight: usize,
    /// Places in the split, in the order of the drawing.
    members: Vec<usize>,
}

type Labels<'a> = &'a [u32];

impl Draws {
    /// Of `n` samples of each split.
    pub fn of(dataset: &Dataset, n: usize) -> Self {
        let train = dataset.splits.get(&Split::Train).map(by_class).unwrap_or_default();
        let sizes: BTreeMap<Labels<'_>, usize> =
            train.iter().map(|(labels, members)| (*labels, members.len())).collect();
        let few = n < sizes.len();
        let strata = |(split, data): (&Split, &SplitData)| {
            let mut classes = by_class(data);
            if few {
                for labels in sizes.keys() {
                    classes.entry(labels).or_default();
                }
            }
            let mut strata: Vec<(usize, Labels<'_>, Vec<usize>)> = classes
                .into_iter()
                .map(|(labels, members)| (sizes.get(labels).copied().unwrap_or(0), labels, members))
                .collect();
            // One order of the classes for all splits, by which ties are broken.
            strata.sort_by_key(|(size, labels, _)| (Reverse(*size), *labels));
            let weighted = |(size, _, members): (usize, Labels<'_>, Vec<usize>)| {
                let weight = if few { size } else { members.len() };
                Stratum { weight, members: in_order(members, &data.samples) }
            };
            (*split, strata.into_iter().map(weighted).collect())
        };
        Draws { n, splits: dataset.splits.iter().map(strata).collect() }
    }

    /// The places of the samples of a split that are drawn, if only these are `usable`: as many as are wanted, or all.
    pub fn drawn(&self, split: Split, usable: &dyn Fn(usize) -> bool) -> BTreeSet<usize> {
        self.of_split(split, self.n, usable)
    }

    /// Those that are drawn and those that would be if some of them turn out to be unusable: the more, the more often this
    /// happened, so that a dataset without usable samples is known after few rounds.
    pub fn ahead(&self, split: Split, round: u32, usable: &dyn Fn(usize) -> bool) -> BTreeSet<usize> {
        let more = self.n.saturating_mul(1 << round.saturating_sub(1).min(30));
        let mut places = self.drawn(split, usable);
        places.extend(self.of_split(split, more, usable));
        places
    }

    fn of_split(&self, split: Split, n: usize, usable: &dyn Fn(usize) -> bool) -> BTreeSet<usize> {
        let strata = self.splits.get(&split).map(Vec::as_slice).unwrap_or_default();
        let members: Vec<Vec<usize>> = strata
            .iter()
            .map(|stratum| stratum.members.iter().copied().filter(|place| usable(*place)).collect())
            .collect();
        let n = n.min(members.iter().map(Vec::len).sum());
        let weights: Vec<usize> = strata.iter().map(|stratum| stratum.weight).collect();
        let most: Vec<usize> = members.iter().map(Vec::len).collect();
        let quotas = within(shares(n, &weights), n, &most);
        members.into_iter().zip(quotas).flat_map(|(members, quota)| members.into_iter().take(quota)).collect()
    }
}

fn by_class(data: &SplitData) -> BTreeMap<Labels<'_>, Vec<usize>> {
    let mut classes: BTreeMap<Labels<'_>, Vec<usize>> = BTreeMap::new();
    for (at, sample) in data.samples.iter().enumerate() {
        classes.entry(&sample.labels).or_default().push(at);
    }
    classes
}

fn in_order(mut members: Vec<usize>, samples: &[Sample]) -> Vec<usize> {
    members.sort_by_cached_key(|at| <[u8; 32]>::from(Sha256::digest(samples[*at].id.as_bytes())));
    members
}

/// `n` divided in proportion to the weights: the whole part of each share, and one more for the largest remainders.
fn shares(n: usize, weights: &[usize]) -> Vec<usize> {
    let total = weights.iter().sum::<usize>();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let mut quotas: Vec<usize> = weights.iter().map(|weight| n * weight / total).collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&at| Reverse(n * weights[at] % total));
    let left = n - quotas.iter().sum::<usize>();
    by_remainder.into_iter().take(left).for_each(|at| quotas[at] += 1);
    quotas
}

/// Quotas of which none is more than there is: what is left goes round the classes that have something, then the others.
fn within(quotas: Vec<usize>, n: usize, most: &[usize]) -> Vec<usize> {
    let mut within: Vec<usize> = quotas.iter().zip(most).map(|(quota, most)| *quota.min(most)).collect();
    let mut left = n - within.iter().sum::<usize>();
    for chosen in [true, false] {
        let of_these: Vec<usize> = (0..most.len()).filter(|&at| (quotas[at] > 0) == chosen).collect();
        while left > 0 && of_these.iter().any(|&at| within[at] < most[at]) {
            for &at in &of_these {
                if left > 0 && within[at] < most[at] {
                    within[at] += 1;
                    left -= 1;
                }
            }
        }
    }
    within
}

impl Dataset {
    /// Keeps `n` samples of each split, or all if there are fewer, in their order; all of them are usable.
    pub fn subset(&mut self, n: usize) {
        let draws = Draws::of(self, n);
        for (split, data) in &mut self.splits {
            let kept = draws.drawn(*split, &|_| true);
            *data = std::mem::take(data).keep(|at| kept.contains(&at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Picture;
    use super::super::collect::Collector;
    use super::*;
    use crate::terms::TaskKind;

    /// So many samples of each class in each split.
    fn of_splits(splits: &[(Split, &[usize])]) -> Dataset {
        let mut collector = Collector::default();
        for (split, sizes) in splits {
            for (class, &size) in sizes.iter().enumerate() {
                for i in 0..size {
                    let picture = Picture { archive: "a".into(), member: format!("{class}/{}", i / 2) };
                    let id = format!("{}-{class}-{i}", split.name());
                    collector.push(*split, id, &picture, &format!("text {i}"), vec![class as u32]);
                }
            }
        }
        collector.into_dataset(TaskKind::Multiclass, Vec::new())
    }

    fn dataset(sizes: &[usize]) -> Dataset {
        of_splits(&[(Split::Train, sizes)])
    }

    fn classes(dataset: &Dataset, split: Split) -> Vec<u32> {
        let mut classes: Vec<u32> = dataset.splits[&split].samples.iter().map(|sample| sample.labels[0]).collect();
        classes.sort_unstable();
        classes
    }

    /// Where there are fewer samples than classes, the training split chooses them for all; what a split has none of is
    /// made up for by the others.
    #[test]
    fn all_splits_have_the_same_classes() {
        let splits: [(Split, &[usize]); 3] = [
            (Split::Train, &[9, 9, 9, 9, 10, 11, 12, 10]),
            (Split::Val, &[5, 5, 5, 5, 1, 0, 1, 1]),
            (Split::Test, &[9, 8, 9, 8, 3, 3, 3, 3]),
        ];
        let mut whole = of_splits(&splits);
        whole.subset(4);
        assert_eq!(classes(&whole, Split::Train), [4, 5, 6, 7]);
        assert_eq!(classes(&whole, Split::Test), [4, 5, 6, 7]);
        // Three of them, and what else there is: the class that comes next.
        assert_eq!(classes(&whole, Split::Val), [0, 4, 6, 7]);
        let mut whole = of_splits(&splits);
        whole.subset(8);
        assert_eq!(whole.splits[&Split::Test].samples.len(), 8);
    }

    /// What turns out to be unusable is replaced, by its class as long as that has some.
    #[test]
    fn unusable_samples_are_replaced() {
        let whole = dataset(&[10, 10, 2]);
        let draws = Draws::of(&whole, 11);
        let count = |usable: &dyn Fn(usize) -> bool| {
            let drawn = draws.drawn(Split::Train, usable);
            assert!(drawn.iter().all(|at| usable(*at)) && drawn.is_subset(&draws.ahead(Split::Train, 3, usable)));
            [0..10, 10..20, 20..22].map(|class| class.filter(|at| drawn.contains(at)).count())
        };
        assert_eq!(count(&|_| true), [5, 5, 1]);
        assert_eq!(count(&|at| at % 2 == 0), [5, 5, 1]);
        assert_eq!(count(&|at| at > 6), [3, 6, 2]);
        assert_eq!(count(&|at| at > 18), [0, 1, 2]);
    }

    #[test]
    fn classes_keep_their_shares() {
        let mut whole = dataset(&[50, 30, 20, 1]);
        let before = whole.splits[&Split::Train].clone();
        whole.subset(10);
        let part = &whole.splits[&Split::Train];
        let count = |class: u32| part.samples.iter().filter(|sample| sample.labels == [class]).count();
        assert_eq!([0, 1, 2, 3].map(count), [5, 3, 2, 0]);
        // What is kept is what it was.
        for sample in &part.samples {
            let old = before.samples.iter().find(|old| old.id == sample.id).unwrap();
            assert_eq!(part.pictures[sample.picture], before.pictures[old.picture]);
            assert_eq!(part.texts[sample.text], before.texts[old.text]);
        }
        assert!(part.pictures.len() <= 10 && part.texts.len() <= 10);
    }

    proptest::proptest! {
        #[test]
        fn a_part_has_the_size_that_was_asked_for(sizes in proptest::collection::vec(0usize..40, 1..6), n in 0usize..100) {
            let mut whole = dataset(&sizes);
            let all: usize = sizes.iter().sum();
            whole.subset(n);
            let left = whole.splits.get(&Split::Train).map_or(0, |data| data.samples.len());
            proptest::prop_assert_eq!(left, n.min(all));
        }
    }
}
