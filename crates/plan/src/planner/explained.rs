//! What is said about a packet is what happens to it.

use std::collections::BTreeSet;

use fairway_model::Snapshot;
use proptest::prelude::*;

use super::history::{POD, SOURCES, packets};
use super::walk::{Generation, Outcome, outcomes};
use crate::trace::{self, Scene, Sender};
use crate::{Bytes, Options};

/// A scene has the same ends for every packet as the whole table has.
pub(super) fn explained(
    options: &Options,
    snapshot: &Snapshot,
    table: &Generation,
) -> Result<(), TestCaseError> {
    for packet in packets() {
        let destination = (packet.destination, packet.protocol, packet.port);
        let scene = Scene::new(options, snapshot, destination);
        for source in SOURCES {
            let packet = packet.from(source);
            let asked = trace::Packet {
                sender: match packet.from_node {
                    true => Sender::Node,
                    false if source == POD => Sender::Pod,
                    false => Sender::Outside,
                },
                source: Some(source),
                to_node: packet.to_node,
            };
            let said = ends(scene.walk(&asked).outcome);
            prop_assert_eq!(said, outcomes(table, table, &packet), "{:?}", packet);
        }
    }
    Ok(())
}

fn ends(outcome: trace::Outcome) -> BTreeSet<Outcome> {
    match outcome {
        trace::Outcome::Translated {
            endpoints,
            masquerade,
            ..
        } => {
            let endpoint = |(address, _): (std::net::SocketAddr, usize)| Outcome::Translated {
                endpoint: Bytes::new()
                    .address(address.ip())
                    .port(address.port().try_into().expect("no port is 0")),
                masquerade,
            };
            endpoints.into_iter().map(endpoint).collect()
        }
        trace::Outcome::Dropped(cause) => {
            assert!(cause.is_some());
            [Outcome::Dropped].into()
        }
        trace::Outcome::Refused(cause) => {
            assert!(cause.is_some());
            [Outcome::Refused].into()
        }
        trace::Outcome::Passed => [Outcome::Passed].into(),
    }
}
