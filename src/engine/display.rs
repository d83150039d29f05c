//! Shows the progress of a run: bars on a terminal, plain lines in a log.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::graph::{Graph, NodeId};
use super::run::Observer;
use crate::progress::{Progress, Unit, Word, message, plain, say, tell};
use crate::steps::{Absence, Kind, Status};
use crate::store::Brief;

/// How much to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Each kind of step: a bar if standard error is a terminal, otherwise a line when it ends, and one every ten seconds.
    Automatic,
    /// A line for each step as well.
    Verbose,
    /// Only warnings, failures and unavailable data.
    Quiet,
}

/// Shows a run on standard error.
pub struct Display {
    bars: Option<Bars>,
    style: Style,
    /// The kind of each step of the graph.
    kinds: Vec<Kind>,
    tallies: Arc<Tallies>,
    labels: Mutex<BTreeMap<NodeId, (String, Option<ProgressBar>)>>,
    /// The hints that were given; the same one is not given twice.
    hints: Mutex<BTreeSet<String>>,
    /// The number of steps that were not run because others failed or are unavailable.
    not_run: Mutex<usize>,
}

struct Bars {
    all: MultiProgress,
    look: Look,
    steps: ProgressBar,
    kinds: BTreeMap<Kind, ProgressBar>,
}

/// Where a run stands.
struct Tallies {
    /// The kinds with steps to do.
    kinds: Mutex<BTreeMap<Kind, Tally>>,
    began: Instant,
    /// When the last line about progress was written.
    shown: Mutex<Instant>,
}

/// Where the steps of a kind stand.
#[derive(Clone, Copy, Default)]
struct Tally {
    to_do: usize,
    ended: usize,
    computed: usize,
    /// What the computed ones took together.
    seconds: f64,
}

impl Display {
    /// For a run of these steps.
    pub fn new(graph: &Graph, to_do: &[NodeId], style: Style) -> Self {
        let mut tallies: BTreeMap<Kind, Tally> = BTreeMap::new();
        for id in to_do {
            tallies.entry(graph.node(*id).step.kind()).or_default().to_do += 1;
        }
        let terminal = style != Style::Quiet && !to_do.is_empty() && std::io::stderr().is_terminal();
        let all = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        // On a terminal without a cursor, such as `TERM=dumb`, nothing would be shown at all.
        let bars = all.filter(|all| !all.is_hidden()).map(|all| {
            let look = Look::here();
            let bar = |name: &'static str, length: usize, after: &str| {
                let style = look.line("bar", &format!("{{pos}}/{{len}}  {after}"));
                let bar = all.add(ProgressBar::new(length as u64).with_style(style).with_prefix(name));
                bar.enable_steady_tick(TICK);
                bar
            };
            let kinds = tallies.iter().map(|(kind, tally)| (*kind, bar(kind.name(), tally.to_do, ""))).collect();
            let steps = bar("all", to_do.len(), if look.is_narrow { "" } else { "{elapsed}  " });
            Bars { all, look, steps, kinds }
        });
        Display {
            bars,
            style,
            kinds: graph.ids().map(|id| graph.node(id).step.kind()).collect(),
            tallies: Arc::new(Tallies {
                kinds: Mutex::new(tallies),
                began: Instant::now(),
                shown: Mutex::new(Instant::now()),
            }),
            labels: Mutex::default(),
            hints: Mutex::default(),
            not_run: Mutex::default(),
        }
    }

    /// Removes the bars, and says how many steps were not run.
    pub fn finish(&self) {
        match *locked(&self.not_run) {
            0 => {}
            1 => self.line("not run: 1 step, which needs what failed or is unavailable"),
            steps => self.line(&format!("not run: {steps} steps, which need what failed or is unavailable")),
        }
        if let Some(bars) = &self.bars {
            bars.kinds.values().chain([&bars.steps]).for_each(ProgressBar::finish_and_clear);
            let _ = bars.all.clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => drop(bars.all.println(plain(text))),
            None => say(text),
        }
    }

    fn tell(&self, word: Word, text: &str) {
        match &self.bars {
            Some(bars) => drop(bars.all.println(message(word, text))),
            None => tell(word, text),
        }
    }

    /// Counts a step that ended, and shows it. `action` is its record if it was computed in this run.
    fn end(&self, id: NodeId, action: Option<&Brief>) {
        let (label, bar) = locked(&self.labels).remove(&id).unwrap_or_default();
        bar.iter().for_each(ProgressBar::finish_and_clear);
        let kind = self.kinds[id.0];
        let tally = self.tallies.end(kind, action);
        let count = self.tallies.count();
        if let (Style::Verbose, Some(action)) = (self.style, action) {
            self.line(&format!("{count} {label}  {}", seconds(action.seconds)));
        }
        if let Some(bars) = &self.bars {
            bars.steps.inc(1);
            bars.steps.set_message(self.tallies.left());
            if let Some(bar) = bars.kinds.get(&kind) {
                bar.inc(1);
                bar.set_message(tally.each());
            }
        } else if self.style == Style::Automatic {
            if tally.ended == tally.to_do && tally.computed > 0 {
                let steps = if tally.computed == 1 { "step" } else { "steps" };
                say(format_args!("{count} {}: {} {steps}, {}", kind.name(), tally.computed, seconds(tally.seconds)));
                self.tallies.is_due(true);
            } else if self.tallies.is_due(false) {
                say(self.tallies.now(""));
            }
        }
    }
}

impl Tallies {
    /// Counts a step that ended. `action` is its record if it was computed in this run. Returns where its kind stands.
    fn end(&self, kind: Kind, action: Option<&Brief>) -> Tally {
        let mut kinds = locked(&self.kinds);
        let tally = kinds.entry(kind).or_default();
        tally.ended += 1;
        // A damaged result may be computed again, which nobody planned.
        tally.to_do = tally.to_do.max(tally.ended);
        if let Some(action) = action {
            tally.computed += 1;
            tally.seconds += action.seconds;
        }
        *tally
    }

    /// The steps that ended, of all: `[ 12/497]`.
    fn count(&self) -> String {
        let kinds = locked(&self.kinds);
        let (ended, to_do) = kinds.values().fold((0, 0), |(ended, to_do), of| (ended + of.ended, to_do + of.to_do));
        format!("[{ended:>width$}/{to_do}]", width = to_do.to_string().len())
    }

    fn left(&self) -> String {
        left(&locked(&self.kinds), self.began.elapsed())
    }

    /// The kinds that have begun, the time that is left, and what a step does, unless it is empty:
    /// `[ 12/497] train 3 of 105; about 5 min left`.
    fn now(&self, step: &str) -> String {
        let begun = |kinds: &BTreeMap<Kind, Tally>| {
            let begun = kinds.iter().filter(|(_, of)| of.ended > 0 && of.ended < of.to_do);
            begun.map(|(kind, of)| format!("{} {} of {}", kind.name(), of.ended, of.to_do)).collect::<Vec<_>>()
        };
        let begun = begun(&locked(&self.kinds)).join(", ");
        let left = self.left();
        let parts: Vec<&str> =
            [begun.as_str(), left.as_str(), step].into_iter().filter(|part| !part.is_empty()).collect();
        format!("{} {}", self.count(), parts.join("; ")).trim_end().to_owned()
    }

    /// Whether the last line about progress was written long ago; then one is written now. `anyway`: one is written in any
    /// case.
    fn is_due(&self, anyway: bool) -> bool {
        let mut shown = locked(&self.shown);
        let due = anyway || shown.elapsed() >= BETWEEN_LINES;
        if due {
            *shown = Instant::now();
        }
        due
    }
}

impl Tally {
    /// The mean time of a computed step.
    fn each(&self) -> String {
        if self.computed == 0 {
            String::new()
        } else {
            format!("{} each", seconds(self.seconds / self.computed as f64))
        }
    }
}

/// The time that is left, from what the steps of each kind took so far, and how many ran at once.
fn left(tallies: &BTreeMap<Kind, Tally>, elapsed: Duration) -> String {
    let took: f64 = tallies.values().map(|tally| tally.seconds).sum();
    let at_once = took / elapsed.as_secs_f64();
    let open = || tallies.values().filter(|tally| tally.ended < tally.to_do);
    let known = || open().filter(|tally| tally.computed > 0);
    if known().next().is_none() || !(at_once.is_finite() && at_once > 0.0) {
        return String::new();
    }
    let time: f64 =
        known().map(|tally| tally.seconds / tally.computed as f64 * (tally.to_do - tally.ended) as f64).sum();
    let bound = if open().all(|tally| tally.computed > 0) { "about" } else { "at least" };
    format!("{bound} {} left", about(time / at_once))
}

/// Locks what no thread leaves half-changed, even if one panicked meanwhile.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often bars are drawn again.
const TICK: Duration = Duration::from_millis(250);

/// How lines of progress look on the terminal.
#[derive(Clone, Copy)]
struct Look {
    is_narrow: bool,
}

impl Look {
    fn here() -> Self {
        let columns = terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(columns, _)| columns.0);
        Look { is_narrow: columns < 80 }
    }

    /// A line with a name, a bar or a spinner, what follows, and a message. Too long a message is cut, so that the line stays
    /// one.
    fn line(self, meter: &str, rest: &str) -> ProgressStyle {
        let width = if self.is_narrow { 4 } else { 20 };
        let style = ProgressStyle::with_template(&format!("{{prefix:9}} {{{meter}:{width}}} {rest}{{wide_msg}}"));
        let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            // Nothing can be done if it cannot be written.
            let _ = write!(text, "{:.0}/s", state.per_sec());
        };
        style.expect("the template is ours").with_key("rate", rate).progress_chars("━╸ ")
    }
}

impl Observer for Display {
    fn started(&self, id: NodeId, label: &str) -> Arc<dyn Progress> {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.all.insert_before(&bars.steps, ProgressBar::new(0));
            bar.set_style(bars.look.line("spinner", "{elapsed}  "));
            bar.set_message(label.to_owned());
            bar.enable_steady_tick(TICK);
            bar
        });
        locked(&self.labels).insert(id, (label.to_owned(), bar.clone()));
        match (bar, &self.bars) {
            (Some(bar), Some(bars)) => {
                Arc::new(Bar { bar, look: bars.look, label: label.to_owned(), all: bars.all.clone() })
            }
            _ => Arc::new(Lines {
                label: label.to_owned(),
                quiet: self.style == Style::Quiet,
                state: Mutex::new(LineState { done: 0, total: None, unit: Unit::Epochs }),
                tallies: Arc::clone(&self.tallies),
            }),
        }
    }

    fn computed(&self, id: NodeId, action: &Brief) {
        self.end(id, Some(action));
    }

    fn kept(&self, id: NodeId) {
        // What is to do does not count steps that were done before the run.
        let began = locked(&self.labels).contains_key(&id);
        if began {
            self.end(id, None);
        }
    }

    fn absent(&self, id: NodeId, label: &str, absence: &Absence) {
        self.end(id, None);
        // The message of a download names its archive.
        let step = if self.kinds[id.0] == Kind::Fetch { String::new() } else { format!("{label} failed: ") };
        match absence.status {
            Status::Failed => self.tell(Word::Error, &format!("{step}{absence}")),
            Status::Unavailable => self.tell(Word::Unavailable, &absence.to_string()),
            Status::NotRun => {
                if self.style != Style::Quiet {
                    *locked(&self.not_run) += 1;
                }
                return;
            }
        }
        if let Some(hint) = &absence.hint
            && locked(&self.hints).insert(hint.clone())
        {
            self.tell(Word::Hint, hint);
        }
    }

    fn stopped(&self, id: NodeId) {
        if let Some((_, Some(bar))) = locked(&self.labels).remove(&id) {
            bar.finish_and_clear();
        }
    }

    fn warned(&self, message: &str) {
        self.tell(Word::Warning, message);
    }
}

/// A duration, rounded as an estimate should be.
pub fn about(time: f64) -> String {
    match time {
        time if time < 60.0 => format!("{time:.0} s"),
        time if time < 90.0 => seconds(time.round()),
        time if time < 90.0 * 60.0 => format!("{:.0} min", time / 60.0),
        time if time < 48.0 * 3600.0 => format!("{:.0} h", time / 3600.0),
        time => format!("{:.0} days", time / 86400.0),
    }
}

/// A duration as text: `3.2 s`, `2 min 5 s`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s => format!("{} min {} s", (s / 60.0) as u64, s as u64 % 60),
    }
}

struct Bar {
    bar: ProgressBar,
    look: Look,
    label: String,
    all: MultiProgress,
}

impl Progress for Bar {
    fn begin(&self, total: Option<u64>, unit: Unit) {
        self.bar.set_position(0);
        let (count, rate) = match unit {
            Unit::Bytes => ("{binary_bytes}/{binary_total_bytes}".to_owned(), " {binary_bytes_per_sec}"),
            unit => (format!("{{pos}}/{{len}} {}", name(unit)), " {rate}"),
        };
        let rate = if self.look.is_narrow { "" } else { rate };
        match total {
            Some(total) => {
                self.bar.set_length(total);
                self.bar.set_style(self.look.line("bar", &format!("{count}{rate}  ")));
            }
            None => self.bar.set_style(self.look.line("spinner", &format!("{{pos}} {}{rate}  ", name(unit)))),
        }
    }

    fn advance(&self, n: u64) {
        self.bar.inc(n);
    }

    fn note(&self, message: &str) {
        let _ = self.all.println(plain(&format!("{}: {message}", self.label)));
    }
}

fn name(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "bytes",
        Unit::Pictures => "pictures",
        Unit::Texts => "texts",
        Unit::Epochs => "epochs",
    }
}

/// The progress of a step in a log.
struct Lines {
    label: String,
    quiet: bool,
    state: Mutex<LineState>,
    tallies: Arc<Tallies>,
}

struct LineState {
    done: u64,
    total: Option<u64>,
    unit: Unit,
}

/// A log has at most one line about progress in this time, beside those of kinds of steps that ended.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

impl Progress for Lines {
    fn begin(&self, total: Option<u64>, unit: Unit) {
        *locked(&self.state) = LineState { done: 0, total, unit };
    }

    fn advance(&self, n: u64) {
        let mut state = locked(&self.state);
        state.done += n;
        if !self.quiet && self.tallies.is_due(false) {
            let total = state.total.map(|total| format!(" of {total}")).unwrap_or_default();
            let unit = name(state.unit);
            say(self.tallies.now(&format!("{}: {}{total} {unit}", self.label, state.done)));
        }
    }

    fn note(&self, message: &str) {
        if !self.quiet {
            say(format_args!("{}: {message}", self.label));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded() {
        assert_eq!(
            [0.0, 80.0, 100.0, 5000.0, 6000.0, 1e6].map(about),
            ["0 s", "1 min 20 s", "2 min", "83 min", "2 h", "12 days"]
        );
    }

    /// Two trainings at once; nobody knows yet what an evaluation takes.
    #[test]
    fn the_time_that_is_left_is_known_by_kind() {
        let train = Tally { to_do: 12, ended: 4, computed: 4, seconds: 80.0 };
        let evaluate = Tally { to_do: 12, ..Tally::default() };
        let mut tallies = BTreeMap::from([(Kind::Train, train)]);
        let elapsed = Duration::from_secs(40);
        assert_eq!(left(&tallies, elapsed), "about 1 min 20 s left");
        tallies.insert(Kind::Evaluate, evaluate);
        assert_eq!(left(&tallies, elapsed), "at least 1 min 20 s left");
        tallies.insert(Kind::Evaluate, Tally { ended: 12, computed: 2, seconds: 0.0, ..evaluate });
        assert_eq!(left(&tallies, elapsed), "about 1 min 20 s left");
        tallies.insert(Kind::Train, Tally { ended: 12, ..train });
        assert_eq!(left(&tallies, elapsed), "");
        tallies.insert(Kind::Evaluate, evaluate);
        assert_eq!(left(&tallies, elapsed), "", "nothing is known of what is left");
    }
}
