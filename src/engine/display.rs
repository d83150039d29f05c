//! Shows the progress of a run: bars on a terminal, plain lines in a log.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::graph::NodeId;
use super::run::Observer;
use crate::progress::{Progress, Unit, plain, say};
use crate::steps::{Absence, Status};
use crate::store::Action;

/// How much to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bars if standard error is a terminal, lines otherwise.
    Automatic,
    /// Lines, even on a terminal.
    Lines,
    /// Only warnings, failures and unavailable data.
    Quiet,
}

/// Shows a run on standard error.
pub struct Display {
    bars: Option<Bars>,
    quiet: bool,
    total: u64,
    ended: AtomicU64,
    labels: Mutex<BTreeMap<NodeId, (String, Option<ProgressBar>)>>,
    /// The cause → the number of steps that were not run because of it.
    not_run: Mutex<BTreeMap<String, usize>>,
}

struct Bars {
    all: MultiProgress,
    steps: ProgressBar,
}

impl Display {
    /// For a run of `total` steps.
    pub fn new(total: usize, style: Style) -> Self {
        let terminal = style == Style::Automatic && std::io::stderr().is_terminal();
        let all = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        // On a terminal without a cursor, such as `TERM=dumb`, nothing would be shown at all.
        let bars = all.filter(|all| !all.is_hidden()).map(|all| {
            let steps =
                all.add(ProgressBar::new(total as u64).with_style(style_of("{bar:30} {pos}/{len} steps  {elapsed}")));
            steps.enable_steady_tick(Duration::from_millis(250));
            Bars { all, steps }
        });
        Display {
            bars,
            quiet: style == Style::Quiet,
            total: total as u64,
            ended: AtomicU64::new(0),
            labels: Mutex::default(),
            not_run: Mutex::default(),
        }
    }

    /// Removes the bars, and prints a line for each cause why steps were not run.
    pub fn finish(&self) {
        for (cause, steps) in locked(&self.not_run).iter() {
            let plural = if *steps == 1 { "" } else { "s" };
            self.line(&format!("not run: {steps} step{plural}, because {cause}"));
        }
        if let Some(bars) = &self.bars {
            bars.steps.finish_and_clear();
            let _ = bars.all.clear();
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => drop(bars.all.println(plain(text))),
            None => say(text),
        }
    }

    /// Removes a step's bar. Returns the number of steps that ended so far, and the step's label.
    fn end(&self, id: NodeId) -> (u64, String) {
        let known = locked(&self.labels).remove(&id);
        let (label, bar) = known.unwrap_or_default();
        bar.iter().for_each(ProgressBar::finish_and_clear);
        if let Some(bars) = &self.bars {
            bars.steps.inc(1);
        }
        (self.ended.fetch_add(1, Ordering::Relaxed) + 1, label)
    }
}

/// Locks what no thread leaves half-changed, even if one panicked meanwhile.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn style_of(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is ours").progress_chars("━╸ ")
}

impl Observer for Display {
    fn started(&self, id: NodeId, label: &str) -> Arc<dyn Progress> {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.all.insert_before(&bars.steps, ProgressBar::new_spinner());
            bar.set_style(style_of("{spinner} {msg}  {elapsed}"));
            bar.set_message(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        locked(&self.labels).insert(id, (label.to_owned(), bar.clone()));
        match (bar, &self.bars) {
            (Some(bar), Some(bars)) => Arc::new(Bar { bar, label: label.to_owned(), all: bars.all.clone() }),
            _ => Arc::new(Lines {
                label: label.to_owned(),
                quiet: self.quiet,
                state: Mutex::new(LineState { done: 0, total: None, unit: Unit::Epochs, shown: Instant::now() }),
            }),
        }
    }

    fn computed(&self, id: NodeId, action: &Action) {
        let (n, label) = self.end(id);
        if !self.quiet {
            let width = self.total.to_string().len();
            self.line(&format!("[{n:>width$}/{}] {label}  {}", self.total, seconds(action.seconds)));
        }
    }

    fn kept(&self, id: NodeId) {
        // The total does not count steps that were done before the run.
        if locked(&self.labels).contains_key(&id) {
            self.end(id);
        }
    }

    fn absent(&self, id: NodeId, label: &str, absence: &Absence) {
        self.end(id);
        match absence.status {
            Status::Failed => self.line(&format!("error: {label} failed: {}", absence.with_hint())),
            Status::Unavailable => self.line(&format!("unavailable: {label}: {}", absence.with_hint())),
            Status::NotRun if self.quiet => {}
            Status::NotRun => {
                *locked(&self.not_run).entry(absence.to_string()).or_default() += 1;
            }
        }
    }

    fn stopped(&self, id: NodeId) {
        if let Some((_, Some(bar))) = locked(&self.labels).remove(&id) {
            bar.finish_and_clear();
        }
    }

    fn warned(&self, message: &str) {
        self.line(&format!("warning: {message}"));
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
    label: String,
    all: MultiProgress,
}

impl Progress for Bar {
    fn begin(&self, total: Option<u64>, unit: Unit) {
        self.bar.set_position(0);
        let counts = match unit {
            Unit::Bytes => "{binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left".to_owned(),
            unit => format!("{{pos}}/{{len}} {} {{per_sec}} {{eta}} left", name(unit)),
        };
        match total {
            Some(total) => {
                self.bar.set_length(total);
                self.bar.set_style(style_of(&format!("{{bar:30}} {{msg}}  {counts}")));
            }
            None => self.bar.set_style(style_of("{spinner} {msg}  {pos} {elapsed}")),
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

/// The progress of a step in a log: a line every ten seconds.
struct Lines {
    label: String,
    quiet: bool,
    state: Mutex<LineState>,
}

struct LineState {
    done: u64,
    total: Option<u64>,
    unit: Unit,
    shown: Instant,
}

const BETWEEN_LINES: Duration = Duration::from_secs(10);

impl Progress for Lines {
    fn begin(&self, total: Option<u64>, unit: Unit) {
        *locked(&self.state) = LineState { done: 0, total, unit, shown: Instant::now() };
    }

    fn advance(&self, n: u64) {
        let mut state = locked(&self.state);
        state.done += n;
        if !self.quiet && state.shown.elapsed() >= BETWEEN_LINES {
            state.shown = Instant::now();
            let total = state.total.map(|total| format!(" of {total}")).unwrap_or_default();
            say(format_args!("{}: {}{total} {}", self.label, state.done, name(state.unit)));
        }
    }

    fn note(&self, message: &str) {
        if !self.quiet {
            say(format_args!("{}: {message}", self.label));
        }
    }
}
