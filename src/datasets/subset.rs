//! A part of a dataset, for trials: so many samples of each split, by class, always the same.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::{Dataset, Sample};

impl Dataset {
    /// Keeps `n` samples of each split, or all if there are fewer. Classes (for multilabel tasks: sets of labels) keep
    /// their shares, by largest remainders; within a class, those whose ids have the smallest SHA-256 are kept. The order
    /// stays.
    pub fn subset(&mut self, n: usize) {
        for data in self.splits.values_mut() {
            let kept = stratified(&data.samples, n);
            *data = std::mem::take(data).keep(|at| kept.contains(&at));
        }
    }
}

fn stratified(samples: &[Sample], n: usize) -> BTreeSet<usize> {
    let mut strata: BTreeMap<&[u32], Vec<usize>> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate() {
        strata.entry(&sample.labels).or_default().push(at);
    }
    let total = samples.len().max(1);
    let n = n.min(samples.len());
    // The whole part of each share, and what is left of it; the largest remainders have one more.
    let share = |size: usize| (n * size / total, n * size % total);
    let mut by_remainder: Vec<(&[u32], usize)> =
        strata.iter().map(|(labels, members)| (*labels, share(members.len()).1)).collect();
    by_remainder.sort_by_key(|(_, remainder)| std::cmp::Reverse(*remainder));
    let whole: usize = strata.values().map(|members| share(members.len()).0).sum();
    let one_more: BTreeSet<&[u32]> = by_remainder.iter().take(n - whole).map(|(labels, _)| *labels).collect();
    let mut kept = BTreeSet::new();
    for (labels, mut members) in strata {
        let quota = share(members.len()).0 + usize::from(one_more.contains(labels));
        members.sort_by_cached_key(|at| <[u8; 32]>::from(Sha256::digest(samples[*at].id.as_bytes())));
        kept.extend(members.into_iter().take(quota));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::collect::Collector;
    use super::super::{Picture, Split, TaskKind};

    fn dataset(sizes: &[usize]) -> super::Dataset {
        let mut collector = Collector::default();
        for (class, &size) in sizes.iter().enumerate() {
            for i in 0..size {
                let picture = Picture { archive: "a".into(), member: format!("{class}/{}", i / 2) };
                collector.push(
                    Split::Train,
                    format!("{class}-{i}"),
                    &picture,
                    &format!("text {i}"),
                    vec![class as u32],
                );
            }
        }
        collector.into_dataset(TaskKind::Multiclass, Vec::new())
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
