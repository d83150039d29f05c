//! How and where archives are downloaded.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use super::kaggle::Kaggle;
use crate::interrupt::Interrupt;
use crate::locks::Locks;
use crate::network::Address;
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
    pub places: FetchPlaces,
    /// Whether this machine has a network at all.
    pub has_route: fn() -> bool,
    pub patience: Patience,
    /// The words that call pip. None means the first one found.
    pub pip: Option<Vec<String>>,
    /// The address of the model hub.
    pub hub: Address,
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
            places,
            has_route,
            patience: Patience::default(),
            pip: named_pip(),
            hub: hub(),
            kaggle: Kaggle::of_this_user(),
        }
    }
}

/// The folders that downloads use, and what they know.
#[derive(Clone, Debug)]
pub struct FetchPlaces {
    /// The folder of incomplete downloads, named by the hashes of the complete ones.
    pub partial: PathBuf,
    /// The locks of those that share `partial`.
    pub locks: Locks,
    /// The folder of files with a wrong hash.
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
        FetchPlaces { partial, locks: Locks::default(), quarantine, manual, network: Network::default(), mirror: None }
    }
}

/// Whether the system knows a way out of this machine. Nothing is sent, and the addresses are nobody's: they are reserved for
/// documentation.
fn has_route() -> bool {
    let leads = |from: &str, to: &str| UdpSocket::bind(from).and_then(|socket| socket.connect(to)).is_ok();
    leads("0.0.0.0:0", "192.0.2.1:9") || leads("[::]:0", "[2001:db8::1]:9")
}

/// What the downloads of a run know about the network, shared by all clones.
///
/// The first download from a server shows whether there is a connection to it, and the others wait for that. A server without
/// one is not asked again in this run.
#[derive(Clone, Debug, Default)]
pub struct Network(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Whether any server was reached.
    reached_any: AtomicBool,
    /// Whether pip brought the last package: what keeps it from that, it does not say.
    pip: Connection,
    servers: Mutex<BTreeMap<String, Arc<Connection>>>,
}

/// The pauses between looks whether another download has found out about a connection.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// What is known about the connection to a server.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// Held by the download that finds out.
    asking: Mutex<()>,
    state: Mutex<Reached>,
}

/// Whether a server can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Reached {
    #[default]
    Unknown,
    Yes,
    /// What to do about it, if the general hint does not say it.
    No(Option<String>),
}

impl Network {
    /// The connection to a server.
    pub(super) fn connection(&self, server: &str) -> Arc<Connection> {
        Arc::clone(locked(&self.0.servers).entry(server.to_owned()).or_default())
    }

    /// Records that a server was reached.
    pub(super) fn reached(&self, connection: &Connection) {
        connection.is_now(Reached::Yes);
        self.0.reached_any.store(true, Ordering::Relaxed);
    }

    /// Whether any server was reached. Before that, a failed connection most likely means that there is no network, and
    /// retries do not help.
    pub(super) fn has_answered(&self) -> bool {
        self.0.reached_any.load(Ordering::Relaxed)
    }

    /// Whether there seems to be no network: some server cannot be reached, and none was.
    pub(super) fn is_down(&self) -> bool {
        let is_out = |connection: &Arc<Connection>| matches!(connection.state(), Reached::No(_));
        !self.has_answered() && locked(&self.0.servers).values().any(is_out)
    }

    /// What is known about pip and its index.
    pub(super) fn pip(&self) -> &Connection {
        &self.0.pip
    }
}

impl Connection {
    pub fn state(&self) -> Reached {
        locked(&self.state).clone()
    }

    pub fn is_now(&self, reached: Reached) {
        *locked(&self.state) = reached;
    }

    /// Records that a server which was reached before may be gone; one of its downloads has to find out.
    pub fn is_in_doubt(&self) {
        let mut state = locked(&self.state);
        if *state == Reached::Yes {
            *state = Reached::Unknown;
        }
    }

    /// Waits for the download that finds out, if there is one, but no longer than `most`: a server may be silent about one file
    /// and send another. If this one has to find out, returns what keeps others waiting.
    pub fn wait(&self, most: Duration) -> Option<MutexGuard<'_, ()>> {
        for _ in 0..most.div_duration_f64(BETWEEN_LOOKS) as u32 {
            let asking = match self.asking.try_lock() {
                Ok(asking) => Some(asking),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            };
            match (asking, self.state()) {
                (_, Reached::Yes | Reached::No(_)) => return None,
                (Some(asking), Reached::Unknown) => return Some(asking),
                (None, Reached::Unknown) => std::thread::sleep(BETWEEN_LOOKS),
            }
        }
        None
    }
}

/// Locks what no thread leaves half-changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
