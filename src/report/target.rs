//! The tables and figures that can be rendered.

use crate::errors;

/// A table or figure of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name in experiment files, and the name of its files.
    pub name: &'static str,
    /// What it shows, in one line.
    pub meaning: &'static str,
    /// What each of its methods is; empty if it shows any number of methods.
    pub parts: Parts,
    pub kind: Kind,
}

/// What a target is, which decides on its formats. Only [`super::render`] knows how to make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Table(Table),
    Figure(Figure),
}

/// The tables, by their numbers in the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    One,
    Two,
    Three,
    Four,
    Five,
}

/// The figures, by their numbers in the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    Two,
    Four,
    /// Figures 5, 8 and 9 show the same quantity, for other encoders and fusions.
    GapBars,
    Six,
    Seven,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    table("table1", "scores with full, missing and noisy modalities", Table::One, &[]),
    table("table2", "the ablation: scores with full and missing modalities", Table::Two, &[]),
    table("table3", "conflicting gradients and missing ΔGap", Table::Three, &["without projection", "with projection"]),
    table("table4", "scores with full and missing modalities on one more dataset", Table::Four, &[]),
    table("table5", "scores with full and missing modalities on one more dataset", Table::Five, &[]),
    figure("figure2", "scores of each modality alone, and the losses per modality", Figure::Two, &["the method shown"]),
    figure("figure4", "ΔGap against the missing ratio", Figure::Four, &[]),
    figure("figure5", "missing ΔGap with an encoder pair that was trained on both modalities", Figure::GapBars, &[]),
    figure("figure6", "losses per modality", Figure::Six, &["without reweighting", "with reweighting"]),
    figure(
        "figure7",
        "cosines between the gradients of image and text",
        Figure::Seven,
        &["without projection", "with projection"],
    ),
    figure("figure8", "missing ΔGap with other fusions", Figure::GapBars, &[]),
    figure("figure9", "missing ΔGap with other encoders", Figure::GapBars, &[]),
];

type Parts = &'static [&'static str];

const fn table(name: &'static str, meaning: &'static str, which: Table, parts: Parts) -> Target {
    Target { name, meaning, parts, kind: Kind::Table(which) }
}

const fn figure(name: &'static str, meaning: &'static str, which: Figure, parts: Parts) -> Target {
    Target { name, meaning, parts, kind: Kind::Figure(which) }
}

/// Finds a target by its name.
///
/// # Errors
/// A usage error that lists the known names, with the nearest one first.
pub fn find(name: &str) -> anyhow::Result<&'static Target> {
    TARGETS.iter().find(|target| target.name == name).ok_or_else(|| {
        let names = || TARGETS.iter().map(|target| target.name);
        // For another number of a table, the tables alone.
        let alike: Vec<&str> = names().filter(|known| errors::letters(known) == errors::letters(name)).collect();
        let known = if alike.is_empty() { names().collect() } else { alike };
        errors::unknown(format!("there is no table or figure `{name}`"), name, known)
    })
}

impl Target {
    /// Checks the number of methods.
    ///
    /// # Errors
    /// A usage error that says how many methods the target shows, and what each one is.
    pub fn check(&self, methods: &[String]) -> anyhow::Result<()> {
        let (fits, expected) = match self.parts {
            [] => (!methods.is_empty(), "at least one method".to_owned()),
            [only] => (methods.len() == 1, format!("exactly one method ({only})")),
            parts => {
                let listed: Vec<String> = (1..).zip(parts).map(|(at, part)| format!("{at}. {part}")).collect();
                (methods.len() == parts.len(), format!("exactly {} methods ({})", parts.len(), listed.join(", ")))
            }
        };
        if fits {
            return Ok(());
        }
        let found = match methods {
            [] => "none".to_owned(),
            some => format!("{}: {}", some.len(), some.join(", ")),
        };
        let target = self.name;
        Err(errors::usage(
            format!("`{target}` shows {expected}, found {found}"),
            format!("name them below its `target`: methods = [{}]", vec!["\"…\""; self.parts.len().max(1)].join(", ")),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_takes_as_many_methods_as_it_has_parts() {
        let check = |target: &str, methods: &[&str]| {
            let methods: Vec<String> = methods.iter().map(ToString::to_string).collect();
            find(target).unwrap().check(&methods).map_err(|error| error.to_string())
        };
        for (target, methods) in [("table1", &["a"][..]), ("table2", &["a", "b", "c"]), ("figure2", &["a"])] {
            check(target, methods).unwrap();
        }
        for target in ["table3", "figure6", "figure7"] {
            check(target, &["a", "b"]).unwrap();
            for wrong in [&[][..], &["a"], &["a", "b", "c"]] {
                check(target, wrong).unwrap_err();
            }
        }
        assert_eq!(check("table1", &[]).unwrap_err(), "`table1` shows at least one method, found none");
        assert_eq!(
            check("figure2", &["a", "b"]).unwrap_err(),
            "`figure2` shows exactly one method (the method shown), found 2: a, b"
        );
        assert_eq!(
            check("table3", &["a"]).unwrap_err(),
            "`table3` shows exactly 2 methods (1. without projection, 2. with projection), found 1: a"
        );
    }

    #[test]
    fn an_unknown_target_gets_a_near_name() {
        let error = find("tabel1").unwrap_err();
        assert_eq!(error.to_string(), "there is no table or figure `tabel1`");
        assert!(errors::hint_of(&error).unwrap().starts_with("did you mean `table1`?"));
        assert!(errors::hint_of(&find("histogram").unwrap_err()).unwrap().starts_with("Known: table1, table2"));
    }
}
