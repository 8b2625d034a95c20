use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fairway_model::{HostPattern, IngressClaim, ObjectName, RoutePolicies, Snapshot, Update};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};

use crate::index::{Converted, Index, Interner};
use crate::news::News;
use crate::problem::{Problem, ProblemMetrics};
use crate::tls::Certificates;
use crate::{Connection, Event, Kind, Object, Options, Trouble, api, manifests};

/// Events between a source and the index. A relist is one event, so this is churn only; a source
/// that is ahead by more than this waits.
const CHANNEL: usize = 1024;

/// Most events that one update gathers, so that a source that never stops cannot keep back what it
/// has already said.
const GATHERED: usize = 16 * CHANNEL;

/// News that wait to be told. Who does not listen, or not fast enough, finds them in the log.
const NEWS: usize = 1024;
/// How often it is looked whether certificates have come to their end.
const LOOK_AT_CERTIFICATES: Duration = Duration::from_secs(3600);

/// Where objects come from.
#[derive(Clone)]
pub enum Source {
    /// Every manifest below a directory, watched.
    Manifests(PathBuf),
    /// An API server, see [`client`](crate::client).
    Api(Connection),
}

impl Source {
    /// What the API server does not let us have or do right now; nothing of manifests.
    pub fn troubles(&self) -> Vec<Trouble> {
        match self {
            Self::Manifests(_) => Vec::new(),
            Self::Api(connection) => connection.report.troubles(),
        }
    }

    /// What RBAC forbids right now, for example `ingresses.networking.k8s.io`; nothing of manifests.
    pub fn forbidden(&self) -> Vec<String> {
        match self {
            Self::Manifests(_) => Vec::new(),
            Self::Api(connection) => connection.report.forbidden(),
        }
    }
}

/// The cluster as this node sees it. The source ends when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    index: Index,
    events: Events,
    news: mpsc::Sender<News>,
    untold: Option<mpsc::Receiver<News>>,
    /// Tells the source which Secrets are needed.
    secrets: watch::Sender<BTreeSet<ObjectName>>,
    next_review: Instant,
    /// Other policies are in force, and nobody has been told what follows.
    policies_changed: bool,
    _source: Running,
}

/// What the source says.
#[derive(Debug)]
enum Events {
    /// Objects, to be converted here: a list comes in parts.
    Api(mpsc::Receiver<Event>),
    /// What is kept of them: all objects of a file would be at hand at once.
    Manifests(mpsc::Receiver<Event<Converted>>),
}

/// Ends when dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held, and never looked at")]
enum Running {
    Manifests(manifests::Watch),
    Api(api::Watch),
}

/// Why a source cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The manifest directory.
    #[error(transparent)]
    Manifests(#[from] LoadError),
}

/// Why a manifest directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read the manifest directory {path}: {source}; check --manifests and its permissions", path = path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Cluster {
    /// Starts to follow the source, and counts what is wrong with its objects in `problems`. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the manifest directory cannot be read. An API server may be away; it is waited for.
    #[expect(
        clippy::unused_async,
        reason = "callers need not care which source does I/O here"
    )]
    pub async fn start(
        source: Source,
        options: Options,
        problems: ProblemMetrics,
    ) -> Result<Self, StartError> {
        let index = Index::new(options).counting(problems);
        let (secrets, wanted) = watch::channel(BTreeSet::new());
        let (source, events) = match source {
            Source::Manifests(directory) => {
                let (sender, events) = mpsc::channel(CHANNEL);
                let watch = manifests::watch(&directory, sender, convert(index.options()))?;
                (Running::Manifests(watch), Events::Manifests(events))
            }
            Source::Api(connection) => {
                let (sender, events) = mpsc::channel(CHANNEL);
                let pace = api::Pace::default();
                let watch = api::watch(&connection, index.options(), pace, &sender, wanted);
                (Running::Api(watch), Events::Api(events))
            }
        };
        let (news, untold) = mpsc::channel(NEWS);
        Ok(Self {
            index,
            events,
            news,
            untold: Some(untold),
            secrets,
            next_review: Instant::now() + LOOK_AT_CERTIFICATES,
            policies_changed: false,
            _source: source,
        })
    }

    /// The next state. The first one comes when every first list is complete, and holds everything (but for
    /// what the source [withholds](Self::withholds_routes));
    /// a later one as soon as something that matters has changed, with all changes that are waiting.
    ///
    /// Cancel safe.
    pub async fn next(&mut self) -> Update {
        loop {
            self.index.set_now(now());
            if !std::mem::take(&mut self.policies_changed) {
                self.wait().await;
            }
            for _ in 0..GATHERED {
                if !self.events.take_waiting(&mut self.index) {
                    break;
                }
            }
            let update = self.index.update();
            self.tell_news();
            if let Some(wanted) = self.index.newly_wanted_secrets() {
                self.secrets.send_replace(wanted);
            }
            if let Some(update) = update {
                return update;
            }
        }
    }

    /// Takes in one event, or notices that time has passed.
    async fn wait(&mut self) {
        // Certificates come to their end without an event.
        match timeout_at(self.next_review, self.events.next(&mut self.index)).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::error!("the source of objects has ended; the last state stays");
                std::future::pending().await
            }
            Err(_) => {
                self.next_review = Instant::now() + LOOK_AT_CERTIFICATES;
                self.index.review_certificates();
            }
        }
    }

    /// Whether the API server does not let us list Ingresses or their classes, so that there is nothing to
    /// route by. Another update comes when that changes.
    pub fn withholds_routes(&self) -> bool {
        let kinds = [Kind::Ingress, Kind::IngressClass];
        kinds
            .iter()
            .any(|kind| self.index.withheld().contains(kind))
    }

    /// Sets other policies for routes; [`Self::next`] tells what follows.
    pub fn set_policies(&mut self, policies: RoutePolicies) {
        self.index.set_policies(policies);
        self.policies_changed = true;
    }

    /// Problems as they come up, and Ingresses that come into force, each once, for as long as
    /// [`Self::next`] is called; also what changes nothing else. For one listener: who asks later gets nothing.
    pub fn news(&mut self) -> mpsc::Receiver<News> {
        let never = || mpsc::channel(1).1;
        self.untold.take().unwrap_or_else(never)
    }

    /// Sets what is wrong with Services as aliases of hosts outside of the cluster: whoever looks them up
    /// knows. It takes the place of what was set before, and is told and counted as what is found here.
    pub fn set_external_problems(&mut self, problems: Vec<Problem>) {
        self.index.set_external_problems(problems);
        self.tell_news();
    }

    fn tell_news(&mut self) {
        for news in self.index.take_news() {
            // A full queue loses it for Events; the log has problems.
            let _ = self.news.try_send(news);
        }
    }

    /// The certificates that the hosts of the last update need. They are apart from the snapshot, which
    /// may be printed.
    pub fn certificates(&self) -> &Certificates {
        self.index.certificates()
    }

    /// What is wrong with the cluster's objects right now, sorted by object.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.index.problems()
    }

    /// What all Ingresses, ours or not, ask for these hosts, oldest first. Costs a look at every Ingress.
    pub fn claims_on(&self, hosts: &[HostPattern]) -> Vec<IngressClaim> {
        self.index.claims_on(hosts)
    }
}

/// A directory of manifests as it was when it was read.
#[derive(Debug)]
pub struct Still {
    index: Index,
    snapshot: Arc<Snapshot>,
}

impl Still {
    /// Reads a manifest directory once.
    ///
    /// # Errors
    ///
    /// When the directory itself cannot be read; what is wrong inside it are [`problems`](Self::problems).
    pub fn read(directory: &Path, options: &Options) -> Result<Self, LoadError> {
        let mut index = Index::new(options.clone());
        index.set_now(now());
        for event in manifests::read(directory, convert(index.options()))? {
            index.take_in(event);
        }
        let update = index.update();
        let snapshot = update.map(|update| update.snapshot).unwrap_or_default();
        Ok(Self { index, snapshot })
    }

    /// What the objects come to.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// As [`Cluster::certificates`].
    pub fn certificates(&self) -> &Certificates {
        self.index.certificates()
    }

    /// As [`Cluster::problems`].
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.index.problems()
    }

    /// As [`Cluster::claims_on`].
    pub fn claims_on(&self, hosts: &[HostPattern]) -> Vec<IngressClaim> {
        self.index.claims_on(hosts)
    }
}

impl Events {
    /// Waits for an event and applies it. False when no more will come. Cancel safe.
    async fn next(&mut self, index: &mut Index) -> bool {
        match self {
            Self::Api(events) => events.recv().await.map(|event| index.apply(event)),
            Self::Manifests(events) => events.recv().await.map(|event| index.take_in(event)),
        }
        .is_some()
    }

    /// Applies an event that is there. False when there is none.
    fn take_waiting(&mut self, index: &mut Index) -> bool {
        match self {
            Self::Api(events) => events.try_recv().map(|event| index.apply(event)),
            Self::Manifests(events) => events.try_recv().map(|event| index.take_in(event)),
        }
        .is_ok()
    }
}

/// Converts objects, for a source that has many at once.
fn convert(options: &Options) -> impl FnMut(Object) -> Option<Converted> + Send + use<> {
    let (options, mut names) = (options.clone(), Interner::default());
    move |object| Converted::new(object, &options, &mut names)
}

/// Reads a manifest directory once.
///
/// # Errors
///
/// When the directory itself cannot be read; what is wrong inside it is returned as problems.
pub fn load(directory: &Path, options: &Options) -> Result<(Snapshot, Vec<Problem>), LoadError> {
    let still = Still::read(directory, options)?;
    let problems = still.problems().cloned().collect();
    Ok((Snapshot::clone(&still.snapshot), problems))
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
