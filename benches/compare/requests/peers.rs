//! Who is compared, each as a good operator would set it up: one worker, kept connections to the origin, an
//! access log that goes nowhere, X-Forwarded headers.

mod caddy;
mod envoy;
mod fairway;
mod haproxy;
mod nginx;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command};

use anyhow::{Context, Result};
use fairway_testkit::ApiServer;

use crate::requests::install::Programs;
use crate::requests::process::Tree;
use crate::requests::stage::Stage;

/// Kept connections to the origin, for those that want to be told.
const KEPT: usize = 256;

/// One of those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Fairway,
    Nginx,
    Haproxy,
    Envoy,
    Caddy,
}

/// The number that a program says it has.
pub(crate) fn version_of(program: &str, argument: &str) -> Option<String> {
    let output = Command::new(program).arg(argument).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let words = said.split(|c: char| c.is_whitespace() || c == '/');
    let number = |word: &&str| {
        word.trim_start_matches('v')
            .starts_with(|c: char| c.is_ascii_digit())
    };
    let mut numbers = words.filter(|word| number(word) && word.contains('.'));
    numbers.next().map(str::to_owned)
}

impl Programs {
    /// Of all that are there.
    pub(crate) fn versions(&self) -> Vec<String> {
        let version = |peer: Peer| Some(format!("{} {}", peer.name(), peer.version(self)?));
        Peer::found(self).filter_map(version).collect()
    }
}

/// One that runs.
pub(crate) struct Running {
    pub(crate) peer: Peer,
    pub(crate) listen: Listen,
    pub(crate) hosts: usize,
    child: Child,
    /// What fairway is fed by.
    pub(crate) api: Option<ApiServer>,
}

/// Where a peer is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listen {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
}

/// Where each host leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Routes {
    pub(crate) hosts: usize,
    /// This one leads to the other origin.
    pub(crate) moved: Option<usize>,
}

impl Routes {
    /// The name of the origin that a host leads to.
    fn origin(self, number: usize) -> &'static str {
        if self.moved == Some(number) { "b" } else { "a" }
    }
}

impl Peer {
    pub(crate) const ALL: [Self; 5] = [
        Self::Fairway,
        Self::Nginx,
        Self::Haproxy,
        Self::Envoy,
        Self::Caddy,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fairway => "fairway",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
            Self::Caddy => "Caddy",
        }
    }

    /// Those whose programs are there.
    pub(crate) fn found(programs: &Programs) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|peer| match peer {
            Self::Fairway | Self::Nginx => true,
            Self::Haproxy => programs.haproxy,
            Self::Envoy => programs.envoy.is_some(),
            Self::Caddy => programs.caddy.is_some(),
        })
    }

    /// What it says of itself.
    fn version(self, programs: &Programs) -> Option<String> {
        match self {
            Self::Fairway => version_of(&programs.fairway, "--version"),
            Self::Nginx => version_of("nginx", "-v"),
            Self::Haproxy => version_of("haproxy", "-v"),
            Self::Envoy => version_of(programs.envoy.as_deref()?, "--version"),
            Self::Caddy => version_of(programs.caddy.as_deref()?, "version"),
        }
    }

    /// Starts it with so many hosts and waits until it serves them.
    pub(crate) fn start(self, stage: &Stage, programs: &Programs, hosts: usize) -> Result<Running> {
        let number = Self::ALL.iter().position(|peer| *peer == self).unwrap_or(0);
        let number = u16::try_from(number).context("five")?;
        let listen = Listen {
            http: (Ipv4Addr::LOCALHOST, 8080 + number).into(),
            https: (Ipv4Addr::LOCALHOST, 8440 + number).into(),
        };
        let routes = Routes { hosts, moved: None };
        let mut api = None;
        let child = match self {
            Self::Fairway => {
                let server = fairway::objects(stage, routes)?;
                let child = fairway::start(stage, programs, listen, &server)?;
                api = Some(server);
                child
            }
            Self::Nginx => nginx::start(stage, listen, routes)?,
            Self::Haproxy => haproxy::start(stage, listen, routes)?,
            Self::Envoy => envoy::start(stage, programs, listen, routes)?,
            Self::Caddy => caddy::start(stage, programs, listen, routes)?,
        };
        let running = Running {
            peer: self,
            listen,
            hosts,
            child,
            api,
        };
        stage
            .wait_for(listen.http)
            .and_then(|()| stage.wait_for(listen.https))
            .with_context(|| {
                let complaints = stage.complaints(self.program());
                format!("{} does not start: {complaints}", self.name())
            })?;
        Ok(running)
    }

    fn program(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy",
            Self::Fairway => "fairway",
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
            Self::Caddy => "caddy",
        }
    }
}

impl Running {
    /// Its processes.
    pub(crate) fn tree(&self) -> Tree {
        Tree::of(self.child.id())
    }

    /// Makes a host lead to the other origin, as its operator would, and returns once it has been told.
    pub(crate) fn move_host(&self, stage: &Stage, moved: Option<usize>) -> Result<()> {
        let hosts = self.hosts;
        let routes = Routes { hosts, moved };
        match (self.peer, &self.api) {
            (Peer::Fairway, Some(server)) => fairway::move_host(server, moved),
            (Peer::Nginx, _) => nginx::reload(stage, self.listen, routes, self.child.id()),
            (Peer::Haproxy, _) => haproxy::reload(stage, self.listen, routes, self.child.id()),
            _ => anyhow::bail!("{} is not asked to", self.peer.name()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        crate::requests::process::end(&mut self.child);
    }
}
