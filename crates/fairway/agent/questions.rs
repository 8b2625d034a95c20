//! Answers about what this agent does, for `fairway explain`: an abstract socket, as there is one agent in
//! each network namespace, that listens to root and to the agent's own user.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fairway_admin::{Asked as Get, Body, LocalListener, Site, json, plain_text, serve_local};
use fairway_explain::{Explanation, Question, explain};
use fairway_router::Index;
use http::{Response, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::config::Config;
use crate::explain::{Objects, gather, look};

const NAME: &[u8] = b"fairway-admin";

/// The control loop answers between two updates; the kernel in milliseconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// The agent before may still be letting go of the name.
const PAUSE: Duration = Duration::from_millis(200);

/// One after the other: each is a look at everything.
const WAITING: usize = 4;

/// Where the agent of this network namespace is asked.
pub(crate) fn admin_address() -> anyhow::Result<SocketAddr> {
    SocketAddr::from_abstract_name(NAME).context("cannot name the admin socket")
}

/// A question that waits for the world to be answered from.
#[derive(Debug)]
pub(super) struct Asked {
    question: Question,
    answer: oneshot::Sender<Explanation>,
}

impl Asked {
    /// Answers on another thread, which may look into the kernel.
    pub(super) fn answer_from(
        self,
        config: &Config,
        objects: &dyn Objects,
        index: Option<Arc<Index>>,
    ) {
        let Self { question, answer } = self;
        let mut world = gather(config, &question, objects, index);
        spawn_blocking(move || {
            look(&mut world, &question);
            // Nobody listens any more if this fails.
            let _ = answer.send(explain(&world, &question));
        });
    }
}

/// Listens until the runtime ends.
pub(super) fn listen() -> anyhow::Result<mpsc::Receiver<Asked>> {
    let address = admin_address()?;
    let (questions, asked) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut told = false;
        loop {
            match LocalListener::bind(&address) {
                Ok(listener) => {
                    let questions = questions.clone();
                    let never = serve_local(listener, AdminSite { questions }).await;
                    match never {}
                }
                Err(error) if !told => {
                    warn!(%error, "cannot open the admin socket yet: `fairway explain` gets no answer");
                    told = true;
                }
                Err(_) => {}
            }
            sleep(PAUSE).await;
        }
    });
    Ok(asked)
}

struct AdminSite {
    questions: mpsc::Sender<Asked>,
}

impl Site for AdminSite {
    fn page(&self, _path: &str) -> Option<Response<Body>> {
        None
    }

    async fn resource(&self, get: Get<'_>) -> Option<Response<Body>> {
        if get.path != "/explain" {
            return None;
        }
        let question = match Question::from_query(get.query) {
            Ok(question) => question,
            Err(error) => return Some(plain_text(StatusCode::BAD_REQUEST, format!("{error}\n"))),
        };
        let (answer, answered) = oneshot::channel();
        let ask = async {
            self.questions.send(Asked { question, answer }).await.ok()?;
            answered.await.ok()
        };
        Some(match timeout(PATIENCE, ask).await {
            Ok(Some(explanation)) => json(&explanation),
            Ok(None) | Err(_) => {
                let busy = "the agent is busy, or about to end: ask again\n";
                plain_text(StatusCode::SERVICE_UNAVAILABLE, busy)
            }
        })
    }
}
