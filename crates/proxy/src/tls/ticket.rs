use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::ProducesTickets;

/// Names one version of one host's policy.
type Tag = [u8; 16];

/// Tickets that are good for one version of one host's policy only.
///
/// All are sealed with the same rotating keys, but say inside what they were issued for. A session that
/// began before a certificate was replaced, or before clients had to have one, is thus not resumed: its
/// client does a full handshake, and is judged by what is in force now.
#[derive(Debug)]
pub(super) struct BoundTickets {
    tag: Tag,
    sealed: Arc<dyn ProducesTickets>,
}

impl BoundTickets {
    /// Tickets for something new. Without randomness there are none, and all handshakes are full.
    pub(super) fn bind(
        sealed: &Arc<dyn ProducesTickets>,
        provider: &CryptoProvider,
    ) -> Arc<dyn ProducesTickets> {
        let mut tag = Tag::default();
        match provider.secure_random.fill(&mut tag) {
            Ok(()) => Arc::new(Self {
                tag,
                sealed: sealed.clone(),
            }),
            Err(_) => Arc::new(NoTickets),
        }
    }
}

impl ProducesTickets for BoundTickets {
    fn enabled(&self) -> bool {
        self.sealed.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.sealed.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.sealed.encrypt(&[&self.tag, plain].concat())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let mut plain = self.sealed.decrypt(cipher)?;
        if !plain.starts_with(&self.tag) {
            return None;
        }
        plain.drain(..self.tag.len());
        Some(plain)
    }
}

#[derive(Debug)]
struct NoTickets;

impl ProducesTickets for NoTickets {
    fn enabled(&self) -> bool {
        false
    }

    fn lifetime(&self) -> u32 {
        0
    }

    fn encrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn decrypt(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};

    use super::*;

    #[test]
    fn a_ticket_is_for_what_it_was_issued_for() {
        let sealed = Ticketer::new().unwrap();
        let provider = default_provider();
        let one = BoundTickets::bind(&sealed, &provider);
        let other = BoundTickets::bind(&sealed, &provider);
        let ticket = one.encrypt(b"session").unwrap();
        assert_eq!(one.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(other.decrypt(&ticket), None);
        // Sealed by the same keys, but not bound to anything.
        assert_eq!(one.decrypt(&sealed.encrypt(b"short").unwrap()), None);
        assert_eq!(one.decrypt(b"garbage"), None);
    }
}
