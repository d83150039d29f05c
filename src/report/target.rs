//! The tables and figures that can be rendered.

use crate::errors;

/// A table or figure of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// As experiment files write it; its files have this name.
    pub name: &'static str,
    /// What it shows, in one line.
    pub meaning: &'static str,
    pub methods: Methods,
    pub kind: Kind,
}

/// What a target is; it decides on the formats. How it is made is known to [`super::render`] alone, so that a program that
/// only plans does without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Table(Table),
    Figure(Figure),
}

/// The tables, by their numbers in the paper. Templates write them.
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

/// How many methods a target shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    /// One or more.
    Any,
    /// As many as there are parts, which say what each one is.
    Parts(&'static [&'static str]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "table1",
        meaning: "scores with full, missing and noisy modalities",
        methods: Methods::Any,
        kind: Kind::Table(Table::One),
    },
    Target {
        name: "table2",
        meaning: "the ablation: scores with full and missing modalities",
        methods: Methods::Any,
        kind: Kind::Table(Table::Two),
    },
    Target {
        name: "table3",
        meaning: "conflicting gradients and missing ΔGap",
        methods: Methods::Parts(&["without projection", "with projection"]),
        kind: Kind::Table(Table::Three),
    },
    Target {
        name: "table4",
        meaning: "scores with full and missing modalities on one more dataset",
        methods: Methods::Any,
        kind: Kind::Table(Table::Four),
    },
    Target {
        name: "table5",
        meaning: "scores with full and missing modalities on one more dataset",
        methods: Methods::Any,
        kind: Kind::Table(Table::Five),
    },
    Target {
        name: "figure2",
        meaning: "scores of each modality alone, and the losses per modality",
        methods: Methods::Parts(&["the method shown"]),
        kind: Kind::Figure(Figure::Two),
    },
    Target {
        name: "figure4",
        meaning: "ΔGap against the missing ratio",
        methods: Methods::Any,
        kind: Kind::Figure(Figure::Four),
    },
    Target {
        name: "figure5",
        meaning: "missing ΔGap with an encoder pair that was trained on both modalities",
        methods: Methods::Any,
        kind: Kind::Figure(Figure::GapBars),
    },
    Target {
        name: "figure6",
        meaning: "losses per modality",
        methods: Methods::Parts(&["without reweighting", "with reweighting"]),
        kind: Kind::Figure(Figure::Six),
    },
    Target {
        name: "figure7",
        meaning: "cosines between the gradients of image and text",
        methods: Methods::Parts(&["without projection", "with projection"]),
        kind: Kind::Figure(Figure::Seven),
    },
    Target {
        name: "figure8",
        meaning: "missing ΔGap with other fusions",
        methods: Methods::Any,
        kind: Kind::Figure(Figure::GapBars),
    },
    Target {
        name: "figure9",
        meaning: "missing ΔGap with other encoders",
        methods: Methods::Any,
        kind: Kind::Figure(Figure::GapBars),
    },
];

/// The target of a name.
///
/// # Errors
/// A usage error with the nearest name, or all names.
pub fn find(name: &str) -> anyhow::Result<&'static Target> {
    let names = || TARGETS.iter().map(|target| target.name);
    TARGETS.iter().find(|target| target.name == name).ok_or_else(|| {
        let known = names().collect::<Vec<_>>().join(", ");
        let hint = match errors::nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`? Known: {known}"),
            None => format!("known: {known}"),
        };
        errors::usage(format!("there is no table or figure `{name}`"), hint)
    })
}

impl Target {
    /// Checks a list of methods by its length.
    ///
    /// # Errors
    /// A usage error that says how many there should be and what each one is.
    pub fn check(&self, methods: &[String]) -> anyhow::Result<()> {
        let (fits, expected) = match self.methods {
            Methods::Any => (!methods.is_empty(), "at least one method".to_owned()),
            Methods::Parts(&[only]) => (methods.len() == 1, format!("exactly one method ({only})")),
            Methods::Parts(parts) => {
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
            format!("name them below its `target`: methods = [{}]", vec!["\"…\""; self.parts().max(1)].join(", ")),
        ))
    }

    fn parts(&self) -> usize {
        match self.methods {
            Methods::Any => 0,
            Methods::Parts(parts) => parts.len(),
        }
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
        assert!(errors::hint_of(&find("histogram").unwrap_err()).unwrap().starts_with("known: table1, table2"));
    }
}
