//! `clientCertificates`: which clients are let in.

use fairway_model::{ClientAuthPolicy, ObjectName, SecretRef};
use serde::Deserialize;

use super::{Wrong, text};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ClientCertificatesDocument {
    #[serde(default)]
    mode: Mode,
    /// The Secret whose `ca.crt` holds the authorities.
    #[serde(default, deserialize_with = "text::object")]
    authorities: Option<ObjectName>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Mode {
    #[default]
    Required,
    Optional,
    None,
}

impl ClientCertificatesDocument {
    /// None lets in everybody.
    pub(super) fn policy(self) -> Result<Option<ClientAuthPolicy>, Wrong> {
        let field = "clientCertificates.authorities".to_owned();
        match (self.mode, self.authorities) {
            (Mode::None, None) => Ok(None),
            (Mode::None, Some(_)) => Err((field, "with mode none nobody asks for them".to_owned())),
            (_, None) => Err((
                field,
                "names the namespace and the Secret with the authorities (ca.crt), like shop/clients"
                    .to_owned(),
            )),
            (mode, Some(secret)) => Ok(Some(ClientAuthPolicy {
                authorities: SecretRef(secret),
                optional: mode == Mode::Optional,
            })),
        }
    }
}
