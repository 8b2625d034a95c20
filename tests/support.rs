//! What all end-to-end tests share: a cluster whose nodes run the real binary.

mod cluster;
mod feed;
mod monitor;
pub(crate) mod shown;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fairway_testkit::ask::{self, AskError, Failure, Reply};
use fairway_testkit::lab::Namespace;

pub(crate) use cluster::Cluster;
pub(crate) use feed::Feed;
pub(crate) use monitor::NftMonitor;

/// The program under test.
pub(crate) fn fairway() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_fairway"))
}

/// Makes two tests of each function: fed by a directory of manifests, and by an API server.
macro_rules! fed_both_ways {
    ($($test:ident),+ $(,)?) => {
        mod manifests {
            $(#[test]
            fn $test() {
                fairway_testkit::lab::test(|| super::$test(crate::support::Feed::Manifests));
            })+
        }
        mod api {
            $(#[test]
            fn $test() {
                fairway_testkit::lab::test(|| super::$test(crate::support::Feed::Api));
            })+
        }
    };
}
pub(crate) use fed_both_ways;

/// Asks a line server once.
pub(crate) type Ask = fn(&Namespace, SocketAddr) -> Result<Reply, AskError>;

/// Both transports: what holds for one must hold for the other.
pub(crate) const TCP_AND_UDP: [Ask; 2] = [ask::tcp, ask::udp];

/// The pod that answered, or why none did.
pub(crate) fn who(asked: Result<Reply, AskError>) -> Result<String, Failure> {
    match asked {
        Ok(reply) => Ok(reply.pod),
        // A node's own datagram is not even sent: its sender is told in another way, but at once.
        Err(error) if error.failure() == Failure::NotPermitted => Err(Failure::Refused),
        Err(error) => Err(error.failure()),
    }
}

/// Waits until something is what it should be.
///
/// # Panics
///
/// When it is not within 30 s: more than two retries with growing pauses take.
#[track_caller]
pub(crate) fn becomes<T: PartialEq + Debug>(wanted: T, what: &str, mut now: impl FnMut() -> T) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = now();
        if found == wanted {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what} is {found:?} instead of {wanted:?}"
        );
        thread::sleep(Duration::from_millis(5));
    }
}
