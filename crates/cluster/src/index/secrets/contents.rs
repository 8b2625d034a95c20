//! What one Secret gives, and what is wrong with it.

use std::sync::Arc;

use fairway_model::{ObjectName, TlsHandling};

use super::validity::judge;
use super::{Secrets, Told, list};
use crate::Kind;
use crate::problem::{Problem, Reason, Report};
use crate::tls::{Certificate, authorities};

impl Secrets {
    /// Brings what a Secret gives up to date. Returns whether that differs from before, and what is
    /// wrong.
    pub(super) fn look_at(&mut self, name: &ObjectName) -> (bool, Vec<Problem>) {
        let mut report = Report::new(Kind::Secret.as_str(), name.clone());
        let changed = match self.told.get(name) {
            Some(Told::Present(_)) => self.read(name, &mut report),
            Some(Told::Unavailable(why, last)) => {
                let (why, known) = (why.clone(), last.is_some());
                let changed = known && self.read(name, &mut report);
                let kept = match self.certificates.certificates.contains_key(name) {
                    true => "its last good certificate stays in use",
                    false => "the default certificate is served in its place",
                };
                report.add(
                    Reason::SecretNotFound,
                    "",
                    format_args!("cannot be had: {why}; {kept}"),
                );
                changed
            }
            Some(Told::Absent) => self.remove(name, &mut report),
            None if self.complete => self.remove(name, &mut report),
            // Asked for, not answered yet.
            None => false,
        };
        (changed, report.finish())
    }

    fn read(&mut self, name: &ObjectName, report: &mut Report) -> bool {
        let certificate = self.read_certificate(name, report);
        self.read_authorities(name, report) | certificate
    }

    fn remove(&mut self, name: &ObjectName, report: &mut Report) -> bool {
        report.add(
            Reason::SecretNotFound,
            "",
            format_args!(
                "does not exist; {} the default certificate until it does",
                self.who_gets(name)
            ),
        );
        let certificate = self.certificates.certificates.remove(name).is_some();
        self.certificates.authorities.remove(name).is_some() || certificate
    }

    fn read_certificate(&mut self, name: &ObjectName, report: &mut Report) -> bool {
        let shown = self.is_shown(name);
        let told = self.told.get(name).filter(|_| shown);
        let Some(secret) = told.and_then(Told::secret) else {
            return self.certificates.certificates.remove(name).is_some();
        };
        let known = self.certificates.certificates.get(name);
        if let Some(known) = known.filter(|known| known.is_of(secret)) {
            judge(known, self.now, report);
            return false;
        }
        match Certificate::parse(secret) {
            Ok(certificate) => {
                judge(&certificate, self.now, report);
                let certificate = Arc::new(certificate);
                self.certificates
                    .certificates
                    .insert(name.clone(), certificate);
                true
            }
            Err(error) => {
                let follows = match known {
                    Some(_) => "its last good certificate stays in use".to_owned(),
                    None => format!("{} the default certificate", self.who_gets(name)),
                };
                report.add(
                    Reason::InvalidCertificate,
                    error.field(),
                    format_args!("{error}; {follows}"),
                );
                false
            }
        }
    }

    fn read_authorities(&mut self, name: &ObjectName, report: &mut Report) -> bool {
        let wanted = self.is_authority(name);
        let told = self.told.get(name).filter(|_| wanted);
        let Some(secret) = told.and_then(Told::secret) else {
            return self.certificates.authorities.remove(name).is_some();
        };
        let known = self.certificates.authorities.get(name);
        match authorities(secret) {
            Ok(new) if known.is_some_and(|known| known.roots == new.roots) => false,
            Ok(new) => {
                self.certificates.authorities.insert(name.clone(), new);
                true
            }
            Err(error) => {
                let follows = match known {
                    Some(_) => "its last good authorities stay in use",
                    None => "no client is let in by TLS until it is corrected",
                };
                report.add(
                    Reason::InvalidCertificate,
                    error.field(),
                    format_args!("{error}; {follows}"),
                );
                false
            }
        }
    }

    /// Whether a host or the default shows the Secret's certificate.
    fn is_shown(&self, name: &ObjectName) -> bool {
        self.certificates.default.as_ref() == Some(name)
            || self.policies_with(name).any(|policy| {
                matches!(&policy.handling, TlsHandling::Terminate { certificate, .. }
                    if certificate.secrets().iter().any(|secret| secret.0 == *name))
            })
    }

    /// Whether a host lets in clients by the Secret's authorities.
    fn is_authority(&self, name: &ObjectName) -> bool {
        self.policies_with(name).any(|policy| {
            matches!(&policy.handling, TlsHandling::Terminate { client_auth: Some(auth), .. }
                if auth.authorities.0 == *name)
        })
    }

    /// The hosts that suffer, as the subject of a sentence.
    fn who_gets(&self, name: &ObjectName) -> String {
        let hosts = self.users.get(name).into_iter().flatten();
        let (listed, tried): (Vec<_>, Vec<_>) = hosts.partition(|host| {
            let policy = self.policies.get(host);
            policy.is_some_and(|policy| policy.lists_host())
        });
        let hosts = if listed.is_empty() { tried } else { listed };
        let hosts: Vec<String> = hosts.into_iter().map(ToString::to_string).collect();
        match hosts.as_slice() {
            [] => "clients without a certificate of their own get".to_owned(),
            [host] => format!("{host} is served with"),
            hosts => format!("{} are served with", list(hosts)),
        }
    }
}
