//! What is asked of each peer, and what an answer costs it.

use std::time::Duration;

use anyhow::Result;

use crate::requests::load::connections::Security;
use crate::requests::load::h2load::Protocol;
use crate::requests::load::wrk::Requests;
use crate::requests::load::{Outcome, connections, h2load, websocket, wrk};
use crate::requests::peers::Running;
use crate::requests::stage::{LARGE, Stage};

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scenario {
    Kept,
    KeptMedium,
    KeptLarge,
    Upload,
    NewConnection,
    KeptTls,
    FullHandshake,
    Resumption,
    Http2,
    WebSocket,
    /// With 10,000 hosts.
    ManyHosts,
}

/// What a load cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// CPU time of all the peer's processes by request, handshake, message or MiB.
    pub(crate) cpu: Duration,
    /// Of these, in a second.
    pub(crate) rate: f64,
    pub(crate) failed: u64,
}

impl Measured {
    pub(crate) fn micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6
    }
}

impl Scenario {
    /// Those with few hosts.
    pub(crate) const FEW_HOSTS: [Self; 10] = [
        Self::Kept,
        Self::KeptMedium,
        Self::KeptLarge,
        Self::Upload,
        Self::NewConnection,
        Self::KeptTls,
        Self::FullHandshake,
        Self::Resumption,
        Self::Http2,
        Self::WebSocket,
    ];

    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::FEW_HOSTS.into_iter().chain([Self::ManyHosts])
    }

    /// For people, with what one of it is.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kept => "HTTP/1.1, 64 B: request",
            Self::KeptMedium => "HTTP/1.1, 16 KiB: request",
            Self::KeptLarge => "HTTP/1.1, 1 MiB: MiB",
            Self::Upload => "HTTP/1.1, upload of 64 KiB: request",
            Self::NewConnection => "HTTP/1.1, new connection: request",
            Self::KeptTls => "HTTP/1.1 and TLS, 64 B: request",
            Self::FullHandshake => "TLS, full handshake: connection",
            Self::Resumption => "TLS, resumption: connection",
            Self::Http2 => "HTTP/2 and TLS, 64 B: request",
            Self::WebSocket => "WebSocket, 64 B: message and its echo",
            Self::ManyHosts => "HTTP/1.1, 64 B, 10,000 hosts: request",
        }
    }

    /// What a peer starts with is not what it costs.
    pub(crate) fn warm_up(self, stage: &Stage, running: &Running, seconds: f64) -> Result<()> {
        self.load(stage, running, seconds).map(drop)
    }

    /// Loads a peer for a while.
    pub(crate) fn measure(
        self,
        stage: &Stage,
        running: &Running,
        seconds: f64,
    ) -> Result<Measured> {
        let tree = running.tree();
        let before = tree.cpu();
        let outcome = self.load(stage, running, seconds)?;
        let spent = tree.cpu().saturating_sub(before);
        let units = match self {
            Self::KeptLarge => outcome.answered * LARGE as u64 / (1 << 20),
            _ => outcome.answered,
        };
        let nanos = spent.as_nanos() as f64 / units.max(1) as f64;
        Ok(Measured {
            cpu: Duration::from_nanos(nanos as u64),
            rate: units as f64 / outcome.elapsed.as_secs_f64(),
            failed: outcome.failed,
        })
    }

    fn load(self, stage: &Stage, running: &Running, seconds: f64) -> Result<Outcome> {
        let requests = |path, upload, connections| {
            let requests = Requests {
                path,
                upload,
                connections,
            };
            wrk::run(stage, running, requests, seconds)
        };
        let connections = |security| connections::run(stage, running, security, seconds);
        match self {
            Self::Kept | Self::ManyHosts => requests("/64", 0, 32),
            Self::KeptMedium => requests("/16k", 0, 32),
            Self::KeptLarge => requests("/1m", 0, 8),
            Self::Upload => requests("/upload", 64 << 10, 16),
            Self::NewConnection => connections(Security::Clear),
            Self::FullHandshake => connections(Security::FullHandshakes),
            Self::Resumption => connections(Security::Resumption),
            Self::KeptTls => h2load::run(stage, running, Protocol::Http1, seconds),
            Self::Http2 => h2load::run(stage, running, Protocol::Http2, seconds),
            Self::WebSocket => websocket::run(stage, running, seconds),
        }
    }
}
