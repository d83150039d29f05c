//! The connection to a remote store, by the variables that the tools of each cloud read.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base64::Engine as _;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, Error, HeaderMap, HeaderValue, ObjectStore, ObjectStoreScheme,
    RetryConfig,
};
use reqwest::Url;

use super::place::{Place, Target};
use crate::{errors, files, network};

/// A store, and where in it the remote store lies.
pub(super) struct Connection {
    pub store: Arc<dyn ObjectStore>,
    pub prefix: Path,
    pub can_be_written: bool,
}

/// How long to wait: for a connection, for the next bytes, and in all, which large files need.
const PATIENCE: [(ClientConfigKey, &str); 3] = [
    (ClientConfigKey::ConnectTimeout, "10 seconds"),
    (ClientConfigKey::ReadTimeout, "30 seconds"),
    (ClientConfigKey::Timeout, "1 day"),
];

fn retries() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: 4, retry_timeout: Duration::from_secs(60) }
}

/// # Errors
/// A usage error if the place cannot be read, or the variables for it are not set.
pub(super) fn to(place: &Place) -> anyhow::Result<Connection> {
    let (scheme, url, prefix) = match place.target()? {
        Target::Folder(folder) => return to_folder(&folder),
        Target::Server { scheme, url, prefix } => (scheme, url, prefix),
    };
    network::set_up_tls();
    let can_be_written = scheme != ObjectStoreScheme::Http;
    let store = server(&scheme, &url).map_err(|error| {
        let (cause, _) = said(&error);
        let hint = "docs/remote.md lists the variables that each kind of remote store reads";
        errors::usage(format!("cannot connect to the remote store {place}: {cause}"), hint)
    })?;
    Ok(Connection { store, prefix, can_be_written })
}

fn server(scheme: &ObjectStoreScheme, url: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
    Ok(match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let builder = PATIENCE.into_iter().fold(AmazonS3Builder::from_env(), |builder, (key, value)| {
                builder.with_config(AmazonS3ConfigKey::Client(key), value)
            });
            Arc::new(builder.with_url(url.as_str()).with_retry(retries()).build()?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = PATIENCE.into_iter().fold(GoogleCloudStorageBuilder::from_env(), |builder, (key, value)| {
                builder.with_config(GoogleConfigKey::Client(key), value)
            });
            Arc::new(builder.with_url(url.as_str()).with_retry(retries()).build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = PATIENCE.into_iter().fold(MicrosoftAzureBuilder::from_env(), |builder, (key, value)| {
                builder.with_config(AzureConfigKey::Client(key), value)
            });
            Arc::new(builder.with_url(url.as_str()).with_retry(retries()).build()?)
        }
        _ => {
            let options = PATIENCE
                .into_iter()
                .fold(ClientOptions::new(), |options, (key, value)| options.with_config(key, value))
                .with_allow_http(network::is_here(url))
                .with_default_headers(authorization(url));
            let origin = url.origin().ascii_serialization();
            Arc::new(HttpBuilder::new().with_url(origin).with_client_options(options).with_retry(retries()).build()?)
        }
    })
}

/// The user and password of an address, which are sent to that server only, not to the target of a redirect.
fn authorization(url: &Url) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    if !url.username().is_empty() || url.password().is_some() {
        let pair = format!("{}:{}", plain(url.username()), plain(url.password().unwrap_or_default()));
        let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let mut value = HeaderValue::try_from(text).expect("base64 can stand in a header");
        value.set_sensitive(true);
        headers.insert("authorization", value);
    }
    headers
}

/// A folder, which need not exist yet.
fn to_folder(folder: &FilePath) -> anyhow::Result<Connection> {
    // A link that leads nowhere, such as to a disk that is not mounted, is no new folder.
    files::look(folder)?;
    let wrong = || format!("cannot use the folder {} as a remote store", folder.display());
    let absolute = files::absolute(folder).with_context(wrong)?;
    let prefix = Path::from_absolute_path(absolute).with_context(wrong)?;
    let store = Arc::new(LocalFileSystem::new().with_fsync(true));
    Ok(Connection { store, prefix, can_be_written: true })
}

/// The most of a server's answer that is shown, in characters.
const MOST_SAID: usize = 200;

/// What an error means and what to do. Addresses in it are left out, since they may hold a signature.
pub(super) fn said(error: &Error) -> (String, &'static str) {
    match error {
        Error::PermissionDenied { .. } => ("access is denied".into(), CREDENTIALS),
        Error::Unauthenticated { .. } => ("the credentials are missing or not accepted".into(), CREDENTIALS),
        Error::NotFound { .. } => ("it is not there".into(), "check the bucket or container in the address"),
        error => {
            let mut cause: &dyn std::error::Error = error;
            while let Some(source) = cause.source() {
                cause = source;
            }
            let words: Vec<String> = cause.to_string().split_whitespace().map(str::to_owned).collect();
            let text: String = words.join(" ").chars().take(MOST_SAID).collect();
            (
                text.trim_end_matches([':', ' ']).to_owned(),
                "check the address, the network and the credentials (docs/remote.md), then run the same command again: it continues",
            )
        }
    }
}

const CREDENTIALS: &str = "docs/remote.md lists the variables with credentials that each kind of remote store reads";
