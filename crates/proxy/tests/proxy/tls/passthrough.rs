//! TLS that endpoints do themselves.

use std::io::{Read, Write};
use std::net::TcpListener;

use fairway_model::{HostPattern, WildcardSpan};
use fairway_proxy::{Handling, HostTls};

use super::{Authority, connect, exact, failures, hello, start, table, terminate};
use crate::client::PATIENCE;
use crate::upstream::wait_for;

fn through() -> HostTls {
    HostTls {
        handling: Handling::Passthrough,
        redirect: false,
    }
}

#[test]
fn what_is_passed_through_arrives_as_it_was_sent() {
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    let wildcard = HostPattern::Wildcard {
        suffix: "pass.example".into(),
        span: WildcardSpan::OneLabel,
    };
    let proxy = start(
        endpoint.local_addr().unwrap(),
        table([(wildcard, through())]),
    );
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

/// TLS 1.0 with a cipher of that time and, perhaps, a name.
fn old_hello(name: &str) -> Vec<u8> {
    let of_length = |bytes: &[u8]| {
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        [&length, bytes].concat()
    };
    let entry = [&[0], &of_length(name.as_bytes())[..]].concat();
    let extension = [&[0, 0], &of_length(&of_length(&entry))[..]].concat();
    let fixed = [&[3, 1][..], &[7; 32], &[0, 0, 2, 0, 0x2f, 1, 0]].concat();
    let hello = [fixed, of_length(&extension)].concat();
    let message = [&[1, 0], &of_length(&hello)[..]].concat();
    [&[22, 3, 1], &of_length(&message)[..]].concat()
}

/// The endpoint judges whom it can speak with.
#[test]
fn clients_that_only_the_endpoint_can_serve_are_passed_through() {
    let endpoint = TcpListener::bind("127.0.0.1:0").unwrap();
    let certificate = Authority::new().issue("own.example").0;
    let hosts = [
        (exact("pass.example"), through()),
        (exact("own.example"), terminate(Some(certificate), None)),
    ];
    let proxy = start(endpoint.local_addr().unwrap(), table(hosts));
    let sent = old_hello("Pass.example");
    let mut client = connect(&proxy);
    client.write_all(&sent).unwrap();
    endpoint.set_nonblocking(true).unwrap();
    let mut accepted = None;
    wait_for("the connection of the client", || {
        accepted = endpoint.accept().ok();
        accepted.is_some()
    });
    let (mut server, _) = accepted.unwrap();
    server.set_nonblocking(false).unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut received = vec![0; sent.len()];
    server.read_exact(&mut received).unwrap();
    assert!(received == sent, "the ClientHello changed on its way");

    let mut client = connect(&proxy);
    client.write_all(&old_hello("own.example")).unwrap();
    let mut said = Vec::new();
    client.read_to_end(&mut said).unwrap();
    assert_eq!(said[..6], [21, 3, 3, 0, 2, 2], "a fatal alert");
    wait_for("the refusal", || failures(&proxy, "incompatible") == 1.0);
}
