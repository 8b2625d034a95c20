use data_encoding::BASE64;

use super::Object;
use crate::certificates::Issued;

/// Marks a Secret under construction.
#[derive(Clone, Debug)]
pub enum Secret {}

/// A Secret of a type, without data yet.
pub fn secret(name: &str, kind: &str) -> Object<Secret> {
    Object::new("v1", "Secret", name).set("", "type", kind)
}

/// A Secret with a certificate and its key.
pub fn tls_secret(name: &str, issued: &Issued) -> Object<Secret> {
    secret(name, "kubernetes.io/tls")
        .field("tls.crt", &issued.chain)
        .field("tls.key", &issued.key)
}

impl Object<Secret> {
    /// A field of `data`, encoded as it must be.
    pub fn field(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.set("/data", name, BASE64.encode(value.as_ref()))
    }
}
