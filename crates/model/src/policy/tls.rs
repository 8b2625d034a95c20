use std::sync::Arc;

use crate::{CertificateChoice, ClientAuthPolicy, TlsHandling, TlsPolicy};

/// What can be set of a host's TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Whose certificates clients have to show; `Some(None)` lets in everybody.
    pub client_auth: Option<Option<ClientAuthPolicy>>,
    /// Whether the endpoints of the host's path `/` do TLS themselves.
    pub passthrough: Option<bool>,
    /// Nobody is let in, whatever another policy says: it is not known what this one wants.
    pub refuse: bool,
}

impl TlsSettings {
    /// Takes over what a more specific policy sets.
    pub(super) fn overlay(&mut self, specific: &Self) {
        let Self {
            client_auth,
            passthrough,
            refuse,
        } = specific;
        if client_auth.is_some() {
            self.client_auth.clone_from(client_auth);
        }
        self.passthrough = passthrough.or(self.passthrough);
        self.refuse |= refuse;
    }

    /// Sets what there is to set. A host of which nobody said anything gets TLS with the default
    /// certificate if clients have to show theirs.
    pub(super) fn apply(&self, tls: &mut Option<Arc<TlsPolicy>>) {
        let undeclared = || TlsPolicy::terminate(CertificateChoice::Default);
        let of_others = match self.passthrough {
            _ if self.refuse => Some(TlsHandling::Refuse),
            Some(true) => Some(TlsHandling::Passthrough),
            Some(false) | None => None,
        };
        if let Some(handling) = of_others {
            let redirect = tls.as_ref().and_then(|tls| tls.redirect);
            *tls = Some(Arc::new(TlsPolicy { handling, redirect }));
            return;
        }
        let Some(wanted) = &self.client_auth else {
            return;
        };
        if wanted.is_none() && tls.is_none() {
            return;
        }
        let mut policy = tls.as_deref().cloned().unwrap_or_else(undeclared);
        if let TlsHandling::Terminate { client_auth, .. } = &mut policy.handling {
            client_auth.clone_from(wanted);
        }
        *tls = Some(Arc::new(policy));
    }
}
