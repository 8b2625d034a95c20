//! TLS to endpoints.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use fairway_model::{UpstreamProtocol, UpstreamTls};
use h2::server::Builder;
use http::Response;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::client::get;
use crate::cluster::Cluster;
use crate::proxy::Proxy;

const NAME: &str = "web.example";

/// An endpoint with a certificate for [`NAME`], which answers with the name it was asked for.
struct Server {
    address: SocketAddr,
    /// Its certificate, in PEM.
    certificate: String,
    /// How kept connections ended.
    ends: Receiver<Result<usize, ErrorKind>>,
}

impl Server {
    fn start(alpn: &[&str]) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::from(key))
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ends) = channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (acceptor, end) = (acceptor.clone(), end.clone());
                    tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, end).await;
                        }
                    });
                }
            });
        });
        Self {
            address,
            certificate: made.cert.pem(),
            ends,
        }
    }
}

async fn serve(
    mut stream: TlsStream<tokio::net::TcpStream>,
    end: Sender<Result<usize, ErrorKind>>,
) {
    let (_, session) = stream.get_ref();
    let asked = session.server_name().unwrap_or("nobody").to_owned();
    if session.alpn_protocol() == Some(b"h2") {
        let mut connection = Builder::new().handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let text = format!("{:?} for {asked}", request.uri().scheme_str());
            let mut sender = respond.send_response(Response::new(()), false).unwrap();
            sender.send_data(Bytes::from(text), true).unwrap();
        }
        return;
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    let text = format!("1.1 for {asked}");
    let length = text.len();
    let is_kept = head.starts_with(b"GET /keep");
    let connection = if is_kept { "keep-alive" } else { "close" };
    let answer = format!(
        "HTTP/1.1 200 OK\r\nConnection: {connection}\r\nContent-Length: {length}\r\n\r\n{text}"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    if is_kept {
        let read = stream.read(&mut [0]).await;
        let _ = end.send(read.map_err(|error| error.kind()));
        return;
    }
    let _ = stream.shutdown().await;
}

fn ask(server: &Server, protocol: UpstreamProtocol, tls: UpstreamTls) -> (u16, String) {
    let mut cluster = Cluster::default();
    cluster.policy.protocol = Some(protocol);
    cluster.policy.tls = tls;
    cluster.service("web", &[server.address]);
    cluster.route(None, "/", "web");
    let proxy = Proxy::start(cluster);
    let response = get(proxy.address, "a", "/");
    (response.status, response.body)
}

fn policy(server_name: Option<&str>, authorities: Option<&str>) -> UpstreamTls {
    UpstreamTls {
        server_name: server_name.map(Arc::from),
        authorities: authorities.map(Arc::from),
    }
}

#[test]
fn without_a_policy_any_certificate_will_do() {
    let server = Server::start(&[]);
    let answer = ask(&server, UpstreamProtocol::Https, policy(None, None));
    assert_eq!(answer, (200, "1.1 for nobody".into()));
    let answer = ask(&server, UpstreamProtocol::Https, policy(Some(NAME), None));
    assert_eq!(answer, (200, format!("1.1 for {NAME}")));
}

#[test]
fn with_authorities_the_endpoint_has_to_be_who_it_should() {
    let server = Server::start(&["h2", "http/1.1"]);
    let stranger = Server::start(&[]);
    let own = Some(&*server.certificate);
    let ask = |tls| ask(&server, UpstreamProtocol::Https, tls);
    assert_eq!(
        ask(policy(Some(NAME), own)),
        (200, format!("1.1 for {NAME}"))
    );
    for tls in [
        policy(Some("other.example"), own),
        policy(None, own),
        policy(Some(NAME), Some(&stranger.certificate)),
    ] {
        assert_eq!(ask(tls.clone()).0, 502, "{tls:?}");
    }
    assert_eq!(ask(policy(Some(NAME), Some("no certificate"))).0, 503);
}

#[test]
fn http_2_is_agreed_on_or_the_endpoint_is_not_used() {
    let server = Server::start(&["h2"]);
    let answer = ask(&server, UpstreamProtocol::Http2Tls, policy(None, None));
    assert_eq!(answer, (200, "Some(\"https\") for nobody".into()));
    let old = Server::start(&["http/1.1"]);
    let answer = ask(&old, UpstreamProtocol::Http2Tls, policy(None, None));
    assert_eq!(answer.0, 502);
}

#[test]
fn an_idle_connection_that_nobody_needs_ends_as_tls_wants_it() {
    let server = Server::start(&[]);
    let mut cluster = Cluster::default();
    cluster.policy.protocol = Some(UpstreamProtocol::Https);
    cluster.service("web", &[server.address]);
    cluster.route(None, "/", "web");
    let mut proxy = Proxy::start(cluster);
    assert_eq!(get(proxy.address, "a", "/keep").status, 200);
    proxy.cluster.service("web", &[]);
    proxy.apply();
    let end = server.ends.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(end, Ok(0));
}
