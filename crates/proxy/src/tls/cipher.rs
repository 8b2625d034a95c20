use rustls::{CipherSuite, CommonState, ProtocolVersion};

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cipher {
    protocol: ProtocolVersion,
    suite: CipherSuite,
}

impl Cipher {
    /// None before the handshake is over.
    pub(super) fn of(connection: &CommonState) -> Option<Self> {
        Some(Self {
            protocol: connection.protocol_version()?,
            suite: connection.negotiated_cipher_suite()?.suite(),
        })
    }

    /// As nginx' `$ssl_protocol`.
    pub(crate) fn protocol(self) -> &'static str {
        match self.protocol {
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            other => other.as_str().unwrap_or_default(),
        }
    }

    /// As nginx' `$ssl_cipher`: OpenSSL's name.
    pub(crate) fn suite(self) -> &'static str {
        use CipherSuite as Suite;
        match self.suite {
            Suite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
            Suite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
            Suite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
            Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
            Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
            Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
            Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
            Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
            Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
            other => other.as_str().unwrap_or_default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            protocol: ProtocolVersion::TLSv1_3,
            suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
        }
    }
}
