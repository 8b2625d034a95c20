use proptest::prelude::*;

use super::*;

fn parse(value: &str) -> Result<Option<String>, InvalidHost> {
    let host = Host::parse(value.as_bytes())?;
    Ok(host.as_str().map(str::to_owned))
}

fn name(name: &str) -> Result<Option<String>, InvalidHost> {
    Ok(Some(name.to_owned()))
}

const UNNAMED: Result<Option<String>, InvalidHost> = Ok(None);
const INVALID: Result<Option<String>, InvalidHost> = Err(InvalidHost);

#[test]
fn normalises_names() {
    assert_eq!(parse("foo.bar.com"), name("foo.bar.com"));
    assert_eq!(parse("FOO.Bar.com"), name("foo.bar.com"));
    assert_eq!(parse("foo.bar.com."), name("foo.bar.com"));
    assert_eq!(parse("foo.bar.com.:8443"), name("foo.bar.com"));
    assert_eq!(parse("localhost"), name("localhost"));
    assert_eq!(parse("a_b.-x-.com"), name("a_b.-x-.com"));
    assert_eq!(
        parse("xn--bcher-kva.example"),
        name("xn--bcher-kva.example")
    );
    assert_eq!(parse("1.2.3"), name("1.2.3"));
    assert_eq!(parse("1.2.3.4.5"), name("1.2.3.4.5"));
}

#[test]
fn refuses_what_is_no_name() {
    for value in [
        "",
        ".",
        "..",
        "foo.com..",
        ".foo.com",
        "foo..com",
        ":80",
        "foo com",
        " foo.com",
        "foo.com ",
        "a.com,b.com",
        "a.com, b.com",
        "user@foo.com",
        "foo.com/",
        "*.foo.com",
        "foo%2ecom",
        "büch.er",
        "foo\0.com",
        "foo\t.com",
        "foo~.com",
    ] {
        assert_eq!(parse(value), INVALID, "{value:?}");
    }
    assert_eq!(Host::parse(b"foo\xff.com"), Err(InvalidHost));
}

#[test]
fn accepts_ports_that_exist() {
    for value in ["foo.com:", "foo.com:1", "foo.com:65535", "foo.com:0080"] {
        assert_eq!(parse(value), name("foo.com"), "{value}");
    }
    let huge = format!("foo.com:{}", "9".repeat(1000));
    for value in [
        "foo.com:0",
        "foo.com:65536",
        "foo.com:99999",
        "foo.com:http",
        "foo.com:+80",
        "foo.com:-1",
        "foo.com:80:80",
        "foo.com: 80",
        "foo.com:80.",
        &huge,
    ] {
        assert_eq!(parse(value), INVALID, "{value}");
    }
}

#[test]
fn addresses_match_no_name() {
    for value in [
        "10.0.0.1",
        "10.0.0.1:8080",
        "10.0.0.1.",
        "[2001:db8::1]",
        "[2001:db8::1]:80",
        "[::]:",
        "[::ffff:10.0.0.1]",
    ] {
        assert_eq!(parse(value), UNNAMED, "{value}");
    }
    for value in [
        "2001:db8::1",
        "::1",
        "fe80::",
        "1::",
        "[2001:db8::1",
        "2001:db8::1]",
        "[]",
        "[foo.com]",
        "[10.0.0.1]",
        "[::1]80",
        "[::1]:0",
        "[::1]:x",
        "[::1].",
        "[fe80::1%eth0]",
        "[fe80::1%25eth0]",
        "[v1.x]",
        "[[::1]]",
        "[::1]]",
        "[",
    ] {
        assert_eq!(parse(value), INVALID, "{value}");
    }
}

#[test]
fn names_too_long_for_dns_match_no_rule() {
    let label = "a".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
    assert_eq!(longest.len(), 253);
    assert_eq!(parse(&longest), name(&longest));
    assert_eq!(parse(&format!("{longest}.")), name(&longest));
    assert_eq!(parse(&format!("{longest}b")), UNNAMED);
    assert_eq!(parse(&format!("{label}a.com")), UNNAMED);
    assert_eq!(parse(&format!("{label}a.com..")), INVALID);
}

#[test]
fn no_host_has_no_name() {
    assert_eq!(Host::none().as_str(), None);
}

proptest! {
    #[test]
    fn any_bytes_are_judged(value in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Host::parse(&value);
    }

    #[test]
    fn a_name_stays_itself(value in r"[a-zA-Z0-9_.:\[\]-]{0,80}") {
        if let Ok(host) = Host::parse(value.as_bytes())
            && let Some(name) = host.as_str()
        {
            prop_assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b':'));
            prop_assert_eq!(Host::parse(name.as_bytes()), Ok(host.clone()));
        }
    }
}
