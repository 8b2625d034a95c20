//! A network namespace with an API server, or a directory of manifests, and the agent under test.

use std::path::Path;
use std::time::{Duration, Instant};

use fairway_testkit::apiserver::Secure;
use fairway_testkit::lab::Namespace;
use fairway_testkit::{Agent, ApiServer, Manifests};

use crate::scale::population::{self, Population};

/// How objects reach the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    Api,
    /// The same in TLS and HTTP/2, as clusters have it.
    SecureApi,
    Manifests,
}

/// Everything but the agent.
pub(crate) struct Site {
    pub(crate) namespace: Namespace,
    directory: Manifests,
    server: Option<ApiServer>,
}

impl Site {
    pub(crate) fn new(feed: Feed, population: Population) -> Self {
        let namespace = Namespace::new("scale").expect("a network namespace");
        let directory = Manifests::in_tempdir().expect("a temporary directory");
        let objects = population.objects().chain([population::node()]);
        let server = match feed {
            Feed::Api | Feed::SecureApi => {
                let start = || match feed {
                    // As many streams a connection as kube-apiserver allows.
                    Feed::SecureApi => ApiServer::start_secure(Secure::Http2 { streams: 1_000 }),
                    _ => ApiServer::start(),
                };
                let server = namespace.run(start).expect("an API server");
                objects.for_each(|object| server.apply(object).expect("a valid object"));
                server
                    .write_kubeconfig(directory.path().join("kubeconfig"))
                    .expect("a kubeconfig");
                Some(server)
            }
            Feed::Manifests => {
                // As `kubectl get -o yaml` and most people write it: one file for all.
                let objects: Vec<_> = objects.collect();
                directory.write("all.yaml", &objects).expect("manifests");
                None
            }
        };
        Self {
            namespace,
            directory,
            server,
        }
    }

    pub(crate) fn server(&self) -> &ApiServer {
        self.server.as_ref().expect("fed by the API")
    }

    /// Starts an agent and waits until it has programmed everything.
    pub(crate) fn start_agent(&self) -> Agent {
        let path = self.directory.path();
        let kubeconfig = path.join("kubeconfig");
        let source = match &self.server {
            Some(_) => ["--kubeconfig", text(&kubeconfig)],
            None => ["--manifests", text(path)],
        };
        let node = ["run", "--hostname-override", population::NODE];
        // Nobody sends it requests that would have to find another node first.
        let arguments = node.into_iter().chain(["--drain-delay-seconds", "0"]);
        let arguments = arguments.chain(source);
        let program = crate::program::path();
        let agent = Agent::spawn(&self.namespace, &program, arguments).expect("an agent");
        wait_ready(&agent);
        agent
    }
}

/// Longer than tests wait: 100,000 Services beside other work.
pub(crate) fn wait_ready(agent: &Agent) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while let Err(error) = agent.wait_ready() {
        let ended = agent.exit_status().is_some() || Instant::now() > deadline;
        assert!(!ended, "{error:#}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path without surprises")
}
