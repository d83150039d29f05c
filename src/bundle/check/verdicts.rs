//! Verdicts on the paper's claims, judged again from the bundle's results.

use anyhow::Context;

use super::super::unpack::Bundle;
use super::finding::Check;
use crate::publication::record::Provenance;
use crate::report::claims::{self, Claims};
use crate::report::reference::Reference;
use crate::report::results::Results;

/// Compares the bundle's `claims.json` and `claims.md` with verdicts that follow from its results; `None` if it has none.
///
/// # Errors
/// If a file cannot be read.
pub(super) fn verdicts(bundle: &Bundle, provenance: &Provenance) -> anyhow::Result<Option<Check>> {
    let mut check = Check::new("verdicts on claims against what is judged again from the results");
    let judged = ["claims.json", "claims.md"].map(|name| (name, bundle.member(&format!("out/{name}"))));
    if judged.iter().all(|(_, path)| path.is_none()) {
        return Ok(None);
    }
    let again = match judge(bundle) {
        Ok(again) => again,
        Err(error) => {
            check.differs_here(provenance, format!("the claims cannot be judged again: {error:#}"));
            return Ok(Some(check));
        }
    };
    for ((name, path), expected) in judged.into_iter().zip(again) {
        check.examined += 1;
        let found = path.map(std::fs::read).transpose().with_context(|| format!("cannot read out/{name}"))?;
        if found.as_ref() != Some(&expected) {
            check.differs_here(provenance, format!("`out/{name}` differs when it is judged again"));
        }
    }
    Ok(Some(check))
}

/// The expected content of `claims.json` and `claims.md`.
fn judge(bundle: &Bundle) -> anyhow::Result<[Vec<u8>; 2]> {
    let experiments = bundle.project().join("experiments");
    let path = bundle.member("out/results.json").context("`out/results.json` is missing or damaged")?;
    let results: Results = serde_json::from_slice(&std::fs::read(path)?).context("`out/results.json` is malformed")?;
    claims::judge(&Claims::load(&experiments)?, &results, &Reference::load(&experiments)?)?.files()
}
