//! What a connection costs that has asked once and now waits: the proxy's memory with and without ten
//! thousand of them. What the kernel keeps of a socket is not part of it.
//!
//! ```text
//! cargo bench -p fairway-proxy --bench idle_connections [-- --quick]
//! ```
//!
//! With `--quick`, and without `--bench`, as when tests are built, a few connections are opened, and nothing is
//! claimed.

#[path = "../tests/proxy/cluster.rs"]
#[allow(dead_code)]
mod cluster;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use arc_swap::ArcSwap;
use fairway_proxy::{AccessLog, Config, Metrics, TlsSettings, TlsTable, bind, self_signed};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

type Fallible<T> = Result<T, Box<dyn Error>>;

const CONNECTIONS: usize = 10_000;

/// Opened and closed before the first look, so that what is kept in any case is there.
const WARM_UP: usize = 200;

const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

fn main() -> Fallible<()> {
    if let Ok(endpoint) = env::var("IDLE_CONNECTIONS_SERVE") {
        return serve(endpoint.parse()?);
    }
    let told = |name: &str| env::args().any(|argument| argument == name);
    let count = match told("--bench") && !told("--quick") {
        true => CONNECTIONS,
        false => 100,
    };
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )?;
    let tls = Arc::new(client_tls()?);
    for (name, tls) in [("clear text", None), ("TLS 1.3", Some(tls))] {
        let server = Server::start(endpoint()?)?;
        let open = |count: usize| -> Fallible<Vec<Connection>> {
            (0..count)
                .map(|_| Connection::open(&server, tls.as_ref()))
                .collect()
        };
        drop(open(WARM_UP.min(count))?);
        let before = server.settled()?;
        let open = open(count)?;
        let after = server.settled()?;
        let each = after.saturating_sub(before) / open.len() as u64;
        println!(
            "{name}: {} connections, {each} bytes each ({before} -> {after})",
            open.len()
        );
    }
    Ok(())
}

/// Answers every request with a few bytes, in a thread for each connection.
fn endpoint() -> Fallible<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut head = [0; 4096];
                while matches!(stream.read(&mut head), Ok(1..)) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(address)
}

/// The proxy in a process of its own, so that nothing else is measured.
struct Server {
    process: Child,
    http: SocketAddr,
    https: SocketAddr,
}

impl Server {
    fn start(endpoint: SocketAddr) -> Fallible<Self> {
        let mut process = Command::new(env::current_exe()?)
            .env("IDLE_CONNECTIONS_SERVE", endpoint.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut address =
            || -> Fallible<SocketAddr> { Ok(lines.next().ok_or("no address")??.parse()?) };
        Ok(Self {
            http: address()?,
            https: address()?,
            process,
        })
    }

    /// Resident bytes that are not pages of a file, once they have not changed for a second.
    fn settled(&self) -> Fallible<u64> {
        let mut last = 0;
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_secs(1) {
            let path = format!("/proc/{}/status", self.process.id());
            let status = fs::read_to_string(path)?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("RssAnon:"));
            let kilobytes = line.and_then(|line| line.split_ascii_whitespace().next());
            let bytes = kilobytes.ok_or("no RssAnon")?.parse::<u64>()? * 1024;
            if bytes != last {
                (last, since) = (bytes, Instant::now());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(last)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn serve(endpoint: SocketAddr) -> Fallible<()> {
    let mut cluster = cluster::Cluster::default();
    cluster.service("web", &[endpoint]);
    cluster.route(None, "/", "web");
    let any = || vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let bound = bind(Config {
        http: any(),
        https: any(),
        workers: 2,
        access_log: AccessLog::Off,
        ..Config::default()
    })?;
    let (http, https) = (bound.local_addresses()[0], bound.https_addresses()[0]);
    let routes = Arc::new(ArcSwap::from(cluster.index()));
    let tls = TlsTable::new(&TlsSettings::default(), Arc::new(self_signed()?))?;
    let _handle = bound.serve(
        routes,
        Arc::new(ArcSwap::from_pointee(tls)),
        Metrics::default(),
    )?;
    println!("{http}\n{https}");
    let _ = std::io::stdin().read(&mut [0]);
    Ok(())
}

/// A client that has been answered once.
enum Connection {
    Clear(#[expect(dead_code, reason = "kept open")] TcpStream),
    Tls(#[expect(dead_code, reason = "kept open")] Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connection {
    fn open(server: &Server, tls: Option<&Arc<ClientConfig>>) -> Fallible<Self> {
        let Some(tls) = tls else {
            let mut stream = TcpStream::connect(server.http)?;
            ask(&mut stream)?;
            return Ok(Self::Clear(stream));
        };
        let name = ServerName::try_from("a.example")?;
        let connection = ClientConnection::new(tls.clone(), name)?;
        let stream = TcpStream::connect(server.https)?;
        let mut stream = Box::new(StreamOwned::new(connection, stream));
        ask(&mut stream)?;
        Ok(Self::Tls(stream))
    }
}

fn ask(stream: &mut (impl Read + Write)) -> Fallible<()> {
    stream.write_all(REQUEST)?;
    stream.flush()?;
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while !answer.ends_with(b"hello") {
        match stream.read(&mut piece)? {
            0 => return Err("closed".into()),
            count => answer.extend_from_slice(&piece[..count]),
        }
    }
    Ok(())
}

fn client_tls() -> Fallible<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificate is not what is measured.
#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
