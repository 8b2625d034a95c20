//! TLS from clients: who gets in, by which name, and what of it endpoints see.

mod misdirected;
mod passthrough;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use fairway_model::{Filter, HostPattern};
use fairway_proxy::{
    ClientAuth, Config, Handling, HostTls, Timeouts, TlsSettings, TlsTable, self_signed,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, DnValue, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use crate::client::PATIENCE;
use crate::cluster::Cluster;
use crate::proxy::Proxy;
use crate::upstream::{Upstream, wait_for};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(parameters, key).unwrap())
    }

    fn store(&self) -> Arc<RootCertStore> {
        let mut store = RootCertStore::empty();
        store.add(self.0.der().clone()).unwrap();
        Arc::new(store)
    }

    pub(crate) fn issue(&self, name: &str) -> (CertifiedKey, PrivateKeyDer<'static>) {
        self.issue_to(name, name)
    }

    fn issue_to(
        &self,
        name: &str,
        subject: impl Into<DnValue>,
    ) -> (CertifiedKey, PrivateKeyDer<'static>) {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        (parameters.distinguished_name).push(DnType::CommonName, subject);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![certificate.der().clone()];
        let certified = CertifiedKey::from_der(chain, der.clone_key(), &default_provider());
        (certified.unwrap(), der)
    }

    /// A client's side that trusts this authority; `identity` is what it shows.
    pub(crate) fn client(
        &self,
        identity: Option<(CertifiedKey, PrivateKeyDer<'static>)>,
    ) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.store());
        Arc::new(match identity {
            Some((certified, key)) => config.with_client_auth_cert(certified.cert, key).unwrap(),
            None => config.with_no_client_auth(),
        })
    }
}

pub(crate) fn exact(host: &str) -> HostPattern {
    HostPattern::Exact(host.into())
}

pub(crate) fn terminate(
    certificate: Option<CertifiedKey>,
    client_auth: Option<ClientAuth>,
) -> HostTls {
    HostTls {
        handling: Handling::Terminate {
            certificate: certificate.map(Arc::new),
            client_auth,
        },
        redirect: true,
    }
}

pub(crate) fn table(hosts: impl IntoIterator<Item = (HostPattern, HostTls)>) -> TlsTable {
    let default = Arc::new(self_signed().unwrap());
    let mut table = TlsTable::new(&TlsSettings::default(), default).unwrap();
    for (host, tls) in hosts {
        table.set(&host, Some(tls));
    }
    table
}

fn start(endpoint: SocketAddr, table: TlsTable) -> Proxy {
    start_with(crate::proxy::single(&[endpoint]), table)
}

fn start_with(cluster: Cluster, table: TlsTable) -> Proxy {
    let config = Config {
        https: vec!["127.0.0.1:0".parse().unwrap()],
        timeouts: Timeouts {
            handshake: Duration::from_millis(500),
            ..Timeouts::default()
        },
        ..Config::default()
    };
    let proxy = Proxy::configured(cluster, config);
    proxy.tls.store(Arc::new(table));
    proxy
}

pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

fn connect(proxy: &Proxy) -> TcpStream {
    let socket = TcpStream::connect(proxy.https.unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

pub(crate) fn open(proxy: &Proxy, name: &str, config: &Arc<ClientConfig>) -> Tls {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(
        ClientConnection::new(config.clone(), name).unwrap(),
        connect(proxy),
    )
}

/// A request; the response's head and body as text, or why there is none.
pub(crate) fn ask(tls: &mut Tls, host: &str, more: &str) -> std::io::Result<String> {
    write!(tls, "GET / HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")?;
    let mut text = String::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_ascii_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(text);
            }
        }
        match tls.read(&mut chunk)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => text.push_str(&String::from_utf8_lossy(&chunk[..count])),
        }
    }
}

fn failures(proxy: &Proxy, reason: &str) -> f64 {
    proxy.metric(&format!(
        "fairway_proxy_tls_handshake_failures_total{{reason=\"{reason}\"}}"
    ))
}

#[test]
fn only_clients_of_the_right_authority_get_in() {
    let upstream = Upstream::echo("a");
    let (server, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let auth = ClientAuth {
        authorities: clients.store(),
        optional: false,
    };
    let (certificate, _) = server.issue("secure.example");
    let host = terminate(Some(certificate), Some(auth));
    let proxy = start(upstream.address, table([(exact("secure.example"), host)]));

    let nobody = server.client(None);
    ask(
        &mut open(&proxy, "secure.example", &nobody),
        "secure.example",
        "",
    )
    .unwrap_err();
    let stranger = server.client(Some(strangers.issue("mallory")));
    ask(
        &mut open(&proxy, "secure.example", &stranger),
        "secure.example",
        "",
    )
    .unwrap_err();
    wait_for("two refusals", || {
        failures(&proxy, "no_client_certificate") + failures(&proxy, "client_certificate") == 2.0
    });

    let forged = "ssl-client-verify: SUCCESS\r\nssl-client-subject-dn: CN=root\r\n";
    for subject in [
        DnValue::from("alice"),
        // As authorities of Windows write names.
        DnValue::BmpString("alice".try_into().unwrap()),
    ] {
        let alice = server.client(Some(clients.issue_to("alice", subject)));
        let mut tls = open(&proxy, "secure.example", &alice);
        let response = ask(&mut tls, "secure.example", forged).unwrap();
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        let head = upstream.next_head();
        assert_eq!(head.header("ssl-client-verify"), Some("SUCCESS"));
        assert_eq!(head.header("ssl-client-subject-dn"), Some("CN=alice"));
        assert_eq!(head.header("x-forwarded-proto"), Some("https"));
    }
}

#[test]
fn who_may_come_without_a_certificate_is_told_apart() {
    let upstream = Upstream::echo("a");
    let (server, clients) = (Authority::new(), Authority::new());
    let auth = ClientAuth {
        authorities: clients.store(),
        optional: true,
    };
    let host = terminate(Some(server.issue("secure.example").0), Some(auth));
    let proxy = start(upstream.address, table([(exact("secure.example"), host)]));
    let nobody = server.client(None);
    ask(
        &mut open(&proxy, "secure.example", &nobody),
        "secure.example",
        "",
    )
    .unwrap();
    assert_eq!(
        upstream.next_head().header("ssl-client-verify"),
        Some("NONE")
    );
}

/// Whoever says more or less than we would, says it alone.
#[test]
fn strict_transport_security_is_said_once() {
    const NAME: &str = "strict-transport-security";
    let upstream = Upstream::start(|mut connection| {
        while let Some(head) = connection.head() {
            let own = match head.line.contains("/own") {
                true => "Strict-Transport-Security: max-age=1\r\n",
                false => "",
            };
            connection.answer(200, own, "");
        }
    });
    let server = Authority::new();
    let host = terminate(Some(server.issue("a.example").0), None);
    let proxy = start(upstream.address, table([(exact("a.example"), host)]));
    let client = server.client(None);
    for (path, said) in [("/", "max-age=31536000"), ("/own", "max-age=1")] {
        let mut tls = open(&proxy, "a.example", &client);
        write!(
            tls,
            "GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut response = String::new();
        tls.read_to_string(&mut response).unwrap();
        let lines = response.lines().filter_map(|line| line.split_once(": "));
        let lines = lines.filter(|(name, _)| name.eq_ignore_ascii_case(NAME));
        assert_eq!(
            lines.map(|(_, value)| value).collect::<Vec<_>>(),
            [said],
            "{response}"
        );
    }
}

#[test]
fn redirects_to_https_have_the_headers_of_their_route() {
    let upstream = Upstream::echo("a");
    let server = Authority::new();
    let secure = terminate(
        Some(server.issue("secure.example").0),
        Some(ClientAuth {
            authorities: Authority::new().store(),
            optional: false,
        }),
    );
    let hosts = [
        (
            exact("a.example"),
            terminate(Some(server.issue("a.example").0), None),
        ),
        (exact("secure.example"), secure),
    ];
    let mut cluster = Cluster::default();
    cluster.service("web", &[upstream.address]);
    cluster.filters = vec![Filter::SetResponseHeader("x-answer".into(), "1".into())];
    cluster.route(None, "/with", "web");
    cluster.filters = Vec::new();
    cluster.route(None, "/without", "web");
    let proxy = start_with(cluster, table(hosts));
    // Whether the host is redirected, or nobody is let in without TLS.
    for host in ["a.example", "secure.example"] {
        for (path, header) in [("/with", Some("1")), ("/without", None), ("/nowhere", None)] {
            let response = crate::client::get(proxy.address, host, path);
            assert_eq!(response.status, 308, "{host}{path}");
            assert_eq!(response.header("x-answer"), header, "{host}{path}");
            // Browsers ignore it in clear text, where anybody could have written it (RFC 6797 section 8.1).
            assert_eq!(response.header("strict-transport-security"), None);
        }
    }
}

#[test]
fn sessions_are_resumed_until_the_policy_changes() {
    let upstream = Upstream::echo("a");
    let server = Authority::new();
    let host = exact("a.example");
    let mut table = table([(
        host.clone(),
        terminate(Some(server.issue("a.example").0), None),
    )]);
    let proxy = start(upstream.address, table.clone());
    let client = server.client(None);
    let kind = || {
        let mut tls = open(&proxy, "a.example", &client);
        ask(&mut tls, "a.example", "").unwrap();
        tls.conn.handshake_kind()
    };
    assert_eq!(kind(), Some(HandshakeKind::Full));
    assert_eq!(kind(), Some(HandshakeKind::Resumed));
    table.set(
        &host,
        Some(terminate(Some(server.issue("a.example").0), None)),
    );
    proxy.tls.store(Arc::new(table));
    assert_ne!(kind(), Some(HandshakeKind::Resumed));
    assert_eq!(kind(), Some(HandshakeKind::Resumed));
}

#[test]
fn a_host_whose_policy_cannot_be_met_lets_nobody_in() {
    let upstream = Upstream::echo("a");
    let refuse = HostTls {
        handling: Handling::Refuse,
        redirect: false,
    };
    let proxy = start(upstream.address, table([(exact("secure.example"), refuse)]));
    let client = Authority::new().client(None);
    ask(
        &mut open(&proxy, "secure.example", &client),
        "secure.example",
        "",
    )
    .unwrap_err();
    wait_for("a refusal", || failures(&proxy, "unavailable") == 1.0);
}

/// A ClientHello as it goes over the wire.
fn hello(name: &str) -> Vec<u8> {
    let config = Authority::new().client(None);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(config, name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_no_handshake_ends_soon_and_is_counted() {
    assert_eq!(Timeouts::default().handshake, Duration::from_secs(10));
    let upstream = Upstream::echo("a");
    let proxy = start(upstream.address, table([]));
    // Begins as a handshake record of the greatest length, and never becomes a ClientHello.
    let mut endless = vec![22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff];
    endless.resize(64 * 1024, 0);
    // TLS 1.0, and one cipher of that time.
    let mut old = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1];
    old.extend([7; 32]);
    old.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    let unfinished = &hello("a.example")[..50];
    for (bytes, reason, answer) in [
        (&b"\x80garbage"[..], "not_tls", &b""[..]),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "clear_text",
            b"HTTP/1.1 400 ",
        ),
        (&endless, "hello_too_large", b""),
        (unfinished, "timeout", b""),
        // A fatal alert.
        (&old, "incompatible", &[21, 3, 3, 0, 2, 2]),
    ] {
        let mut client = connect(&proxy);
        // The rest may meet a closed door.
        let _ = client.write_all(bytes);
        let mut said = Vec::new();
        let _ = client.read_to_end(&mut said);
        let like = |said: &[u8]| match answer {
            [21, ..] => said.len() == 7 && said.starts_with(answer),
            answer => said.starts_with(answer),
        };
        assert!(like(&said), "{reason}: {said:?}");
        wait_for(reason, || failures(&proxy, reason) == 1.0);
    }
    let server = Authority::new();
    // Others are served as before.
    let mut table = table([]);
    table.set(
        &exact("a.example"),
        Some(terminate(Some(server.issue("a.example").0), None)),
    );
    proxy.tls.store(Arc::new(table));
    ask(
        &mut open(&proxy, "a.example", &server.client(None)),
        "a.example",
        "",
    )
    .unwrap();
}

#[test]
fn what_is_spoken_is_agreed_on_or_http_1() {
    let upstream = Upstream::echo("a");
    let server = Authority::new();
    let certificate = terminate(Some(server.issue("a.example").0), None);
    let proxy = start(upstream.address, table([(exact("a.example"), certificate)]));
    let offers: [(&[&str], _); 5] = [
        (&["h2", "http/1.1"], Ok(Some("h2"))),
        (&["http/1.1", "h2"], Ok(Some("h2"))),
        (&["unknown", "http/1.1"], Ok(Some("http/1.1"))),
        (&[], Ok(None)),
        // RFC 7301: whoever offers names and nothing that we speak is told so.
        (
            &["unknown"],
            Err(rustls::AlertDescription::NoApplicationProtocol),
        ),
    ];
    for (offer, expected) in offers {
        let mut config = Arc::unwrap_or_clone(server.client(None));
        config.alpn_protocols = offer.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut tls = open(&proxy, "a.example", &Arc::new(config));
        let agreed = match tls.conn.complete_io(&mut tls.sock) {
            Ok(_) => Ok(tls.conn.alpn_protocol().map(<[u8]>::to_vec)),
            Err(error) => match error.downcast() {
                Ok(rustls::Error::AlertReceived(alert)) => Err(alert),
                other => panic!("{offer:?}: {other:?}"),
            },
        };
        let expected = expected.map(|name| name.map(|name| name.as_bytes().to_vec()));
        assert_eq!(agreed, expected, "{offer:?}");
        if agreed == Ok(None) {
            assert!(ask(&mut tls, "a.example", "").unwrap().ends_with("a:"));
        }
    }
}

/// No client of ours sends one, so it is put into a ClientHello; TLS 1.2 shows the certificate.
#[test]
fn a_dot_at_the_end_of_a_name_does_not_matter() {
    let upstream = Upstream::echo("a");
    let (certified, _) = Authority::new().issue("a.example");
    let der = certified.cert[0].clone();
    let certificate = terminate(Some(certified), None);
    let proxy = start(upstream.address, table([(exact("a.example"), certificate)]));
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    for (last, known) in [(b'.', true), (b'x', false)] {
        let name = ServerName::try_from("a.examplex").unwrap();
        let mut connection = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
        let mut hello = Vec::new();
        connection.write_tls(&mut hello).unwrap();
        let at = hello.windows(10).position(|window| window == b"a.examplex");
        hello[at.unwrap() + 9] = last;
        let mut client = connect(&proxy);
        client.write_all(&hello).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = Vec::new();
        client.read_to_end(&mut said).unwrap();
        let shown = said.windows(der.len()).any(|window| window == &der[..]);
        assert_eq!(shown, known);
    }
}
