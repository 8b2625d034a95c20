//! A load balancer for TCP outside the cluster, of the kind that cloud providers rent out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::Family;
use crate::lab::Lab;

/// Spreads connections in turn over the healthy nodes, to a port that each of them has.
///
/// Nodes see the balancer's address as the client's. Dropping it ends it with its connections.
#[derive(Debug)]
pub struct Balancer {
    tasks: Vec<JoinHandle<()>>,
    targets: Vec<Arc<Target>>,
}

/// How the balancer asks nodes whether they want connections: `GET path` must be answered 200.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    /// The port on every node; kube-proxy's is 10256.
    pub port: u16,
    /// The path, for example `/healthz`.
    pub path: String,
    /// The time between two questions; also how long an answer may take.
    pub interval: Duration,
}

/// Where connections go: a node, in one family.
#[derive(Debug)]
struct Target {
    address: SocketAddr,
    healthy: AtomicBool,
}

impl Balancer {
    /// How long a node may take to accept a connection before it is closed.
    const CONNECT: Duration = Duration::from_secs(5);

    /// Listens at a port of the lab's balancer, in both families, in front of a port of all nodes,
    /// which count as healthy.
    ///
    /// # Errors
    ///
    /// When the port is in use.
    pub fn start(lab: &Lab, port: u16, node_port: u16) -> Result<Self> {
        Self::start_with(lab, port, node_port, None)
    }

    /// As [`start`](Self::start), but nodes get connections only while they answer health checks.
    ///
    /// # Errors
    ///
    /// When the port is in use.
    pub fn start_checked(lab: &Lab, port: u16, node_port: u16, check: HealthCheck) -> Result<Self> {
        Self::start_with(lab, port, node_port, Some(check))
    }

    /// The nodes that get connections now: the address and port of each, in both families.
    pub fn healthy(&self) -> Vec<SocketAddr> {
        let healthy = self.targets.iter().filter(|target| target.is_healthy());
        healthy.map(|target| target.address).collect()
    }

    fn start_with(
        lab: &Lab,
        port: u16,
        node_port: u16,
        check: Option<HealthCheck>,
    ) -> Result<Self> {
        let host = lab.balancer();
        let mut balancer = Self {
            tasks: Vec::new(),
            targets: Vec::new(),
        };
        for family in Family::BOTH {
            let targets = lab.nodes().iter().map(|node| Target {
                address: SocketAddr::new(node.ip(family), node_port),
                healthy: AtomicBool::new(check.is_none()),
            });
            let targets: Vec<_> = targets.map(Arc::new).collect();
            if let Some(check) = &check {
                let watch = |target| host.ns().spawn_task(watch(target, check.clone()));
                balancer.tasks.extend(targets.iter().cloned().map(watch));
            }
            let own = SocketAddr::new(host.ip(family), port);
            let listener = host.ns().run(|| {
                let listener = std::net::TcpListener::bind(own)?;
                listener.set_nonblocking(true)?;
                Ok::<_, io::Error>(listener)
            });
            let listener = listener.with_context(|| format!("cannot listen on {own}"))?;
            balancer.targets.extend(targets.iter().cloned());
            let task = host.ns().spawn_task(balance(listener, targets));
            balancer.tasks.push(task);
        }
        Ok(balancer)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Target {
    fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }
}

async fn balance(listener: std::net::TcpListener, targets: Vec<Arc<Target>>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the balancer cannot listen"),
    };
    let mut connections = JoinSet::new();
    let mut turn = 0;
    loop {
        // Forget those that have ended.
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await; // out of file descriptors, for now
            continue;
        };
        let healthy: Vec<_> = targets
            .iter()
            .filter(|target| target.is_healthy())
            .collect();
        turn += 1;
        // Without any the connection is closed again.
        if let Some(target) = healthy.get(turn % healthy.len().max(1)) {
            connections.spawn(pass(client, target.address));
        }
    }
}

async fn pass(mut client: TcpStream, node: SocketAddr) {
    let connected = timeout(Balancer::CONNECT, TcpStream::connect(node)).await;
    let Ok(Ok(mut server)) = connected else {
        return; // closes the client's connection, as it has no other way to say so
    };
    // Small writes of one side must not wait for acknowledgements of the other.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // An error is a side that went away; the other one is closed too.
    let _ = copy_bidirectional(&mut client, &mut server).await;
}

async fn watch(target: Arc<Target>, check: HealthCheck) {
    let server = SocketAddr::new(target.address.ip(), check.port);
    loop {
        let answer = timeout(check.interval, probe(server, &check.path)).await;
        let healthy = matches!(answer, Ok(Ok(true)));
        target.healthy.store(healthy, Ordering::Relaxed);
        sleep(check.interval).await;
    }
}

/// Whether the status line says 200; the rest of the answer does not matter.
async fn probe(server: SocketAddr, path: &str) -> io::Result<bool> {
    const OK: &[u8] = b"HTTP/1.1 200";
    let mut stream = TcpStream::connect(server).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; OK.len()];
    stream.read_exact(&mut status).await?;
    Ok(status == OK)
}
