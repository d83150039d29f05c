//! `seesaw explain STEP`

use std::process::ExitCode;

use super::context::{Global, OfSuite, show};
use crate::engine::devices::Devices;
use crate::engine::explain::Explanation;
use crate::engine::graph::{Graph, NodeId};
use crate::engine::survey::State;
use crate::errors;
use crate::interrupt::Interrupt;
use crate::planning::project::Planned;
use crate::publication::Run;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The step: its name from `seesaw plan`, or the beginning of its key
    #[arg(required = true, num_args = 1..)]
    step: Vec<String>,
    #[command(flatten)]
    of: OfSuite,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(global: &Global, args: &Args, devices: Devices) -> anyhow::Result<ExitCode> {
    let Run { engine, planned: Planned { suite, graph, .. }, project } =
        Run::open(&global.options, &args.of.suite, devices, Interrupt::default())?;
    let wanted = args.step.join(" ");
    let by_key = || {
        let short = wanted.len() >= 6 && wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
        let has_key = |state: &State| state.key().is_some_and(|key| key.to_string().starts_with(&wanted));
        short.then(|| engine.survey(&graph).iter().position(has_key).map(NodeId)).flatten()
    };
    let found = graph.find(&wanted).or_else(by_key).or_else(|| graph.find(&with_seed(&wanted)?));
    let id = found.ok_or_else(|| unknown(&graph, &wanted, &suite.name, &project.command("plan", &suite)))?;
    let explanation = engine.explain(&graph, id);
    let json = serde_json::json!({
        "step": explanation.label,
        "verdict": explanation.verdict,
        "key": explanation.ingredients.as_ref().map(|list| list.key()),
        "ingredients": explanation.ingredients,
        "computed_by": explanation.computed_by,
    });
    show(args.json, &json, || text(&explanation))?;
    Ok(ExitCode::SUCCESS)
}

fn text(explanation: &Explanation) -> String {
    let mut text = format!("{}\n  {}\n", explanation.label, explanation.verdict);
    if let Some(processor) = &explanation.computed_by {
        text += &format!("  computed with {processor}\n");
    }
    if let Some(list) = &explanation.ingredients {
        text += &format!("  key {}\n", list.key());
        list.0.iter().for_each(|ingredient| text += &format!("    {:<36} {}\n", ingredient.name, ingredient.value));
    }
    text
}

/// `train food101 balgrad 1` is as good as `train food101 balgrad seed 1`.
fn with_seed(wanted: &str) -> Option<String> {
    let (cell, seed) = wanted.rsplit_once(' ')?;
    (seed.parse::<u64>().is_ok() && !cell.ends_with(" seed")).then(|| format!("{cell} seed {seed}"))
}

fn unknown(graph: &Graph, wanted: &str, suite: &str, plan: &str) -> anyhow::Error {
    let words: Vec<&str> = wanted.split_whitespace().collect();
    let score = |label: &str| words.iter().filter(|word| label.contains(**word)).count();
    let mut near: Vec<String> = graph.labels().collect();
    near.sort_by_key(|label| std::cmp::Reverse(score(label)));
    let typo = errors::nearest(with_seed(wanted).as_deref().unwrap_or(wanted), near.iter().map(String::as_str));
    let meant = typo.map_or_else(String::new, |typo| format!("did you mean `{typo}`? "));
    near.truncate(3);
    errors::usage(
        format!("the suite `{suite}` has no step `{wanted}`"),
        format!("{meant}Run `{plan} --all` to list them; similar: {}", near.join("; ")),
    )
}
