//! Marks best numbers whose lead over the next one is within noise.

use super::{Table, TableCell};
use crate::evaluation::statistics::holm::holm;
use crate::report::comparison::ALPHA;
use crate::report::results::Results;

/// Marks the best numbers of a table that are not significantly better than the next one: by the paired comparison over
/// seeds and test samples, with Holm's correction over all such comparisons of the table.
pub(super) fn mark(table: &mut Table, results: &Results) {
    let mut rankings = table.rankings();
    let p: Vec<Option<f64>> = rankings.iter().map(|cells| p_of(cells, results)).collect();
    let mut corrected = holm(&p.iter().copied().flatten().collect::<Vec<_>>()).into_iter();
    for (cells, p) in rankings.iter_mut().zip(p) {
        let significant = p.and_then(|_| corrected.next()).is_some_and(|p| p < ALPHA);
        cells.iter_mut().filter(|cell| cell.best).for_each(|cell| cell.within_noise = !significant);
    }
}

/// The p-value of the best number against the next one; `None` if there are too few seeds, or no single best one.
fn p_of(cells: &[&mut TableCell], results: &Results) -> Option<f64> {
    let (best, others): (Vec<&TableCell>, Vec<&TableCell>) =
        cells.iter().map(|cell| &**cell).partition(|cell| cell.best);
    let [best] = best[..] else { return None };
    let better = |mean: f64| if best.quantity.higher_is_better() { mean } else { -mean };
    let known = others.into_iter().filter_map(|cell| Some((better(cell.mean?), cell)));
    let (_, next) = known.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    results.comparisons.find(&best.dataset, (&best.method, best.quantity), (&next.method, next.quantity))?.p
}

#[cfg(test)]
mod tests {
    use crate::report::SuiteKind;
    use crate::report::results::{Cell, Results, collect};
    use crate::report::samples::{description, scored};
    use crate::report::table::{Table, table1};

    /// Two methods of which the first leads the second by `lead` in all five scores, one lead per seed.
    fn results(leads: &[f64]) -> Results {
        let seeds: Vec<u64> = (1..=leads.len() as u64).collect();
        let mut suite = description(SuiteKind::Smoke, &seeds);
        suite.datasets.truncate(1);
        suite.methods.truncate(2);
        suite.datasets[0].methods = suite.methods.iter().map(|method| method.name.clone()).collect();
        let mut cells = Vec::new();
        for (&seed, lead) in seeds.iter().zip(leads) {
            let base = 50.0 + 3.0 * (seed as f64).sin();
            for (method, more) in [("baseline", *lead), ("balgrad", 0.0)] {
                let outcome = scored(base + more, base - 20.0 + more, base - 10.0 + more);
                cells.push(Cell { dataset: suite.datasets[0].name.clone(), method: method.into(), seed, outcome });
            }
        }
        collect(suite, &cells).unwrap()
    }

    fn full(table: &Table) -> [(bool, bool); 2] {
        [0, 1].map(|at| (table.rows[0].cells[at].best, table.rows[0].cells[at].within_noise))
    }

    /// Nearly the same lead in every seed is significant, however much the seeds differ. With two seeds there is no
    /// test. A lead that changes its sign is noise.
    #[test]
    fn a_lead_within_noise_is_marked() {
        let of = |leads: &[f64]| full(&table1(&results(leads)));
        assert_eq!(of(&[2.0, 2.1, 1.9, 2.0, 2.05]), [(true, false), (false, false)]);
        assert_eq!(of(&[2.0, 2.1]), [(true, true), (false, false)]);
        assert_eq!(of(&[2.0, -1.5, 3.0, -2.0, 1.0]), [(true, true), (false, false)]);
        // Of two numbers that are shown as equal, none is best.
        assert_eq!(of(&[0.0, 0.001, -0.001]), [(false, false), (false, false)]);
    }

    /// A p-value below 0.05 can exceed it after the correction.
    #[test]
    fn the_correction_is_over_the_table() {
        let results = results(&[1.0, 0.2, 0.9, 0.1, 1.2]);
        let one = ("baseline", crate::report::quantity::Quantity::Full);
        let pair = results.comparisons.find(&results.suite.datasets[0].name, one, ("balgrad", one.1)).unwrap();
        assert!(pair.p.unwrap() < 0.05, "{pair:?}");
        assert_eq!(full(&table1(&results)), [(true, true), (false, false)]);
    }
}
