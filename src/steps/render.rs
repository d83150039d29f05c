//! Renders one table or figure from a suite's results.

use super::job::{Job, Outputs};
use super::kind::Describe;
use crate::digest::Digest;
use crate::report;
use crate::report::render::{formats, render, template_digests};
use crate::report::results::Results;
use crate::report::target::Target;
use crate::report::templates::Templates;
use crate::store::{Ingredients, Value};

/// Renders the input `results` as a table or figure. One output per format, named after it.
#[derive(Clone, Debug)]
pub struct Render {
    pub target: &'static Target,
    pub templates: Templates,
    /// File name and content of each template when the plan was made.
    pub digests: Vec<(String, Digest)>,
}

impl Describe for Render {
    fn label(&self) -> String {
        format!("render {}", self.target.name)
    }

    fn ingredients(&self, list: &mut Ingredients) {
        // Templates are in the key by content, not by folder.
        let Render { target, templates: _, digests } = self;
        list.natural("report's recipe", report::RECIPE);
        list.text("target", target.name);
        let pair =
            |(name, digest): &(String, Digest)| Value::List(vec![Value::Text(name.clone()), Value::Digest(*digest)]);
        list.list("templates", digests.iter().map(pair).collect());
    }
}

impl Render {
    pub(super) fn compute(&self, job: &Job) -> anyhow::Result<Outputs> {
        // The key holds the templates as they were when the run began.
        anyhow::ensure!(
            template_digests(self.target, &self.templates)? == self.digests,
            "a template of {} changed during the run; run the same command again",
            self.target.name
        );
        let results = job.read_json::<Results>("results")?;
        let rendered = render(self.target, &results, &self.templates)?;
        let outputs: Outputs =
            rendered.into_iter().map(|(format, bytes)| job.write(format, &bytes)).collect::<anyhow::Result<_>>()?;
        anyhow::ensure!(
            outputs.len() == formats(self.target).len(),
            "a format of {} was not rendered",
            self.target.name
        );
        Ok(outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::target;

    /// The content of each template is part of the key.
    #[test]
    fn the_key_holds_templates() {
        let render = |target: &str, template: &[u8]| {
            let mut list = Ingredients::default();
            let step = Render {
                target: target::find(target).unwrap(),
                templates: Templates(Vec::new()),
                digests: vec![("shared.md.j2".into(), Digest::of(template))],
            };
            step.ingredients(&mut list);
            list
        };
        let first = render("table2", b"a");
        assert_eq!(first, render("table2", b"a"));
        for other in [render("table2", b"b"), render("table1", b"a")] {
            assert_ne!(first, other);
        }
    }
}
