//! Requests for another host than the connection was opened for, or for one that has changed since.

use std::sync::Arc;

use fairway_proxy::ClientAuth;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;

use super::{Authority, ask, exact, open, start, table, terminate};
use crate::upstream::Upstream;

#[test]
fn a_connection_is_good_for_hosts_with_the_same_demands() {
    let upstream = Upstream::echo("a");
    let (server, clients) = (Authority::new(), Authority::new());
    let auth = ClientAuth {
        authorities: clients.store(),
        optional: false,
    };
    let open_host = |name: &str| (exact(name), terminate(Some(server.issue(name).0), None));
    let secure = terminate(Some(server.issue("secure.example").0), Some(auth));
    let hosts = [
        open_host("a.example"),
        open_host("b.example"),
        (exact("secure.example"), secure),
    ];
    let proxy = start(upstream.address, table(hosts));
    let mut tls = open(&proxy, "a.example", &server.client(None));
    for (host, status) in [
        ("a.example", "200"),
        ("b.example", "200"),
        ("secure.example", "421"),
        ("a.example", "200"),
        ("unknown.example", "200"),
    ] {
        let response = ask(&mut tls, host, "").unwrap();
        assert_eq!(
            response.split(' ').nth(1),
            Some(status),
            "{host}: {response}"
        );
    }
    // What clear text cannot prove is not served in clear text.
    let response = crate::client::get(proxy.address, "secure.example", "/");
    assert_eq!(response.status, 308);
}

/// As browsers do it: they keep to one connection for all hosts of its certificate.
#[test]
fn a_stream_for_a_host_with_other_demands_is_misdirected() {
    let upstream = Upstream::echo("a");
    let server = Authority::new();
    let auth = ClientAuth {
        authorities: Authority::new().store(),
        optional: false,
    };
    let (certificate, _) = server.issue("a.example");
    let hosts = [
        (
            exact("a.example"),
            terminate(Some(certificate.clone()), None),
        ),
        (
            exact("secure.example"),
            terminate(Some(certificate), Some(auth)),
        ),
    ];
    let proxy = start(upstream.address, table(hosts));
    let mut config = Arc::unwrap_or_clone(server.client(None));
    config.alpn_protocols = vec![b"h2".to_vec()];
    crate::http2::run(async {
        let socket = tokio::net::TcpStream::connect(proxy.https.unwrap()).await;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("a.example").unwrap();
        let tls = connector.connect(name, socket.unwrap()).await.unwrap();
        let (mut client, connection) = h2::client::handshake(tls).await.unwrap();
        tokio::task::spawn_local(connection);
        for (host, status) in [
            ("a.example", 200),
            ("secure.example", 421),
            ("a.example", 200),
        ] {
            let request = http::Request::get(format!("https://{host}/"))
                .body(())
                .unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            assert_eq!(response.await.unwrap().status(), status, "{host}");
        }
    });
    assert_eq!(upstream.requests(), 2);
}

/// A client whose host has come to let in others must come again to be judged anew, and has to be told that a
/// request on this connection is no use any more.
#[test]
fn a_connection_ends_when_its_host_lets_in_others() {
    let upstream = Upstream::echo("a");
    let (server, clients, others) = (Authority::new(), Authority::new(), Authority::new());
    let certificate = server.issue("secure.example").0;
    let letting_in = |authorities: &[&Authority]| {
        let mut store = RootCertStore::empty();
        for authority in authorities {
            store.add(authority.0.der().clone()).unwrap();
        }
        let auth = ClientAuth {
            authorities: Arc::new(store),
            optional: false,
        };
        let host = terminate(Some(certificate.clone()), Some(auth));
        let open = terminate(Some(server.issue("a.example").0), None);
        table([(exact("secure.example"), host), (exact("a.example"), open)])
    };
    let proxy = start(upstream.address, letting_in(&[&clients]));
    let alice = server.client(Some(clients.issue("alice")));
    let mut http1 = open(&proxy, "secure.example", &alice);
    let mut ask_for = |host: &str| ask(&mut http1, host, "").unwrap().to_lowercase();
    assert!(ask_for("secure.example").starts_with("http/1.1 200 "));
    // Its host is as it was: what is wrong is the request.
    let elsewhere = ask_for("a.example");
    assert!(elsewhere.starts_with("http/1.1 421 "), "{elsewhere}");
    assert!(!elsewhere.contains("connection: close"), "{elsewhere}");

    let mut config = Arc::unwrap_or_clone(alice.clone());
    config.alpn_protocols = vec![b"h2".to_vec()];
    crate::http2::run(async {
        let socket = tokio::net::TcpStream::connect(proxy.https.unwrap()).await;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("secure.example").unwrap();
        let tls = connector.connect(name, socket.unwrap()).await.unwrap();
        let (mut client, connection) = h2::client::handshake(tls).await.unwrap();
        let ended = tokio::task::spawn_local(connection);
        let mut ask_for = async |host: &str| {
            let request = http::Request::get(format!("https://{host}/"));
            let (response, _) = client
                .send_request(request.body(()).unwrap(), true)
                .unwrap();
            response.await.unwrap().status()
        };
        assert_eq!(ask_for("secure.example").await, 200);
        assert_eq!(ask_for("a.example").await, 421);
        assert_eq!(ask_for("secure.example").await, 200);
        proxy.tls.store(Arc::new(letting_in(&[&clients, &others])));
        assert_eq!(ask_for("secure.example").await, 421);
        // By GOAWAY, and nothing else is wrong with it.
        ended.await.unwrap().unwrap();
    });
    let outdated = ask_for("secure.example");
    assert!(outdated.starts_with("http/1.1 421 "), "{outdated}");
    assert!(outdated.contains("connection: close"), "{outdated}");
    // Whoever comes again is judged by what counts now.
    for authority in [&clients, &others] {
        let client = server.client(Some(authority.issue("bob")));
        let mut tls = open(&proxy, "secure.example", &client);
        let answer = ask(&mut tls, "secure.example", "").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}
