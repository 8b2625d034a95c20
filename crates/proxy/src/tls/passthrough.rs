use std::net::SocketAddr;
use std::rc::Rc;

use fairway_model::{HashKey, LoadBalancing, stable_hash};
use fairway_router::{Host, Path, Request, Target};
use tokio::net::TcpStream;

use super::Failure;
use crate::deadline::within;
use crate::record::Record;
use crate::stream::Stream;
use crate::tunnel::{Early, relay};
use crate::worker::Worker;

/// Statuses of nginx's stream module, for log and metrics; nobody is told them.
const PASSED: u16 = 200;
const NO_ENDPOINT: u16 = 502;

/// Passes a connection to an endpoint of the host, beginning with the ClientHello as it came. Requests
/// in it are never seen, so all go where the host's path `/` goes.
pub(super) async fn run(
    worker: &Rc<Worker>,
    client: TcpStream,
    hello: Vec<u8>,
    name: &str,
    peer: SocketAddr,
) -> Result<(), Failure> {
    let mut record = Record::of_connection(worker, peer.ip(), name);
    record.status = NO_ENDPOINT;
    let Some(upstream) = connect(worker, name, peer, &mut record).await else {
        record.broken(Failure::Passthrough.label());
        return Err(Failure::Passthrough);
    };
    record.status = PASSED;
    let early = Early {
        to_upstream: hello.into(),
        ..Early::default()
    };
    let idle = worker.config.timeouts.passthrough;
    let deadline = worker.deadlines.open();
    let client = Stream::Tcp(client);
    let end = relay(client, upstream, early, idle, &worker.clock, &deadline).await;
    end.tell(&mut record);
    Ok(())
}

/// Connects to the first endpoint that lets us.
async fn connect(
    worker: &Rc<Worker>,
    name: &str,
    peer: SocketAddr,
    record: &mut Record,
) -> Option<TcpStream> {
    let host = Host::parse(name.as_bytes()).ok()?;
    let path = Path::parse("/").ok()?;
    let (mut choice, policy) = {
        let routes = worker.routes.load();
        let route = routes.find(Request {
            host: &host,
            path: &path,
            method: "GET",
        })?;
        let state = worker.route_states.of(route);
        record.route_to(&state, 0);
        let Target::Forward(backends) = &route.target else {
            return None;
        };
        let index = worker.balancer.backend(backends)?;
        record.route_to(&state, index);
        let policy = route.policy.clone();
        let key = matches!(
            policy.balancing,
            LoadBalancing::ConsistentHash(HashKey::SourceAddress)
        );
        let key = key.then(|| stable_hash(peer.ip().to_canonical().to_string().as_bytes()));
        let choice = worker.balancer.choose(&backends[index].1, &policy, key);
        (choice.ok()?, policy)
    };
    // A connection that cannot wait for its turn: what it would say is not known.
    let Some(under_way) = choice.group.enter(&policy.limits) else {
        worker.shard.upstream_full.add(1);
        return None;
    };
    record.under_way = Some(under_way);
    let deadline = worker.deadlines.open();
    while let Some(endpoint) = choice.next(&policy) {
        record.attempt(endpoint.address);
        if let Some(under_way) = &mut record.under_way {
            under_way.at(endpoint.clone());
        }
        let connected = within(
            &deadline,
            &worker.clock,
            policy.connect_timeout,
            TcpStream::connect(endpoint.address),
        )
        .await;
        match connected {
            Some(Ok(stream)) if stream.set_nodelay(true).is_ok() => {
                choice.group.succeeded(&endpoint);
                worker.shard.upstream_connections.add(1);
                record.connected();
                return Some(stream);
            }
            _ => {
                choice.group.failed(&endpoint, policy.ejection.as_ref());
                record.connect_failed(NO_ENDPOINT);
            }
        }
    }
    None
}
