//! Marks best numbers whose lead over the next one is within noise.

use super::{Table, TableCell};
use crate::evaluation::statistics::holm::holm;
use crate::report::comparison::ALPHA;
use crate::report::quantity::Quantity;
use crate::report::results::Results;

/// A quantity on a dataset, across the methods of a table.
struct Ranking {
    /// Row and cell of each best number; several if they are shown as equal.
    best: Vec<(usize, usize)>,
    /// The p-value of the best number against the next one; `None` if there are too few seeds, or no single best one.
    p: Option<f64>,
}

/// Marks the best numbers of a table that are not significantly better than the next one: by the paired comparison over
/// seeds and test samples, with Holm's correction over all such comparisons of the table.
pub(super) fn mark(table: &mut Table, results: &Results) {
    let rankings = rankings(table, results);
    let mut corrected = holm(&rankings.iter().filter_map(|ranking| ranking.p).collect::<Vec<_>>()).into_iter();
    for ranking in rankings {
        let significant = ranking.p.and_then(|_| corrected.next()).is_some_and(|p| p < ALPHA);
        if !significant {
            ranking.best.iter().for_each(|&(row, cell)| table.rows[row].cells[cell].within_noise = true);
        }
    }
}

fn rankings(table: &Table, results: &Results) -> Vec<Ranking> {
    let mut rankings = Vec::new();
    for dataset in &results.suite.datasets {
        for quantity in Quantity::ALL {
            let cells = table
                .rows
                .iter()
                .enumerate()
                .flat_map(|(row, cells)| cells.cells.iter().enumerate().map(move |(at, cell)| ((row, at), cell)));
            let (best, others): (Vec<_>, Vec<_>) = cells
                .filter(|(_, cell)| cell.dataset == dataset.name && cell.quantity == quantity.name())
                .partition(|(_, cell)| cell.best);
            let p = match best.as_slice() {
                [(_, best)] => next(&others, quantity)
                    .and_then(|next| {
                        let sides = [&best.method, &next.method].map(|method| (method.as_str(), quantity));
                        results.comparisons.find(&dataset.name, sides[0], sides[1])
                    })
                    .and_then(|comparison| comparison.p),
                _ => None,
            };
            rankings.push(Ranking { best: best.into_iter().map(|(place, _)| place).collect(), p });
        }
    }
    rankings
}

/// The best of the other cells.
fn next<'a>(others: &[((usize, usize), &'a TableCell)], quantity: Quantity) -> Option<&'a TableCell> {
    let better = |mean: f64| if quantity.higher_is_better() { mean } else { -mean };
    let known = others.iter().filter_map(|(_, cell)| Some((better(cell.mean?), *cell)));
    known.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, cell)| cell)
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
        // Numbers that are shown as equal are both best, without a lead.
        assert_eq!(of(&[0.0, 0.001, -0.001]), [(true, true), (true, true)]);
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
