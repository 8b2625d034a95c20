//! A node with the agent under test, its pods, and an API server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use fairway_testkit::certificates::Authority;
use fairway_testkit::lab::{Namespace, Pod};
use fairway_testkit::objects::{self, ingress};
use fairway_testkit::{Agent, ApiServer, Echo, Family, Lab, Manifests};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

const NODE: &str = "node-1";
const PODS: usize = 6;

/// Served in clear text.
pub(crate) const PLAIN: &str = "plain.example";
/// Has a certificate.
pub(crate) const SECURE: &str = "secure.example";
/// The Services that both lead to.
pub(crate) const SERVICES: [&str; 2] = ["blue", "green"];

pub(crate) struct Site {
    // Ends before what it is fed by and runs in.
    agent: Agent,
    pub(crate) objects: Objects,
    lab: Lab,
}

/// What is in the API server.
pub(crate) struct Objects {
    pub(crate) server: ApiServer,
    root: Authority,
}

impl Site {
    /// Everything runs and is served.
    pub(crate) fn start() -> Self {
        let lab = Lab::builder().nodes(1).pods_per_node(PODS);
        let lab = lab.build().expect("network namespaces");
        let node = lab.node(NODE);
        let objects = Objects {
            server: lab.start_api_server().expect("an API server"),
            root: Authority::new("soak").expect("a root"),
        };
        objects.apply(objects::node(node));
        objects.apply(objects::ingress_class("fairway", "fairway.dev/ingress"));
        for service in SERVICES {
            objects.apply(objects::service(service).headless().tcp("http", 80));
            objects.serve(service, &lab.pods(), &[]);
        }
        objects.rotate();
        objects.route(SERVICES[0], 0);

        let directory = Manifests::in_tempdir().expect("a temporary directory");
        let kubeconfig = directory.path().join("kubeconfig");
        let written = objects.server.write_kubeconfig(&kubeconfig);
        written.expect("a kubeconfig");
        let kubeconfig = kubeconfig.to_str().expect("a path without surprises");
        let arguments = [
            "run",
            "--hostname-override",
            NODE,
            "--drain-delay-seconds=0",
            "--kubeconfig",
            kubeconfig,
        ];
        let program = Path::new(env!("CARGO_BIN_EXE_fairway"));
        let agent = Agent::start(node.ns(), program, arguments);
        Self {
            agent: agent.expect("an agent that gets ready"),
            objects,
            lab,
        }
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.agent
    }

    pub(crate) fn client(&self) -> &Namespace {
        self.lab.client().ns()
    }

    pub(crate) fn pods(&self) -> Vec<Arc<Pod>> {
        self.lab.pods()
    }

    pub(crate) fn http(&self) -> SocketAddr {
        (self.lab.node(NODE).ip(Family::V4), 8080).into()
    }

    pub(crate) fn https(&self) -> SocketAddr {
        (self.lab.node(NODE).ip(Family::V6), 8443).into()
    }
}

impl Objects {
    pub(crate) fn apply(&self, object: impl Into<Value>) {
        self.server.apply(object.into()).expect("a valid object");
    }

    /// Makes these the endpoints of a Service; who ends still answers.
    pub(crate) fn serve(&self, service: &str, ready: &[Arc<Pod>], ending: &[Arc<Pod>]) {
        for family in Family::BOTH {
            let mut slice = objects::endpoint_slice(service, family).tcp("http", Echo::HTTP);
            for pod in ready {
                slice = slice.pod(pod);
            }
            for pod in ending {
                slice = slice.pod(pod).terminating(true);
            }
            self.apply(slice);
        }
    }

    /// Sends both hosts to a Service, with so many further paths of each.
    pub(crate) fn route(&self, service: &str, further: usize) {
        let mut front = ingress("front").class("fairway").tls(&[SECURE], "secure");
        for host in [PLAIN, SECURE] {
            front = front.prefix(host, "/", service, 80);
            for number in 0..further {
                front = front.prefix(host, &format!("/further/{number}"), service, 80);
            }
        }
        self.apply(front);
    }

    /// Gives the secure host another certificate.
    pub(crate) fn rotate(&self) {
        let issued = self.root.server(&[SECURE]).expect("a certificate");
        self.apply(objects::tls_secret("secure", &issued));
    }

    /// What clients of the secure host believe, without anything that they speak.
    pub(crate) fn client_tls(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from(self.root.der());
        roots.add(root).expect("a root certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions that the provider has")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}
