use super::chart::{Mark, Pen};
use super::figure7::{Pooled, pool, shown_bins};
use super::gaps::Gaps;
use super::*;
use crate::report::SuiteKind;
use crate::report::replicates::Level;
use crate::report::results::{Cell, Outcome, Results, collect};
use crate::report::samples::{ablation, cells, description, difficult, realistic, scored, without};
use crate::report::summary::{BINS, Cosine, CosineSummary, TraceSummary};
use crate::report::target::Figure::{Four, GapBars, Seven, Six, Two};
use crate::report::trace::Columns;
use crate::terms::Modality;

/// The text of a figure and of its caption.
fn words(which: target::Figure, results: &Results) -> String {
    let suite = &results.suite;
    let chart = chart(which, results);
    let caption = Caption::of(&about(target::find("figure4").unwrap(), results), &chart);
    let shown = inside(&drawing::svg(&suite.title, suite.kind, &chart));
    [&shown, &caption.text, &caption.notes.join("\n")].map(String::as_str).join("\n")
}

fn drawn(which: target::Figure, results: &Results) -> anyhow::Result<Figure> {
    draw(which, target::find("figure4").unwrap(), results)
}

/// The text inside a drawing.
fn inside(svg: &str) -> String {
    let inside = svg.split("<text").skip(1).filter_map(|text| text.split_once('>')?.1.split_once("</text>"));
    let words = inside.map(|(text, _)| text).collect::<Vec<_>>().join(" ");
    words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn of(results: &Results, methods: &[&str]) -> Results {
    results.of_methods(methods).unwrap()
}

/// Every figure with sample results of its methods.
fn samples() -> Vec<(target::Figure, Results)> {
    let ablation = ablation(SuiteKind::Smoke);
    vec![
        (Two, of(&ablation, &["balgrad"])),
        (Four, realistic(SuiteKind::Smoke, 7)),
        (GapBars, realistic(SuiteKind::Smoke, 7)),
        (Six, of(&ablation, &["balgrad-projection", "balgrad"])),
        (Seven, of(&ablation, &["balgrad-reweighting", "balgrad"])),
    ]
}

/// The same results give the same bytes: no time, no random names. What is no result of the paper says so in the picture,
/// and every figure says what it is in its title and its caption, whatever the suite is called.
#[test]
fn figures_are_marked_and_the_same_each_time() {
    for (which, mut results) in samples() {
        results.suite.title = "A figure of the paper".into();
        let first = drawn(which, &results).unwrap();
        assert!(first.pdf.starts_with(b"%PDF-") && first.png.starts_with(b"\x89PNG"));
        for _ in 0..3 {
            assert!(first == drawn(which, &results).unwrap(), "{which:?}");
        }
        let title = "<title>A figure of the paper (smoke run, not a result of the paper)</title>";
        assert!(first.svg.contains(title), "{which:?}: {}", &first.svg[..400]);
        assert!(inside(&first.svg).starts_with("smoke run, not a result of the paper "), "{which:?}");
        for caption in [&first.caption_tex, &first.caption_md] {
            assert!(caption.contains("(smoke run, not a result of the paper)"), "{which:?}: {caption}");
        }
        results.suite.kind = SuiteKind::Paper;
        let paper = drawn(which, &results).unwrap();
        assert!(!inside(&paper.svg).contains("reproduction") && paper.svg.contains("(reproduction)</title>"));
        assert!(paper.caption_tex.contains("(reproduction)"), "{which:?}");
    }
}

/// A figure has the width of a paper's text or of one of its columns, in the SVG and in the PDF, and type of 7 or 8 points.
/// Its text is text, in a font by name, so that it can be searched, and the SVG is small.
#[test]
fn figures_have_the_size_of_print() {
    for (which, results) in samples() {
        let Figure { svg, pdf, .. } = drawn(which, &results).unwrap();
        assert!(svg.contains("width=\"455pt\"") && svg.contains("font-family=\"DejaVu Sans, "), "{which:?}");
        let pdf = String::from_utf8_lossy(&pdf).into_owned();
        assert!(pdf.contains("/MediaBox [0 0 455 "), "{which:?}");
        let sizes: std::collections::BTreeSet<&str> =
            svg.split("font-size=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        assert!(sizes.iter().all(|size| ["7", "8"].contains(size)), "{which:?}: {sizes:?}");
        assert!(svg.contains("Emoji words</text>") && !svg.contains("href"), "{which:?}");
        assert!(svg.len() < 40_000, "{which:?}: {} bytes", svg.len());
    }
    let mut results = realistic(SuiteKind::Smoke, 2);
    results.suite.datasets.truncate(1);
    let one = drawn(Four, &results).unwrap();
    assert!(one.svg.contains("width=\"219pt\"") && String::from_utf8_lossy(&one.pdf).contains("/MediaBox [0 0 219 "));
}

/// A caption has at most three lines of a page; how a figure was made and what it lacks stands in notes below.
#[test]
fn captions_are_short() {
    for (which, results) in samples() {
        let target = target::find("figure4").unwrap();
        let (caption, _) = explained(which, target, &results);
        assert!(caption.text.chars().count() < 300, "{which:?}: {}", caption.text);
        assert!(caption.notes[0].starts_with(&results.suite.title), "{which:?}: {:?}", caption.notes);
    }
}

/// Results without numbers, traces, datasets or methods, of one seed, with numbers of any size and with any names.
#[test]
fn strange_results_are_drawn() {
    let traceless = collect(description(SuiteKind::Smoke, &[1]), &cells()[..1]).unwrap();
    let nothing = collect(description(SuiteKind::Smoke, &[1, 2]), &[]).unwrap();
    for (which, results) in samples() {
        let mut strange = vec![difficult(SuiteKind::Paper), traceless.clone(), nothing.clone()];
        for size in [0.0, 1e300, 1e-300, -5.0] {
            let mut huge = results.clone();
            for number in &mut huge.numbers {
                (number.mean, number.std) = (number.mean.map(|_| size), None);
            }
            for trace in huge.cells.iter_mut().filter_map(|cell| cell.trace.as_mut()) {
                trace.losses.iter_mut().flat_map(|(_, curve)| curve).for_each(|loss| *loss = size);
                if let Some(cosine) = &mut trace.cosine {
                    (cosine.mean, cosine.undefined) = (Some(size), usize::MAX);
                    cosine.histogram.iter_mut().for_each(|count| *count = u64::MAX);
                }
            }
            strange.push(huge);
        }
        let mut short = results.clone();
        for trace in short.cells.iter_mut().filter_map(|cell| cell.trace.as_mut()) {
            trace.losses.iter_mut().for_each(|(_, curve)| curve.truncate(1));
            trace.cosine.iter_mut().for_each(|cosine| cosine.histogram.truncate(3));
        }
        short.suite.datasets.truncate(1);
        short.suite.title = format!("<&>\"'\u{1}\u{ffff}\n{}", "a very long title ".repeat(40));
        short.suite.datasets[0].title = "x".repeat(500);
        short.suite.methods[0].title = "<b>".repeat(200);
        strange.push(short.clone());
        short.suite.datasets.clear();
        strange.push(short.clone());
        short.suite.methods.clear();
        strange.push(short);
        for (at, results) in strange.iter().enumerate() {
            drawn(which, results).unwrap_or_else(|error| panic!("{which:?}, case {at}: {error:#}"));
        }
    }
}

/// All that figures, their captions and their notes say: what bars and lines are, what failed, is not a number or was not run,
/// which trainings have no trace, no head or another cosine.
#[test]
fn figures_say_what_they_show_and_why_something_is_left_out() {
    let (ablation, difficult) = (ablation(SuiteKind::Smoke), difficult(SuiteKind::Smoke));
    let mut some = cells();
    some.retain(|cell| cell.dataset == "words" || cell.seed == 1);
    let untraced = collect(description(SuiteKind::Smoke, &[1, 2]), &some).unwrap();
    let mut fused = difficult.clone();
    fused.suite.datasets[1].fusion = "attention".into();
    fused.suite.datasets[1].setting = "Lite0 + MiniLM, joined by attention".into();
    let pair = of(&ablation, &["balgrad-reweighting", "balgrad"]);
    let mut mixed = pair.clone();
    for cell in mixed.cells.iter_mut().filter(|cell| cell.dataset == "emoji-words") {
        cell.trace.iter_mut().flat_map(|trace| &mut trace.cosine).for_each(|c| c.column = Cosine::Embedding);
    }
    mixed.suite.datasets[2].fusion = "addition".into();
    let mut without = pair.clone();
    without.cells.iter_mut().flat_map(|cell| &mut cell.trace).for_each(|trace| trace.cosine = None);
    for (name, which, results) in [
        ("figure2", Two, of(&difficult, &["baseline"])),
        ("figure2-of-a-failed-method", Two, of(&difficult, &["broken"])),
        ("figure2-with-a-score-that-is-not-a-number", Two, of(&difficult, &["balgrad"])),
        ("figure2-without-heads", Two, of(&ablation, &["baseline"])),
        ("figure4-with-failures", Four, difficult.clone()),
        ("gap-bars-of-one-setting", GapBars, difficult.clone()),
        ("gap-bars-of-two-settings", GapBars, fused),
        ("figure6", Six, of(&ablation, &["balgrad-projection", "balgrad"])),
        ("figure6-without-traces", Six, of(&untraced, &["balgrad", "broken"])),
        ("figure6-without-heads", Six, of(&ablation, &["baseline", "balgrad"])),
        ("figure7", Seven, pair),
        ("figure7-of-two-cosines", Seven, mixed),
        ("figure7-without-cosines", Seven, without),
    ] {
        insta::assert_snapshot!(name, words(which, &results));
    }
}

/// Figure 4: a line does not cross the place of a missing number.
#[test]
fn figure4_breaks_the_line_at_a_missing_number() {
    let suite = description(SuiteKind::Smoke, &[1]);
    let outcome = without(scored(50.0, 20.0, 40.0), Level::Missing(Modality::Image, 0.5));
    let cell = Cell { dataset: "words".into(), method: "baseline".into(), seed: 1, outcome };
    let results = collect(suite, &[cell]).unwrap();
    let (words, methods) = (&results.suite.datasets[1], &results.suite.methods);
    let runs = |method| figure4::runs(&results, words, method);
    assert_eq!(runs(&methods[0]), [vec![(0.0, 0.0, 0.0)], vec![(1.0, 20.0, 0.0)]]);
    assert!(runs(&methods[1]).is_empty());
    let note = "Baseline on words, r = 0.5: the score is not a number";
    assert!(self::words(Four, &results).contains(note));
}

/// A dataset whose bars would be flat beside another's has its own axis, and so have all in its row.
#[test]
fn gap_bars_have_an_axis_of_their_own_where_they_would_be_flat() {
    let mut results = realistic(SuiteKind::Smoke, 5);
    let panels = |results: &Results| gap_bars::chart(results).rows[0].panels.len();
    for number in &mut results.numbers {
        number.mean = number.mean.map(|_| 10.0);
    }
    assert_eq!(panels(&results), 1);
    for number in results.numbers.iter_mut().filter(|number| number.dataset == "emoji-words") {
        number.mean = number.mean.map(|_| 1.5);
    }
    assert_eq!(panels(&results), 3);
    assert!(words(GapBars, &results).contains("Each dataset has its own axis."));
}

/// Figure 6: a point is the mean over the seeds of an epoch's loss; the first method's lines lie on top.
#[test]
fn figure6_shows_means_over_seeds() {
    let mut results = of(&ablation(SuiteKind::Smoke), &["balgrad-projection", "balgrad"]);
    for (at, cell) in results.cells.iter_mut().filter(|cell| cell.method == "balgrad").enumerate() {
        let curve = vec![1.0 + (at % 5) as f64, 0.5];
        cell.trace.iter_mut().for_each(|trace| drop(trace.losses.insert("loss_v".into(), curve.clone())));
    }
    let chart = figure6::chart(&results);
    let lines = chart.rows[0].panels[0].marks.iter().filter_map(|mark| match mark {
        Mark::Line { pen, points, .. } => Some((*pen, points)),
        _ => None,
    });
    let (pens, points): (Vec<Pen>, Vec<_>) = lines.unzip();
    assert_eq!(pens, [Pen::IMAGE, Pen::TEXT, Pen::IMAGE_ABOVE, Pen::TEXT_ABOVE]);
    assert_eq!(*points[0], [(1.0, 3.0, 2.5f64.sqrt()), (2.0, 0.5, 0.0)]);
}

/// Lines that cannot be told apart get panels of their difference, seed by seed; others do not.
#[test]
fn figure6_shows_the_difference_of_lines_that_coincide() {
    let mut results = of(&ablation(SuiteKind::Smoke), &["balgrad-projection", "balgrad"]);
    assert_eq!(figure6::chart(&results).rows.len(), 1);
    for cell in &mut results.cells {
        let more = if cell.method == "balgrad" { 0.001 } else { 0.0 };
        let curve = vec![2.0 + 0.1 * cell.seed as f64 + more, 1.0 + 2.0 * more];
        cell.trace.iter_mut().for_each(|trace| drop(trace.losses.insert("loss_v".into(), curve.clone())));
    }
    let chart = figure6::chart(&results);
    let text = |mark: &Mark| matches!(mark, Mark::Line { pen, .. } if *pen == Pen::TEXT);
    assert!(!chart.rows[1].panels[0].marks.iter().any(text), "the other lines are apart");
    let points = chart.rows[1].panels[0].marks.iter().find_map(|mark| match mark {
        Mark::Line { pen, points, .. } if *pen == Pen::IMAGE => Some(points),
        _ => None,
    });
    let [first, second] = points.unwrap()[..] else { panic!("two epochs") };
    assert!((first.1 - 0.001).abs() < 1e-9 && first.2 < 1e-9, "{first:?}: the seeds differ, their differences do not");
    assert!((second.1 - 0.002).abs() < 1e-9);
    assert!(chart.reading.contains("BalGrad minus BalGrad w/o reweighting, seed by seed"), "{}", chart.reading);
}

/// Column, mean, undefined steps, (bin, steps).
type Seed<'a> = (Cosine, Option<f64>, usize, &'a [(usize, u64)]);

/// Pools the cosines of one method, given seed by seed; with the notes.
fn pooled(seeds: &[Seed<'_>]) -> (Option<Pooled>, Vec<String>) {
    let numbers: Vec<u64> = (1..).take(seeds.len()).collect();
    let cells = numbers.iter().zip(seeds).map(|(&seed, &(column, mean, undefined, bins))| {
        let mut histogram = vec![0; BINS];
        bins.iter().for_each(|&(bin, steps)| histogram[bin] = steps);
        let mut outcome = scored(50.0, 20.0, 40.0);
        if let Outcome::Scored(scores) = &mut outcome {
            let cosine = Some(CosineSummary { column, mean, undefined, histogram });
            scores.trace = Some(TraceSummary { steps: 20, conflict: None, cosine, losses: Default::default() });
        }
        Cell { dataset: "words".into(), method: "baseline".into(), seed, outcome }
    });
    let results = collect(description(SuiteKind::Smoke, &numbers), cells.collect::<Vec<_>>()).unwrap();
    let (mut gaps, mut notes) = (Gaps::new(&results.suite), Vec::new());
    let found = pool(&results, &results.suite.datasets[1], &results.suite.methods[0], &mut gaps, &mut notes);
    (found, [gaps.lines(), notes].concat())
}

/// Every step counts the same, whichever seed it belongs to. Steps without a cosine do not count, and are noted.
#[test]
fn figure7_pools_the_steps_of_all_seeds() {
    let first = (Cosine::Update, Some(0.5), 2, &[(20, 3), (39, 3)][..]);
    let (found, notes) = pooled(&[first, (Cosine::Update, Some(-0.5), 0, &[(20, 2)])]);
    let found = found.unwrap();
    assert_eq!((found.column, found.mean), (Cosine::Update, 0.25));
    assert_eq!((found.shares[20], found.shares[39], found.shares.iter().sum::<f64>()), (62.5, 37.5, 100.0));
    assert_eq!(notes, ["Baseline on words: 2 of 10 steps are left out, in which the cosine is undefined."]);
}

#[test]
fn figure7_pools_one_kind_of_cosine() {
    let embedding = (Cosine::Embedding, Some(0.5), 0, &[(30, 4)][..]);
    let (found, notes) = pooled(&[embedding, (Cosine::Update, Some(0.1), 0, &[(22, 4)])]);
    assert_eq!(found.map(|pooled| (pooled.column, pooled.mean)), Some((Cosine::Update, 0.1)));
    assert_eq!(notes, ["Left out: Baseline on words, seed 1: its trace holds another cosine than `cos_update_v_l`"]);
    let (found, notes) = pooled(&[(Cosine::Update, None, 4, &[])]);
    assert_eq!(found, None);
    assert_eq!(notes, ["Left out: Baseline on words: the cosine is undefined in all steps: a gradient is 0"]);
}

/// Bins are as narrow as the steps allow; zero is the end of one whatever their width.
#[test]
fn figure7_shows_the_bins_that_hold_steps() {
    let bins = |filled: &[usize]| {
        let mut shares = vec![0.0; BINS];
        filled.iter().for_each(|&bin| shares[bin] = 1.0);
        let shown = shown_bins([Pooled { column: Cosine::Update, mean: 0.0, shares }].iter());
        (shown.first, shown.last, shown.merged)
    };
    assert_eq!(
        [&[][..], &[0, 199], &[25, 150], &[100], &[90, 120], &[199]].map(bins),
        [(0, 39, 5), (0, 39, 5), (5, 38, 4), (92, 108, 1), (89, 121, 1), (184, 199, 1)]
    );
}

#[test]
fn curves_of_a_training_are_means_of_consecutive_steps() {
    assert_eq!(training::curve(&[1.0, f32::NAN, 3.0], 200), [vec![(1.0, 1.0, 0.0)], vec![(3.0, 3.0, 0.0)]]);
    let many: Vec<f32> = (0..400).map(|step| step as f32).collect();
    let curve = training::curve(&many, 200);
    assert_eq!((curve.len(), curve[0].len()), (1, 200));
    assert_eq!((curve[0][0], curve[0][199]), ((1.5, 0.5, 0.0), (399.5, 398.5, 0.0)));
}

/// Any columns make a figure, each time the same.
#[test]
fn strange_traces_are_drawn() {
    let nan = vec![f32::NAN; 3];
    let undefined = [("cos_T_kl".to_owned(), nan), ("coefficient_v".to_owned(), vec![-2.0, 1e30, 0.0])];
    for columns in [Columns::new(), [("loss_T".to_owned(), vec![1.0])].into(), undefined.into()] {
        let about = || About {
            name: "Trace".into(),
            title: "A training",
            kind: SuiteKind::Smoke,
            command: "seesaw trace".into(),
            file: "words",
            label: "fig:words".into(),
        };
        let draw = || training::draw(&about(), "3 steps", &columns).unwrap();
        assert!(draw() == draw());
    }
}

/// The page says of each point and bar what it stands for, where it is drawn.
#[test]
fn points_and_bars_say_what_they_stand_for() {
    let results = realistic(SuiteKind::Smoke, 5);
    let of = |which| explained(which, target::find("figure4").unwrap(), &results).1;
    let (methods, datasets) = (results.suite.methods.len(), results.suite.datasets.len());
    let curves = of(Four);
    assert_eq!(curves.len(), methods * datasets * results.suite.ratios.len());
    assert_eq!(of(GapBars).len(), methods * datasets);
    for spot in curves.iter().chain(&of(GapBars)) {
        let Spot { left, top, width, height, words } = spot;
        assert!(*left >= 0.0 && *top >= 0.0 && left + width <= 100.0 && top + height <= 100.0, "{spot:?}");
        assert!(words.contains("5 seeds; 95 % interval "), "{words}");
    }
    let number = results.number("emoji-words", "balgrad", crate::report::results::Quantity::MissingGap, Some(0.4));
    let expected = format!("BalGrad, r = 0.4: {}", words::number(number.unwrap()).unwrap());
    assert!(curves.iter().any(|spot| spot.words == expected), "{expected}: {curves:?}");
    let losses =
        explained(Six, target::find("figure6").unwrap(), &self::of(&ablation(SuiteKind::Smoke), &["balgrad"])).1;
    assert!(losses[0].words.starts_with("BalGrad, image, epoch 1: ") && losses[0].words.contains(" ± "), "{losses:?}");
    let nothing = collect(description(SuiteKind::Smoke, &[1, 2]), &[]).unwrap();
    assert_eq!(explained(Four, target::find("figure4").unwrap(), &nothing).1, []);
}
