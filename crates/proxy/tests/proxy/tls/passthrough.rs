//! TLS that endpoints do themselves.

use std::io::{Read, Write};
use std::net::TcpListener;

use fairway_model::{HostPattern, WildcardSpan};
use fairway_proxy::{Handling, HostTls};

use super::{connect, hello, start, table};
use crate::client::PATIENCE;

#[test]
fn what_is_passed_through_arrives_as_it_was_sent() {
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    let passed = HostTls {
        handling: Handling::Passthrough,
        redirect: false,
    };
    let wildcard = HostPattern::Wildcard {
        suffix: "pass.example".into(),
        span: WildcardSpan::OneLabel,
    };
    let proxy = start(endpoint.local_addr().unwrap(), table([(wildcard, passed)]));
    let sent = hello("a.pass.example");
    let mut client = connect(&proxy);
    client.set_nodelay(true).unwrap();
    for byte in &sent {
        client.write_all(&[*byte]).unwrap();
    }
    let (mut server, _) = endpoint.accept().unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut received = vec![0; sent.len()];
    server.read_exact(&mut received).unwrap();
    assert!(received == sent, "the ClientHello changed on its way");
    server.write_all(b"pong").unwrap();
    let mut pong = [0; 4];
    client.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"pong");
    drop((client, server));
    let line = &proxy.log_lines(1)[0];
    assert_eq!(
        (&line["host"], &line["status"]),
        (&"a.pass.example".into(), &200.into())
    );
    // Nobody is asked in clear text for what only the endpoint can serve.
    assert_eq!(
        crate::client::get(proxy.address, "a.pass.example", "/").status,
        308
    );
}
