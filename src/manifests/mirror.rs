//! A mirror: a server with archives, and with manifests that describe them.
//!
//! `GET MIRROR/manifests.json` answers with a JSON list of manifests, whose addresses may be relative to that of the mirror.
//! Each replaces the manifest of the same name, hashes included. Since the mirror alone says what the data are, everything
//! that is computed from it is labelled a trial.

use anyhow::Context;
use reqwest::Url;
use serde_json::Value;

use super::context::Patience;
use super::request::{self, Answer};
use super::{Manifest, check_together};
use crate::errors;
use crate::interrupt::Interrupt;
use crate::network::{self, Address};

/// The largest list of manifests, in bytes.
const MOST_BYTES: usize = 4 << 20;

/// Replaces manifests by those of the mirror with the same names.
///
/// # Errors
/// If the mirror does not answer, or its manifests are malformed; names the address and the field.
pub fn overlay(manifests: &mut Vec<Manifest>, mirror: &Address, interrupt: &Interrupt) -> anyhow::Result<()> {
    let hint = "check that the mirror is running and serves `manifests.json`, as described in data-manifests/README.md";
    let wrong = |error: anyhow::Error| match errors::class_of(&error) {
        errors::Class::Interrupted => error,
        _ => errors::usage(format!("the mirror {mirror}: {error:#}"), hint),
    };
    for manifest in load(mirror, interrupt).map_err(wrong)? {
        manifests.retain(|known| known.name != manifest.name);
        manifests.push(manifest);
    }
    manifests.sort_by(|a, b| a.name.cmp(&b.name));
    check_together(manifests)
}

fn load(mirror: &Address, interrupt: &Interrupt) -> anyhow::Result<Vec<Manifest>> {
    let base = mirror.url()?;
    let client = request::client(&base, &Patience::default())?;
    let answer = Answer::to(client.get(base.join("manifests.json")?), interrupt);
    let head = answer.head().map_err(request::Failure::into_error)?;
    anyhow::ensure!(head.status.is_success(), "requested manifests.json, the server answered {}", head.status);
    let mut text = Vec::new();
    while let Some(bytes) = answer.bytes().map_err(request::Failure::into_error)? {
        text.extend(bytes);
        anyhow::ensure!(text.len() <= MOST_BYTES, "manifests.json is longer than {MOST_BYTES} bytes");
    }
    let list: Vec<Value> = serde_json::from_slice(&text).context("manifests.json")?;
    // Without user and password, which would otherwise be part of keys.
    let base = Url::parse(&network::shown(&base))?;
    list.into_iter().map(|manifest| resolved(manifest, &base)).collect()
}

/// Makes the addresses of a manifest absolute, and parses it.
fn resolved(mut manifest: Value, base: &Url) -> anyhow::Result<Manifest> {
    let name = manifest["name"].as_str().context("manifests.json: `name` should be text")?.to_owned();
    for archive in manifest["archives"].as_array_mut().into_iter().flatten() {
        for source in archive["sources"].as_array_mut().into_iter().flatten() {
            for url in source["urls"].as_array_mut().into_iter().flatten() {
                if let Some(text) = url.as_str() {
                    *url = base
                        .join(text)
                        .with_context(|| format!("{name}: {text:?} is not an address"))?
                        .to_string()
                        .into();
                }
            }
        }
    }
    Manifest::parse(&name, manifest.to_string().as_bytes()).with_context(|| format!("manifests.json: {name}"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::model;
    use super::*;

    #[test]
    fn addresses_are_those_of_the_mirror() {
        let https = serde_json::json!({ "type": "https", "urls": ["archives/a.bin", "https://example.org/a.bin"] });
        let base = Url::parse("http://127.0.0.1:8000/some/").unwrap();
        let read = resolved(model("m", "a.bin", &https), &base).unwrap();
        let expected = ["http://127.0.0.1:8000/some/archives/a.bin", "https://example.org/a.bin"];
        assert!(matches!(&read.archives[0].sources[0], super::super::Source::Https { urls } if urls == &expected));
    }

    #[test]
    fn a_missing_mirror_is_a_usage_error() {
        let error = overlay(&mut Vec::new(), &Address::from("http://127.0.0.1:9"), &Interrupt::default()).unwrap_err();
        assert_eq!(errors::class_of(&error), errors::Class::Usage);
        assert!(error.to_string().starts_with("the mirror http://127.0.0.1:9: "), "{error}");
        let error = overlay(&mut Vec::new(), &Address::from("http://example.org"), &Interrupt::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("should begin with https://"), "{error}");
    }
}
