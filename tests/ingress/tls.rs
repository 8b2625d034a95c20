//! HTTPS: which certificate a client gets, and what becomes of the others when one is wrong.

mod client;
mod keys;

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fairway_testkit::apiserver::{Fault, Verb};
use fairway_testkit::certificates::{Authority, Issued};
use fairway_testkit::objects::{self, ingress, tls_secret};
use fairway_testkit::{Lab, lab};
use rustls::ClientConfig;
use serde_json::Value;

use super::site::Site;
use crate::support::{Cluster, Feed, becomes, fed_both_ways};
use client::Tls;

fed_both_ways!(
    the_name_picks_the_certificate,
    curl_verifies_what_it_gets,
    hosts_with_tls_are_served_by_https_only,
    a_certificate_authority_gets_its_proof_in_clear_text,
    a_secret_that_appears_late_is_used_at_once,
    a_broken_update_leaves_the_last_good_certificate,
    broken_secrets_hurt_nobody_else,
    certificates_change_under_load_without_a_failed_handshake,
    the_default_certificate_comes_from_its_secret,
);

/// A cluster with a Service `web` and an Ingress that wants certificates.
struct Secure {
    site: Site,
    root: Authority,
}

impl Secure {
    const HTTPS: u16 = 8443;

    fn start(feed: Feed, secrets: impl FnOnce(&Authority) -> Vec<Value>) -> Self {
        Self::start_with(feed, &[], secrets)
    }

    fn start_with(
        feed: Feed,
        flags: &[&str],
        secrets: impl FnOnce(&Authority) -> Vec<Value>,
    ) -> Self {
        let lab = Lab::builder().nodes(1).pod("web", "node-1");
        let cluster = Cluster::new(feed, lab).with_flags(flags);
        let site = Site::new(cluster);
        let root = Authority::new("test root").unwrap();
        site.apply_apps(&["web"]);
        site.apply("secrets", secrets(&root));
        site.apply(
            "ingress",
            [ingress("web")
                .class("fairway")
                .prefix("web.example", "/", "web", 80)
                .prefix("*.wild.example", "/", "web", 80)
                .prefix("other.example", "/", "web", 80)
                .prefix("plain.example", "/", "web", 80)
                .tls(&["web.example"], "web")
                .tls(&["*.wild.example"], "wild")
                .tls(&["other.example"], "other")],
        );
        site.start();
        Self { site, root }
    }

    /// The usual ones.
    fn secrets(root: &Authority) -> Vec<Value> {
        let secret = |name: &str, host: &str| tls_secret(name, &root.server(&[host]).unwrap());
        vec![
            secret("web", "web.example").build(),
            secret("wild", "*.wild.example").build(),
            secret("other", "other.example").build(),
        ]
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.site.router("node-1").ip(), Self::HTTPS)
    }

    fn open(&self, name: Option<&str>, config: &Arc<ClientConfig>) -> Tls {
        let client = self.site.lab().client().ns();
        Tls::open(client, self.address(), name, config).unwrap()
    }

    /// The names in the certificate that a client gets.
    fn names(&self, name: Option<&str>) -> Vec<String> {
        names(&self.open(name, &client::config()).certificate())
    }

    /// Waits until the certificate for a name names this one.
    fn becomes(&self, name: &str, wanted: &str) {
        becomes(vec![wanted.to_owned()], name, || self.names(Some(name)));
    }

    /// Waits until the certificate for a name is this one.
    fn shows(&self, name: &str, wanted: &Issued) {
        let config = client::config();
        becomes(true, name, || {
            self.open(Some(name), &config).certificate() == wanted.der
        });
    }

    /// Runs curl with the root that it is to trust; its output and its exit code.
    fn curl(&self, arguments: &[&str]) -> (String, i32) {
        let trusted = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(trusted.path(), self.root.pem()).unwrap();
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "10", "--cacert"]);
        command.arg(trusted.path()).args(arguments);
        for (port, server) in [(443, self.address()), (80, self.site.router("node-1"))] {
            for host in [
                "web.example",
                "a.wild.example",
                "other.example",
                "plain.example",
            ] {
                let (ip, to) = (server.ip(), server.port());
                command.args(["--connect-to", &format!("{host}:{port}:{ip}:{to}")]);
            }
        }
        let output = self.site.lab().client().ns().output(command).unwrap();
        let mut text = String::from_utf8(output.stdout).unwrap();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (text, output.status.code().unwrap())
    }

    /// Waits until the agent has said something.
    fn said(&self, what: &str) {
        let agent = self.site.agent("node-1");
        agent.wait_for_log(what, Duration::from_secs(10)).unwrap();
    }
}

/// The name of the certificate that nobody configured.
const SELF_SIGNED: &str = "ingress.invalid";

fn names(certificate: &[u8]) -> Vec<String> {
    use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(certificate).unwrap();
    let names = certificate.subject_alternative_name().unwrap();
    let names = names
        .into_iter()
        .flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    names.collect()
}

fn the_name_picks_the_certificate(feed: Feed) {
    let site = Secure::start(feed, Secure::secrets);
    for (name, expected) in [
        (Some("web.example"), "web.example"),
        (Some("WEB.example"), "web.example"),
        (Some("a.wild.example"), "*.wild.example"),
        (Some("a.b.wild.example"), SELF_SIGNED),
        (Some("wild.example"), SELF_SIGNED),
        (Some("plain.example"), SELF_SIGNED),
        (Some("unknown.example"), SELF_SIGNED),
        (None, SELF_SIGNED),
    ] {
        assert_eq!(site.names(name), [expected], "{name:?}");
    }
}

/// Rows 7 and 8 of the conformance suite among them.
fn curl_verifies_what_it_gets(feed: Feed) {
    let site = Secure::start(feed, Secure::secrets);
    for version in ["--tls-max=1.2", "--tlsv1.3"] {
        let version: Vec<&str> = version.split('=').collect();
        let url = ["https://web.example/path", "-i"];
        let (said, code) = site.curl(&[&version[..], &url[..]].concat());
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("\"pod\":\"web\""), "{said}");
        for header in [
            "strict-transport-security: max-age=31536000\r\n",
            "\"x-forwarded-proto\",\"https\"",
            "\"x-forwarded-port\",\"443\"",
            "\"host\",\"web.example\"",
        ] {
            assert!(said.contains(header), "no {header} in {said}");
        }
    }
    let (said, code) = site.curl(&["https://a.wild.example/"]);
    assert_eq!(code, 0, "{said}");
    // A default certificate is not believed, and says nothing for a year.
    let (said, code) = site.curl(&["https://plain.example/"]);
    assert_eq!(code, 60, "{said}");
    let (said, _) = site.curl(&["-k", "-i", "https://plain.example/"]);
    assert!(said.contains("\"pod\":\"web\""), "{said}");
    assert!(!said.contains("strict-transport-security"), "{said}");
}

fn hosts_with_tls_are_served_by_https_only(feed: Feed) {
    let site = Secure::start(feed, Secure::secrets);
    let (said, _) = site.curl(&["-i", "-d", "x=1", "http://web.example/a?b=c"]);
    assert!(said.starts_with("HTTP/1.1 308 "), "{said}");
    assert!(
        said.contains("location: https://web.example/a?b=c\r\n"),
        "{said}"
    );
    assert!(!said.contains("strict-transport-security"), "{said}");
    // As the conformance suite's client does, with method and body.
    let (said, code) = site.curl(&["-L", "-d", "x=1", "http://web.example/a?b=c"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("\"method\":\"POST\""), "{said}");
    assert_eq!(site.site.answers("plain.example", "/"), "web");
    // HTTP on the TLS port, and TLS on the port for HTTP.
    let server = site.address();
    let (said, _) = site.curl(&["-i", &format!("http://{server}/")]);
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    let (said, code) = site.curl(&[&format!("https://{}/", site.site.router("node-1"))]);
    assert_eq!(code, 35, "{said}");
}

fn a_certificate_authority_gets_its_proof_in_clear_text(feed: Feed) {
    let site = Secure::start(feed, Secure::secrets);
    let token = "/.well-known/acme-challenge/to-k_en.0";
    site.site.apply(
        "solver",
        [ingress("solver")
            .class("fairway")
            .exact("web.example", token, "web", 80)],
    );
    site.site.becomes("web.example", token, "web");
    for path in [
        "/",
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/a/b",
    ] {
        assert_eq!(site.site.answers("web.example", path), "308", "{path}");
    }
}

fn a_secret_that_appears_late_is_used_at_once(feed: Feed) {
    let site = Secure::start(feed, |_| Vec::new());
    assert_eq!(site.names(Some("web.example")), [SELF_SIGNED]);
    site.said(
        "Secret default/web does not exist; web.example is served with the default certificate",
    );
    if feed == Feed::Api {
        let server = site.site.api_server();
        becomes(3, "the Events", || server.events("SecretNotFound").len());
        for event in server.events("SecretNotFound") {
            assert_eq!(event["regarding"]["kind"], "Ingress", "{event}");
        }
    }
    let late = site.root.server(&["web.example"]).unwrap();
    site.site.apply("late", [tls_secret("web", &late)]);
    site.shows("web.example", &late);
    assert_eq!(site.names(Some("other.example")), [SELF_SIGNED]);
    site.site.delete("late");
    site.becomes("web.example", SELF_SIGNED);
}

fn a_broken_update_leaves_the_last_good_certificate(feed: Feed) {
    let site = Secure::start(feed, Secure::secrets);
    let mut open = site.open(Some("web.example"), &client::config());
    let good = open.certificate();
    assert_eq!(open.get("web.example", "/").unwrap(), 200);
    let [new, other] = [(), ()].map(|()| site.root.server(&["web.example"]).unwrap());
    let mut mixed = new.clone();
    mixed.key.clone_from(&other.key);
    let secrets = Secure::secrets(&site.root);
    let with = |secret: objects::Object<objects::Secret>| {
        [vec![secret.build()], secrets[1..].to_vec()].concat()
    };
    site.site.apply("secrets", with(tls_secret("web", &mixed)));
    site.said("Secret default/web tls.key: does not belong to the first certificate of tls.crt");
    site.said("its last good certificate stays in use");
    let now = site.open(Some("web.example"), &client::config());
    assert_eq!(now.certificate(), good);

    site.site.apply("secrets", with(tls_secret("web", &new)));
    site.shows("web.example", &new);
    // A session that began under the old certificate is not resumed under the new one.
    assert_eq!(
        open.get("web.example", "/").unwrap(),
        200,
        "open connections stay"
    );

    site.site.apply("secrets", secrets[1..].to_vec());
    site.becomes("web.example", SELF_SIGNED);
    assert_eq!(site.names(Some("other.example")), ["other.example"]);
    assert_eq!(open.get("web.example", "/").unwrap(), 200);
}

fn broken_secrets_hurt_nobody_else(feed: Feed) {
    let site = Secure::start(feed, |root| {
        let garbage = "x".repeat(1024 * 1024 + 1);
        let expired = root.expired(&["*.wild.example"]).unwrap();
        let fine = root.server(&["other.example"]).unwrap();
        vec![
            objects::secret("web", "kubernetes.io/tls")
                .field("tls.crt", garbage)
                .field("tls.key", "")
                .build(),
            tls_secret("wild", &expired).build(),
            tls_secret("other", &fine).build(),
        ]
    });
    assert_eq!(site.names(Some("web.example")), [SELF_SIGNED]);
    assert_eq!(site.names(Some("a.wild.example")), ["*.wild.example"]);
    assert_eq!(site.names(Some("other.example")), ["other.example"]);
    site.said("Secret default/web tls.crt: is larger than 1 MiB");
    site.said("Secret default/wild tls.crt: expired");
    // For other names than the host's.
    let wrong = site.root.server(&["wrong.example"]).unwrap();
    site.site.apply("more", [tls_secret("web", &wrong)]);
    if feed == Feed::Api {
        site.said("the certificate of Secret default/web is for wrong.example, not for");
    }
    assert_eq!(site.names(Some("web.example")), [SELF_SIGNED]);
    let empty = objects::secret("other", "kubernetes.io/tls").field("tls.crt", "");
    site.site.apply("empty", [empty.field("tls.key", "")]);
    site.said("Secret default/other tls.crt: is missing, empty or not base64");
    assert_eq!(site.names(Some("a.wild.example")), ["*.wild.example"]);
    if feed == Feed::Api {
        let server = site.site.api_server();
        for reason in [
            "InvalidCertificate",
            "CertificateExpiring",
            "CertificateHostMismatch",
        ] {
            becomes(true, reason, || !server.events(reason).is_empty());
            // Where its owner looks, not at the Secret.
            for event in server.events(reason) {
                let regarding = &event["regarding"];
                assert_eq!(regarding["kind"], "Ingress", "{event}");
                assert_eq!(regarding["name"], "web", "{event}");
                assert!(regarding["uid"].is_string(), "{event}");
            }
        }
    }
    let log = site.site.agent("node-1").stderr();
    assert!(!log.contains("PRIVATE KEY"), "{log}");
}

fn certificates_change_under_load_without_a_failed_handshake(feed: Feed) {
    let site = Secure::start(feed, Secure::secrets);
    let issued: Vec<Issued> = (0..10)
        .map(|_| site.root.server(&["web.example"]).unwrap())
        .collect();
    let others = Secure::secrets(&site.root)[1..].to_vec();
    let (done, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (ns, server) = (site.site.lab().client().ns().clone(), site.address());
    let name = Some("web.example");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let config = client::config();
                    // The second one resumes the session of the first.
                    for _ in 0..2 {
                        let mut tls = Tls::open(&ns, server, name, &config).unwrap();
                        assert_eq!(tls.get("web.example", "/").unwrap(), 200);
                        count.fetch_add(1, Ordering::AcqRel);
                    }
                }
            });
        }
        for issued in &issued {
            let secret = tls_secret("web", issued).build();
            site.site
                .apply("secrets", [vec![secret], others.clone()].concat());
            site.shows("web.example", issued);
            // Some clients come while it is shown, however slow the machine is.
            let before = count.load(Ordering::Acquire);
            becomes(true, "two more handshakes", || {
                count.load(Ordering::Acquire) >= before + 2
            });
        }
        done.store(true, Ordering::Release);
    });
}

fn the_default_certificate_comes_from_its_secret(feed: Feed) {
    let flags = ["--default-tls-secret", "default/fallback"];
    let site = Secure::start_with(feed, &flags, |root| {
        let mut secrets = Secure::secrets(root);
        let fallback = root.server(&["fallback.example"]).unwrap();
        secrets.push(tls_secret("fallback", &fallback).build());
        secrets
    });
    for name in [Some("unknown.example"), Some("plain.example"), None] {
        assert_eq!(site.names(name), ["fallback.example"], "{name:?}");
    }
    assert_eq!(site.names(Some("web.example")), ["web.example"]);
}

/// Every Secret is asked for by its name, and only those that are needed.
#[test]
fn secrets_are_read_by_name_only() {
    lab::test(|| {
        let site = Secure::start(Feed::Api, |root| {
            let mut secrets = Secure::secrets(root);
            let unrelated = objects::secret("password", "Opaque").field("password", "hunter2");
            secrets.push(unrelated.build());
            secrets
        });
        assert_eq!(site.names(Some("web.example")), ["web.example"]);
        let server = site.site.api_server();
        let mut asked = String::new();
        for request in server
            .requests()
            .iter()
            .filter(|it| it.resource == "secrets")
        {
            let path = &request.path;
            writeln!(asked, "{:?} {path}", request.verb).unwrap();
            let named = ["web", "wild", "other"].iter().any(|name| {
                path.starts_with("/api/v1/namespaces/default/secrets?")
                    && (path.contains(&format!("metadata.name%3D{name}&"))
                        || path.ends_with(&format!("metadata.name%3D{name}")))
            });
            assert!(named, "{path}");
        }
        for verb in [Verb::List, Verb::Watch] {
            assert_eq!(server.count(verb, "secrets"), 3, "{asked}");
        }
        // One that nobody names any more is not watched any more.
        site.site.delete("ingress");
        becomes(0, "watches of Secrets", || server.watchers("secrets"));
    });
}

/// An API server that does not let us read a Secret holds up nothing else.
#[test]
fn a_secret_that_may_not_be_read_is_said_and_holds_up_nothing() {
    lab::test(|| {
        let lab = Lab::builder().nodes(1).pod("web", "node-1");
        let site = Site::new(Cluster::new(Feed::Api, lab));
        site.apply_apps(&["web"]);
        site.apply(
            "ingress",
            [ingress("web")
                .class("fairway")
                .prefix("web.example", "/", "web", 80)
                .prefix("plain.example", "/", "web", 80)
                .tls(&["web.example"], "web")],
        );
        site.api_server().inject(Fault::forbid("secrets"));
        site.start();
        assert_eq!(site.answers("plain.example", "/"), "web");
        assert_eq!(site.answers("web.example", "/"), "308");
        let agent = site.agent("node-1");
        let said = "Secret default/web cannot be had: not allowed to list it: a Role of fairway in namespace default";
        agent.wait_for_log(said, Duration::from_secs(10)).unwrap();
    });
}
