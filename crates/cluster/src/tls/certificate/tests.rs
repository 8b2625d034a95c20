use fairway_model::WildcardSpan;
use fairway_testkit::certificates::{Authority, Issued, KeyKind};
use fairway_testkit::objects;

use super::*;

fn parse(object: objects::Object<objects::Secret>) -> Result<Certificate, SecretError> {
    Certificate::parse(&serde_json::from_value(object.build()).unwrap())
}

fn secret(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> objects::Object<objects::Secret> {
    objects::secret("web", "kubernetes.io/tls")
        .field("tls.crt", chain)
        .field("tls.key", key)
}

fn issued() -> Issued {
    Authority::new("root").unwrap().server(&["a.com"]).unwrap()
}

#[test]
fn every_kind_of_key_in_every_form() {
    let root = Authority::new("root").unwrap();
    for kind in KeyKind::ALL {
        let issued = root.server_with(&["a.com"], kind, |_| {}).unwrap();
        let forms = [Some(issued.key.clone()), issued.traditional_key()];
        for key in forms.into_iter().flatten() {
            let parsed = parse(secret(&issued.chain, &key));
            let parsed = parsed.unwrap_or_else(|error| panic!("{kind:?} {key}: {error}"));
            assert_eq!(parsed.names, ["a.com"]);
        }
    }
}

#[test]
fn leading_text_windows_line_ends_and_parameters_do_not_matter() {
    let issued = issued();
    let chain = format!("subject=CN = a.com\n\nBag Attributes\n{}", issued.chain);
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let key = format!("{parameters}{}", issued.traditional_key().unwrap());
    let windows = |text: &str| text.replace('\n', "\r\n");
    parse(secret(windows(&chain), windows(&key))).unwrap();
}

#[test]
fn a_chain_keeps_its_order() {
    let root = Authority::new("root").unwrap();
    let middle = root
        .intermediate("one")
        .unwrap()
        .intermediate("two")
        .unwrap();
    let issued = middle.server(&["a.com"]).unwrap();
    let parsed = parse(secret(&issued.chain, &issued.key)).unwrap();
    assert_eq!(parsed.key.cert.len(), 3);
    assert_eq!(*parsed.key.cert[0], *issued.der);
    assert_eq!(*parsed.key.cert[1], *middle.der());
}

#[test]
fn what_is_wrong_is_named_by_field() {
    let root = Authority::new("root").unwrap();
    let (issued, other) = (issued(), issued());
    let middle = root.intermediate("one").unwrap();
    let below = middle.server(&["a.com"]).unwrap();
    let upside_down = middle.pem() + &below.chain;
    let cut = &issued.chain[..issued.chain.len() / 2];
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let no_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let (chain, key) = (&issued.chain, &issued.key);
    let garbage = vec![b'x'; 5 * 1024 * 1024];
    for (object, expected) in [
        (secret("", key), SecretError::Missing(Field::Certificate)),
        (secret(chain, ""), SecretError::Missing(Field::Key)),
        (
            objects::secret("web", "kubernetes.io/tls"),
            SecretError::Missing(Field::Certificate),
        ),
        (
            objects::secret("web", "Opaque").field("tls.crt", chain),
            SecretError::Missing(Field::Key),
        ),
        (
            objects::secret("web", "kubernetes.io/dockerconfigjson"),
            SecretError::Type,
        ),
        (
            secret(&garbage, key),
            SecretError::TooLarge(Field::Certificate),
        ),
        (
            secret(&garbage[..1000], key),
            SecretError::NoCertificate(Field::Certificate),
        ),
        (secret(cut, key), SecretError::NotPem(Field::Certificate)),
        (
            secret(chain.repeat(17), key),
            SecretError::TooManyCertificates(Field::Certificate),
        ),
        (
            secret(no_x509, key),
            SecretError::NotX509(Field::Certificate),
        ),
        (secret(chain, "nothing"), SecretError::NoKey),
        (secret(chain, chain), SecretError::NoKey),
        (
            secret(chain, &key[..key.len() / 2]),
            SecretError::NotPem(Field::Key),
        ),
        (secret(chain, encrypted), SecretError::EncryptedKey),
        (secret(chain, old_encrypted), SecretError::EncryptedKey),
        (secret(chain, no_key), SecretError::UnsupportedKey),
        (secret(chain, &other.key), SecretError::KeyMismatch),
        (secret(upside_down, &below.key), SecretError::KeyMismatch),
    ] {
        assert_eq!(parse(object).unwrap_err(), expected);
    }
}

#[test]
fn an_expired_certificate_is_one_all_the_same() {
    let issued = Authority::new("root").unwrap().expired(&["a.com"]).unwrap();
    let parsed = parse(secret(&issued.chain, &issued.key)).unwrap();
    assert_eq!(parsed.not_after, 1_577_836_800); // 2020-01-01
}

#[test]
fn names_cover_a_host_or_one_label_of_it() {
    let root = Authority::new("root").unwrap();
    let issued = root.server(&["A.com", "*.b.com"]).unwrap();
    let parsed = parse(secret(&issued.chain, &issued.key)).unwrap();
    let exact = |host: &str| HostPattern::Exact(host.into());
    let wildcard = |suffix: &str| HostPattern::Wildcard {
        suffix: suffix.into(),
        span: WildcardSpan::OneLabel,
    };
    for (host, covered) in [
        (exact("a.com"), true),
        (exact("x.a.com"), false),
        (exact("x.b.com"), true),
        (exact("b.com"), false),
        (exact("y.x.b.com"), false),
        (wildcard("b.com"), true),
        (wildcard("a.com"), false),
        (HostPattern::Any, false),
    ] {
        assert_eq!(parsed.covers(&host), covered, "{host}");
    }
}

#[test]
fn the_key_is_never_printed() {
    let issued = issued();
    let parsed = parse(secret(&issued.chain, &issued.key)).unwrap();
    let printed = format!("{parsed:?} {:?}", parsed.key);
    // The middle of the key's DER, as a debug list of bytes.
    let bytes: Vec<String> = issued.key_der[40..44].iter().map(u8::to_string).collect();
    assert!(!printed.contains(&bytes.join(", ")), "{printed}");
    assert!(!printed.contains("PRIVATE"), "{printed}");
}
