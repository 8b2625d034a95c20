//! A TLS client that accepts any certificate and says which one it was.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use fairway_testkit::lab::Namespace;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open connection.
pub(super) struct Tls {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

/// What clients have in common; those that share one resume each other's sessions.
pub(super) fn config() -> Arc<ClientConfig> {
    let provider = Arc::new(default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config.dangerous();
    let config = config.with_custom_certificate_verifier(Arc::new(Anybody(provider)));
    Arc::new(config.with_no_client_auth())
}

impl Tls {
    /// Does a handshake. Without a name none is sent.
    pub(super) fn open(
        ns: &Namespace,
        server: SocketAddr,
        name: Option<&str>,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let socket = ns.run(|| TcpStream::connect_timeout(&server, PATIENCE))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_nodelay(true)?;
        let name = match name {
            Some(name) => ServerName::try_from(name.to_owned()).unwrap(),
            // Addresses are never sent.
            None => ServerName::from(server.ip()),
        };
        let connection = ClientConnection::new(config.clone(), name).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream })
    }

    /// The server's certificate.
    pub(super) fn certificate(&self) -> Vec<u8> {
        let chain = self.stream.conn.peer_certificates();
        chain.and_then(<[_]>::first).unwrap().to_vec()
    }

    /// How many certificates the server sent.
    pub(super) fn chain_length(&self) -> usize {
        let chain = self.stream.conn.peer_certificates();
        chain.unwrap_or_default().len()
    }

    /// The status of a GET request; the connection stays open.
    pub(super) fn get(&mut self, host: &str, path: &str) -> io::Result<u16> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        self.stream.write_all(request.as_bytes())?;
        let mut response = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&response);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let lower = head.to_ascii_lowercase();
                let length = lower
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
                    return status.ok_or_else(|| io::Error::other(head.to_owned()));
                }
            }
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => response.extend(&chunk[..count]),
            }
        }
    }
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
