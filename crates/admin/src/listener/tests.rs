use std::error::Error as _;

use super::*;

#[tokio::test]
async fn either_wildcard_serves_both_families() {
    for wildcard in ["0.0.0.0:0", "[::]:0"] {
        let listener = Listener::bind(Purpose::Health, wildcard.parse().unwrap()).unwrap();
        let port = listener.local_address().unwrap().port();
        for host in ["127.0.0.1", "::1"] {
            tokio::net::TcpStream::connect((host, port)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_port_in_use_is_explained_and_keeps_its_cause() {
    let first = Listener::bind(Purpose::Health, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = first.local_address().unwrap();
    let error = Listener::bind(Purpose::Health, address).unwrap_err();
    let message = error.to_string();
    for part in [
        "cannot serve health probes on 127.0.0.1:",
        "does kube-proxy or another fairway still run",
        "--healthz-bind-address",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(error.source().is_some());
}

#[tokio::test]
async fn an_address_of_another_machine_is_explained() {
    let elsewhere = "192.0.2.1:0".parse().unwrap();
    let error = Listener::bind(Purpose::Metrics, elsewhere).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("no interface of this node"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn binding_waits_until_the_port_is_free() {
    let first = Listener::bind(Purpose::Metrics, "127.0.0.1:0".parse().unwrap()).unwrap();
    let address = first.local_address().unwrap();
    let waiting = Listener::bind_when_free(Purpose::Metrics, address);
    tokio::pin!(waiting);
    // Time is virtual: the minute passes as soon as nothing else can happen.
    let early = tokio::time::timeout(Duration::from_secs(60), &mut waiting).await;
    assert!(early.is_err(), "bound a port that is taken");
    drop(first);
    let second = waiting.await;
    assert_eq!(second.local_address().unwrap(), address);
}
