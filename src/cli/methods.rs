//! `seesaw methods [NAME…]`

use std::process::ExitCode;

use serde::Serialize;

use super::context::show;
use crate::errors;
use crate::methods::{NAMES, Named, OptionDescription, named};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The methods to list [default: all]
    names: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A method, for scripts.
#[derive(Serialize)]
struct Method {
    name: &'static str,
    title: &'static str,
    citation: &'static str,
    /// The method that it is a variant of.
    method: &'static str,
    options: Vec<MethodOption>,
}

#[derive(Serialize)]
struct MethodOption {
    #[serde(flatten)]
    description: OptionDescription,
    /// In TOML; `None`: not set.
    default: Option<String>,
    /// Whether the variant sets it.
    fixed: bool,
}

pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let chosen: Vec<&Named> = match args.names.is_empty() {
        true => NAMES.iter().collect(),
        false => {
            let unknown = |name: &str| {
                errors::unknown(format!("there is no method `{name}`"), name, NAMES.iter().map(|named| named.name))
            };
            args.names.iter().map(|name| named(name).ok_or_else(|| unknown(name))).collect::<anyhow::Result<_>>()?
        }
    };
    let methods: Vec<Method> = chosen.into_iter().map(describe).collect();
    show(args.json, &methods, || methods.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn describe(named: &Named) -> Method {
    let option = |description: &OptionDescription| MethodOption {
        description: *description,
        default: Some(named.default_value(description.name)).filter(|value| !value.is_empty()),
        fixed: named.fixed.iter().any(|(fixed, _)| *fixed == description.name),
    };
    Method {
        name: named.name,
        title: named.title,
        citation: named.citation,
        method: named.method,
        options: named.options.iter().map(option).collect(),
    }
}

fn text(method: &Method) -> String {
    let mut text = format!("{} ({})\n  {}\n", method.name, method.title, method.citation);
    for MethodOption { description, default, fixed } in &method.options {
        if method.method != method.name && !fixed {
            continue;
        }
        let value = default.as_deref().unwrap_or("not set");
        let setting = format!("{} = {value}", description.name);
        let values = if *fixed { "fixed".to_owned() } else { description.values.to_owned() };
        text += &format!("  {setting:<32} {}  [{values}]\n", description.meaning);
    }
    if method.method != method.name {
        text += &format!("  the other options are those of {}\n", method.method);
    }
    text
}
