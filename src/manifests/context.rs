//! How and where archives are downloaded.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Address;
use super::kaggle::Kaggle;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::settings::variable;

/// The model hub, unless `HF_ENDPOINT` names another one.
const HUB: &str = "https://huggingface.co";

pub(super) fn hub() -> Address {
    Address::from(variable("HF_ENDPOINT").as_deref().unwrap_or(HUB))
}

/// The words of `SEESAW_PIP`, if it is set.
pub(super) fn named_pip() -> Option<Vec<String>> {
    let words = variable("SEESAW_PIP")?;
    Some(words.split_whitespace().map(str::to_owned).collect())
}

/// How and where to fetch archives.
#[derive(Clone)]
pub struct FetchContext {
    pub interrupt: Interrupt,
    pub progress: Arc<dyn Progress>,
    /// The folder of incomplete downloads, named by the hashes of the complete ones.
    pub partial: PathBuf,
    /// The folder of files with a wrong hash.
    pub quarantine: PathBuf,
    /// Folders where a person may have put files.
    pub manual: Vec<PathBuf>,
    pub network: Network,
    pub patience: Patience,
    /// The words that call pip. None means the first one found.
    pub pip: Option<Vec<String>>,
    /// The address of the model hub.
    pub hub: Address,
    /// The mirror, if there is one.
    pub mirror: Option<Address>,
    pub kaggle: Kaggle,
}

/// How long to wait for a server, and how often to retry.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub connect: Duration,
    /// After this long without a byte, a download counts as cut.
    pub stall: Duration,
    /// In each period of this length, at least [`LEAST`] bytes have to arrive. Otherwise a download counts as cut.
    pub period: Duration,
    /// The number of tries per server.
    pub tries: u32,
    /// The first pause between tries. It doubles with each try.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            period: Duration::from_secs(120),
            tries: 6,
            pause: Duration::from_secs(1),
        }
    }
}

impl FetchContext {
    /// The defaults, with the pip that `SEESAW_PIP` names, the hub that `HF_ENDPOINT` names, and the user's key for Kaggle.
    pub fn new(interrupt: Interrupt, progress: Arc<dyn Progress>, places: FetchPlaces) -> Self {
        FetchContext {
            interrupt,
            progress,
            partial: places.partial,
            quarantine: places.quarantine,
            manual: places.manual,
            network: places.network,
            patience: Patience::default(),
            pip: named_pip(),
            hub: hub(),
            mirror: places.mirror,
            kaggle: Kaggle::of_this_user(),
        }
    }
}

/// The folders that downloads use.
#[derive(Clone, Debug)]
pub struct FetchPlaces {
    pub partial: PathBuf,
    pub quarantine: PathBuf,
    /// Folders where a person may have put files.
    pub manual: Vec<PathBuf>,
    /// What the downloads of a run know about the network.
    pub network: Network,
    /// The mirror, whose user and password are sent to it.
    pub mirror: Option<Address>,
}

impl FetchPlaces {
    /// For a run that knows nothing about the network yet.
    pub fn new(partial: PathBuf, quarantine: PathBuf, manual: Vec<PathBuf>) -> Self {
        FetchPlaces { partial, quarantine, manual, network: Network::default(), mirror: None }
    }
}

/// Whether any server has answered yet, shared by all clones. Before the first answer, a failed connection most likely means
/// that there is no network, and retries do not help.
#[derive(Clone, Debug, Default)]
pub struct Network(Arc<AtomicBool>);

impl Network {
    pub(super) fn answers(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_answered(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
