use std::collections::BTreeMap;

use super::*;
use crate::evaluation::statistics::bootstrap::How;
use crate::report::SuiteKind;
use crate::report::replicates::{Level, MethodReplicates, Replicates};
use crate::report::results::{Outcome, Results, collect, collect_with};
use crate::report::samples::{cells, description, difficult, realistic};

fn find(results: &Results, one: (&str, Quantity), other: (&str, Quantity)) -> Option<Comparison> {
    results.comparisons.find("food_101 & more", one, other)
}

/// Without predictions a difference is a paired t over the seeds: of two seeds there is an interval and no p.
#[test]
fn differences_are_paired_by_seed() {
    let results = difficult(SuiteKind::Smoke);
    // Full: 51 and 52 against 55 and 55.
    let full = find(&results, ("balgrad", Quantity::Full), ("baseline", Quantity::Full)).unwrap();
    assert_eq!((full.n, full.difference, full.std), (2, 3.5, Some(0.5f64.sqrt())));
    assert_eq!((full.p, full.effect, full.interval.unwrap().how), (None, None, How::TOverSeeds));
    let turned = find(&results, ("baseline", Quantity::Full), ("balgrad", Quantity::Full)).unwrap();
    assert_eq!(turned.difference, -3.5);
    assert_eq!(turned.interval.unwrap().low, -full.interval.unwrap().high);
    // A method's full score against an impaired one: 51 and 52 against 21 and 22.
    let drop = find(&results, ("baseline", Quantity::Full), ("baseline", Quantity::MissingImage)).unwrap();
    assert_eq!((drop.difference, drop.std), (30.0, Some(0.0)));
    assert!(find(&results, ("broken", Quantity::Full), ("balgrad", Quantity::Full)).is_none());
    assert!(find(&results, ("balgrad", Quantity::Full), ("baseline", Quantity::MissingImage)).is_none());
}

/// The family is the proposed method against each other one; choosing fewer methods makes it smaller.
#[test]
fn the_family_is_what_is_shown() {
    let results = realistic(SuiteKind::Smoke, 5);
    let count = |results: &Results| results.comparisons.pairs.iter().filter(|one| one.p_corrected.is_some()).count();
    // 4 other methods, 3 datasets, 9 quantities, the growth of a gap and its trend.
    assert_eq!(count(&results), 4 * 3 * 11);
    assert!(results.comparisons.family.as_ref().unwrap().contains("the 132 comparisons"));
    let mut shown = results.comparisons.clone();
    shown.restrict(&[Quantity::Full, Quantity::MissingGap]);
    assert!(shown.family.unwrap().contains("the 24 comparisons"));
    assert!(shown.pairs.iter().all(|one| one.quantity != Quantity::NoisyAvg));
    let fewer = results.restricted(&["emoji-words"], &["mslr", "balgrad"]).unwrap();
    assert_eq!((count(&fewer), fewer.comparisons.family.as_ref().unwrap().contains("the 11 ")), (11, true));
    let all = |results: &Results| {
        let one = ("balgrad", Quantity::Full);
        results.comparisons.find("emoji-words", one, ("mslr", Quantity::Full)).unwrap()
    };
    assert_eq!(all(&fewer).p, all(&results).p);
    assert!(all(&fewer).p_corrected <= all(&results).p_corrected);
    let others = results.restricted(&["emoji-words"], &["mslr", "agm"]).unwrap();
    assert_eq!((count(&others), others.comparisons.family), (0, None));
}

/// The resampled scores of a cell at a level.
type Resampled = BTreeMap<(String, String, u64), Vec<(Level, Vec<f64>)>>;

/// Resamples of every cell whose spread over test samples is known: one score in two is higher, one lower, by `spread`.
fn resampled(spread: f64) -> Resampled {
    let mut resampled = Resampled::new();
    for cell in cells() {
        let Outcome::Scored(scores) = &cell.outcome else { continue };
        if scores.levels.iter().all(|(_, score)| score.is_finite()) {
            let moved = |score: f64| (0..500).map(move |i| score + if i % 2 == 0 { spread } else { -spread });
            let all = |score: f64| [score].into_iter().chain(moved(score)).collect();
            let levels = scores.levels.iter().map(|(level, score)| (*level, all(*score))).collect();
            resampled.insert((cell.dataset, cell.method, cell.seed), levels);
        }
    }
    resampled
}

fn replicates(resampled: &Resampled) -> Replicates {
    let mut seeds: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    for (dataset, method, seed) in resampled.keys() {
        seeds.entry((dataset.clone(), method.clone())).or_default().push(*seed);
    }
    let file = |(dataset, method): (String, String), seeds: &[u64]| {
        let of = |seed: u64| &resampled[&(dataset.clone(), method.clone(), seed)];
        let levels: Vec<Level> = of(seeds[0]).iter().map(|(level, _)| *level).collect();
        let file = MethodReplicates::create(tempfile::tempfile().unwrap(), seeds, &levels, 500).unwrap();
        for &seed in seeds {
            of(seed).iter().for_each(|(level, scores)| file.write(seed, *level, scores).unwrap());
        }
        ((dataset.clone(), method.clone()), file)
    };
    seeds.into_iter().map(|(method, seeds)| file(method, &seeds)).collect()
}

/// What all methods share in a resample is no part of a difference, but it is part of a score's interval, at every ratio.
#[test]
fn resampled_differences_are_paired_by_sample() {
    let results = collect_with(description(SuiteKind::Smoke, &[1, 2]), cells(), &replicates(&resampled(3.0))).unwrap();
    let number = results.number("food_101 & more", "balgrad", Quantity::Full, None).unwrap();
    let interval = number.interval.unwrap();
    assert_eq!(interval.how, How::Bootstrap);
    // Both seeds are at 55, so the spread of ±3 over samples is all there is: its sample standard deviation, times z.
    let half = 3.0 * (500.0f64 / 499.0).sqrt() * 1.959_964;
    assert!((interval.high - 55.0 - half).abs() < 1e-3, "{interval:?}");
    let partly = results.number("food_101 & more", "balgrad", Quantity::MissingImage, Some(0.5)).unwrap();
    assert_eq!(partly.interval.unwrap().how, How::Bootstrap);
    assert!((partly.sample_error.unwrap() - 3.0 * (500.0f64 / 499.0).sqrt()).abs() < 1e-9);
    let difference = find(&results, ("balgrad", Quantity::Full), ("baseline", Quantity::Full)).unwrap();
    assert!(difference.sample_error.unwrap() < 1e-6, "{difference:?}");
    assert_eq!((difference.df, difference.interval.unwrap().how), (Some(1.0), How::Bootstrap));
    let growth = ["balgrad", "baseline"].map(|method| (method, Quantity::MissingGapGrowth));
    assert_eq!(find(&results, growth[0], growth[1]).unwrap().interval.unwrap().how, How::Bootstrap);
    // A NaN among the scores of a cell leaves it without resamples.
    let words = results.number("words", "baseline", Quantity::Full, None).unwrap();
    assert_eq!(words.interval.unwrap().how, How::TOverSeeds);
    // An interval of percentages ends at 0 and 100.
    let zero = results.number("food_101 & more", "baseline", Quantity::MissingGap, None).unwrap().interval.unwrap();
    assert!(zero.low >= 0.0 && zero.high <= 100.0);
}

/// Predictions that do not belong to the scores are an error.
#[test]
fn predictions_must_match_the_scores() {
    let mut wrong = resampled(1.0);
    let cell = wrong.get_mut(&("food_101 & more".into(), "baseline".into(), 2)).unwrap();
    cell.iter_mut().find(|(level, _)| *level == Level::Full).unwrap().1[0] = 50.0;
    let error =
        collect_with(description(SuiteKind::Smoke, &[1, 2]), cells(), &replicates(&wrong)).unwrap_err().to_string();
    assert_eq!(error, "food_101 & more × baseline × seed 2: the predictions give 50 for full, the scores say 52");
}

/// Numbers are what they are, with and without resamples.
#[test]
fn resampling_changes_no_number() {
    let suite = || description(SuiteKind::Smoke, &[1, 2]);
    let (plain, with) =
        (collect(suite(), cells()).unwrap(), collect_with(suite(), cells(), &replicates(&resampled(2.0))).unwrap());
    for (one, other) in plain.numbers.iter().zip(&with.numbers) {
        assert_eq!((one.mean, one.std, &one.seeds), (other.mean, other.std, &other.seeds));
    }
}
