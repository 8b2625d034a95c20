//! The name in a ClientHello that rustls does not take, because it could not serve the client.
//!
//! What is not exactly as RFC 8446 section 4.1.2 and RFC 6066 section 3 have it names nobody.

use rustls::pki_types::DnsName;

/// Of records.
const HANDSHAKE: u8 = 22;
/// Of handshake messages.
const CLIENT_HELLO: u8 = 1;
/// Of extensions.
const SERVER_NAME: usize = 0;
/// Of names in that extension.
const HOST_NAME: u8 = 0;

/// The name that the client asks for, in lower case. `records` begin with a whole ClientHello.
pub(super) fn of_hello(records: &[u8]) -> Option<Box<str>> {
    let message = message(records)?;
    let mut hello = Bytes(&message);
    let _version_and_random = hello.take(2 + 32)?;
    let _session = hello.vector(1)?;
    let _ciphers = hello.vector(2)?;
    let _compressions = hello.vector(1)?;
    let mut extensions = Bytes(hello.only_vector(2)?);
    let mut found = None;
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let extension = extensions.vector(2)?;
        if kind == SERVER_NAME && found.replace(extension).is_some() {
            return None;
        }
    }
    let mut names = Bytes(Bytes(found?).only_vector(2)?);
    let mut name = None;
    // How long names of other types are is not known, so that nothing can be found behind one.
    while names.take(1) == Some(&[HOST_NAME]) {
        if name.replace(names.vector(2)?).is_some() {
            return None;
        }
    }
    let name = DnsName::try_from(name?).ok()?.to_lowercase_owned();
    Some(name.as_ref().into())
}

/// What is in the ClientHello, however many records it is cut into.
fn message(records: &[u8]) -> Option<Vec<u8>> {
    let mut records = Bytes(records);
    let mut joined = Vec::new();
    loop {
        if records.take(1)? != [HANDSHAKE] {
            return None;
        }
        let _version = records.take(2)?;
        joined.extend(records.vector(2)?);
        let mut message = Bytes(&joined);
        if message.take(1).is_some_and(|kind| kind != [CLIENT_HELLO]) {
            return None;
        }
        if let Some(content) = message.vector(3) {
            return Some(content.to_vec());
        }
    }
}

/// Bytes that are still to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of so many bytes, three at most.
    fn number(&mut self, size: usize) -> Option<usize> {
        let bytes = self.take(size)?.iter();
        Some(bytes.fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// What follows its length.
    fn vector(&mut self, size: usize) -> Option<&'a [u8]> {
        let length = self.number(size)?;
        self.take(length)
    }

    /// The same, with nothing behind it.
    fn only_vector(&mut self, size: usize) -> Option<&'a [u8]> {
        self.vector(size).filter(|_| self.0.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::server::Acceptor;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;

    /// What a client sends first.
    fn hello() -> Vec<u8> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = "A.pass.example".try_into().unwrap();
        let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes).unwrap();
        bytes
    }

    /// The same in records of so many bytes.
    fn cut(hello: &[u8], size: usize) -> Vec<u8> {
        let records = hello[5..].chunks(size).map(|piece| {
            let length = u16::try_from(piece.len()).unwrap().to_be_bytes();
            [&[HANDSHAKE, 3, 1], &length[..], piece].concat()
        });
        records.collect::<Vec<_>>().concat()
    }

    /// What rustls finds; None where it takes no such ClientHello.
    fn of_rustls(bytes: &[u8]) -> Option<Option<Box<str>>> {
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut &*bytes).ok()?;
        let accepted = acceptor.accept().ok()??;
        Some(accepted.client_hello().server_name().map(Box::from))
    }

    #[test]
    fn the_name_is_found_in_records_of_every_size() {
        let hello = hello();
        for size in [1, 2, 3, 4, 5, 100, hello.len()] {
            let found = of_hello(&cut(&hello, size));
            assert_eq!(found.as_deref(), Some("a.pass.example"), "{size}");
        }
        // More may follow.
        let more = [&hello[..], b"more"].concat();
        assert_eq!(of_hello(&more).as_deref(), Some("a.pass.example"));
    }

    #[test]
    fn what_is_cut_short_names_nobody() {
        let hello = hello();
        for bytes in [hello.clone(), cut(&hello, 7)] {
            for length in 0..bytes.len() {
                assert_eq!(of_hello(&bytes[..length]), None, "{length}");
            }
        }
    }

    #[test]
    fn where_rustls_takes_a_hello_both_find_the_same_name() {
        let hello = hello();
        let mut taken = 0;
        for at in 0..hello.len() {
            for change in [1, 2, 0x20, 0x80, 0xff] {
                let mut changed = hello.clone();
                changed[at] ^= change;
                let found = of_hello(&changed);
                if let Some(expected) = of_rustls(&changed) {
                    assert_eq!(found, expected, "byte {at} changed by {change}");
                    taken += 1;
                }
            }
        }
        assert!(taken > hello.len(), "{taken}");
    }
}
