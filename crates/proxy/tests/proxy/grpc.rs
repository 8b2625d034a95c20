//! gRPC: calls through the proxy, and what callers are told when there is nobody to call.

use std::time::Duration;

use bytes::Bytes;
use fairway_model::UpstreamProtocol;
use h2::server::SendResponse;
use http::{HeaderMap, Response};

use crate::cluster::Cluster;
use crate::http2::{body, connect, request, run};
use crate::proxy::Proxy;
use crate::python::{PythonServer, talk};
use crate::upstream::refusing;
use crate::upstream_http2::Http2Upstream;

fn call(path: &str) -> http::Request<()> {
    let request = request("POST", path).header("content-type", "application/grpc+proto");
    request.header("te", "trailers").body(()).unwrap()
}

/// Scenario 84: errors of ours in trailers-only responses.
#[test]
fn errors_are_told_in_trailers_only() {
    let silent = Http2Upstream::answering(async |_, respond: SendResponse<Bytes>| {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(respond);
    });
    let mut cluster = Cluster::default();
    cluster.policy.protocol = Some(UpstreamProtocol::Http2);
    cluster.service("none", &[]);
    cluster.service("refusing", &[refusing()]);
    cluster.service("silent", &[silent.address]);
    cluster.route(Some("a.example"), "/none", "none");
    cluster.route(Some("a.example"), "/refusing", "refusing");
    cluster.policy.read_timeout = Some(Duration::from_millis(300));
    cluster.route(Some("a.example"), "/silent", "silent");
    let proxy = Proxy::with_h2c(cluster);
    run(async {
        let mut client = connect(proxy.address).await;
        for (path, code) in [
            ("/none", "14"),
            ("/refusing", "14"),
            ("/silent", "4"),
            ("/nowhere", "12"),
            ("/a//../b", "13"),
        ] {
            let (response, mut sender) = client.send_request(call(path), false).unwrap();
            let message = Bytes::from_static(&[0, 0, 0, 0, 0]);
            let _ = sender.send_data(message, true);
            let response = response.await.unwrap();
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(response.headers()["grpc-status"], code, "{path}");
            assert_eq!(response.headers()["content-type"], "application/grpc");
            assert!(response.headers().contains_key("grpc-message"));
            assert!(response.body().is_end_stream(), "{path}");
        }
    });
}

/// What the endpoint itself answers passes as it is, trailers-only too.
#[test]
fn answers_of_the_endpoint_pass_untouched() {
    let upstream = Http2Upstream::answering(
        async |request: http::Request<_>, mut respond: SendResponse<Bytes>| {
            let response = Response::builder().header("content-type", "application/grpc");
            if request.uri().path() == "/only" {
                let response = response.header("grpc-status", "5").body(()).unwrap();
                respond.send_response(response, true).unwrap();
                return;
            }
            let mut sender = respond
                .send_response(response.body(()).unwrap(), false)
                .unwrap();
            sender
                .send_data(Bytes::from_static(&[0, 0, 0, 0, 1, 7]), false)
                .unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            sender.send_trailers(trailers).unwrap();
        },
    );
    let mut cluster = Cluster::default();
    cluster.policy.protocol = Some(UpstreamProtocol::Http2);
    cluster.service("web", &[upstream.address]);
    cluster.route(None, "/", "web");
    let proxy = Proxy::with_h2c(cluster);
    run(async {
        let mut client = connect(proxy.address).await;
        let (response, mut sender) = client.send_request(call("/only"), false).unwrap();
        sender.send_data(Bytes::new(), true).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "5");
        assert!(response.body().is_end_stream());
        let (response, mut sender) = client.send_request(call("/both"), false).unwrap();
        sender.send_data(Bytes::new(), true).unwrap();
        let (message, trailers) = body(response.await.unwrap()).await;
        assert_eq!(message, [0, 0, 0, 0, 1, 7]);
        assert_eq!(trailers.unwrap()["grpc-status"], "0");
    });
}

/// Scenario 84 with gRPC's own client and server (`python3-grpcio`).
#[test]
fn grpc_itself_makes_calls_of_every_kind() {
    let server = PythonServer::start("grpc.py");
    let mut cluster = Cluster::default();
    cluster.policy.protocol = Some(UpstreamProtocol::Http2);
    cluster.service("web", &[server.address]);
    cluster.service("none", &[]);
    cluster.route(None, "/", "web");
    cluster.route(None, "/test.Gone", "none");
    let proxy = Proxy::with_h2c(cluster);
    assert_eq!(
        talk("grpc.py", &["call", &proxy.address.to_string()]),
        "unary b'hello'\n\
         server stream 100\n\
         client stream 100\n\
         both ways 100\n\
         large 4000000\n\
         own error StatusCode.NOT_FOUND nobody here\n\
         deadline StatusCode.DEADLINE_EXCEEDED\n\
         cancelled upstream\n\
         no endpoints StatusCode.UNAVAILABLE\n"
    );
}
