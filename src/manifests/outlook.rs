//! What would keep downloads from working, found before anything is tried: for `seesaw doctor`.

use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use reqwest::Url;

use super::context::{Patience, hub};
use super::{Manifest, Source, request};
use crate::errors;

/// How long a proxy may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks at the certificates of this machine, the proxy to the model hub, and the files that a person put in place. Downloads
/// nothing.
///
/// # Returns
/// An error for each problem, with a hint.
pub fn problems(manifests: &[Manifest], manual_folders: &[PathBuf]) -> Vec<anyhow::Error> {
    let sources = manifests.iter().flat_map(|manifest| &manifest.archives).flat_map(|archive| &archive.sources);
    let in_place = sources.filter_map(|source| match source {
        Source::Manual(manual) => manual.look(manual_folders).err(),
        _ => None,
    });
    let hub = hub();
    let connection = hub.url().with_context(|| format!("HF_ENDPOINT: {hub}")).and_then(|url| connection(&url));
    connection.err().into_iter().chain(in_place).collect()
}

/// Whether this machine can start a connection to an address: it has certificates, and the proxy on the way answers.
fn connection(url: &Url) -> anyhow::Result<()> {
    request::client(url, &Patience::default())?;
    let Some((name, proxy)) = request::proxy_of(url) else { return Ok(()) };
    let reached = || {
        // 1080 is the port of SOCKS.
        let places = proxy.url()?.socket_addrs(|| Some(1080)).context("its name was not found")?;
        let place = places.first().context("it has no address")?;
        TcpStream::connect_timeout(place, PATIENCE)?;
        anyhow::Ok(())
    };
    reached().map_err(|error| {
        let message = format!("the proxy {proxy} of {name} does not answer: {error:#}");
        errors::failed(message, format!("check that the proxy in {name} works, or unset {name}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::model;
    use super::*;

    fn manifest(file: &str) -> Manifest {
        let manual = json!({ "type": "manual", "accept": "Accept", "url": "https://example.org", "file": file });
        Manifest::parse("m", model("m", "memes.zip", &manual).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let problems = |file| {
            let errors = problems(&[manifest(file)], &[folder.path().to_owned()]);
            errors.iter().map(ToString::to_string).filter(|text| text.contains(file)).collect::<Vec<_>>()
        };
        assert_eq!(problems("memes.zip"), [""; 0]);
        std::os::unix::fs::symlink("/not/mounted", folder.path().join("memes.zip")).unwrap();
        let found = problems("memes.zip");
        assert!(found.len() == 1 && found[0].contains("/not/mounted"), "{found:?}");
    }
}
