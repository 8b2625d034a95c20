use proptest::prelude::*;

use super::*;

#[track_caller]
fn assert_both(raw: &str, expected: &str) {
    assert_parsed(raw, expected, expected);
}

#[track_caller]
fn assert_parsed(raw: &str, matched: &str, forwarded: &str) {
    let path = Path::parse(raw).unwrap_or_else(|error| panic!("{raw}: {error}"));
    assert_eq!(
        (&*path.matched, &*path.forwarded),
        (matched, forwarded),
        "{raw}"
    );
}

#[test]
fn leaves_ordinary_paths_alone() {
    for raw in [
        "/",
        "/foo",
        "/foo/",
        "/admin;x",
        "/a;b=c,d/..;/e",
        "/...",
        "/.well-known/acme-challenge/x",
        "/a.b/..c/d..",
        "/~user/-_.!$&'()*+,;=:@",
        "/{id}|\"<>^`[]",
        "/100%25",
        "/a%20b%2Fc%5Cd%3F%23",
    ] {
        let path = Path::parse(raw).unwrap();
        assert_both(raw, raw);
        if !raw.contains('%') {
            assert!(matches!(path.matched, Cow::Borrowed(_)), "{raw}");
            assert!(matches!(path.forwarded, Cow::Borrowed(_)), "{raw}");
        }
    }
}

#[test]
fn an_empty_path_is_the_root() {
    assert_both("", "/");
}

#[test]
fn refuses_what_has_no_reading() {
    for raw in [
        "*",
        "foo",
        "http://foo/",
        "%2Ffoo",
        "/%",
        "/%4",
        "/%zz",
        "/%4x",
        "/%+4",
        "/%-1",
        "/a%",
        "/%%41",
        "/admin%00",
        "/a\0b",
        "/a b",
        "/a\tb",
        "/a\x7f",
        "\\admin",
        "/a\\b",
        "/a#b",
        "/a?b",
        "/é",
        "/%é1",
        "/%4é",
    ] {
        assert_eq!(Path::parse(raw), Err(InvalidPath), "{raw:?}");
    }
}

#[test]
fn decodes_only_what_needs_no_escape() {
    assert_both("/%61dmin", "/admin");
    assert_both("/%41%5A%30%39%2D%2e%5F%7E", "/AZ09-._~");
    assert_both("/a%2fb%5cc", "/a%2Fb%5Cc");
    assert_both("/caf%c3%a9", "/caf%C3%A9");
    assert_both("/%252e%252e/x", "/%252e%252e/x");
    assert_both("/%25%61", "/%25a");
}

#[test]
fn resolves_dot_elements() {
    assert_both("/a/./b", "/a/b");
    assert_both("/a/../b", "/b");
    assert_both("/a/b/../../c", "/c");
    assert_both("/a/%2e%2e/admin", "/admin");
    assert_both("/a/%2E/.%2e/admin", "/admin");
    assert_both("/.", "/");
    assert_both("/./", "/");
    assert_both("/a/.", "/a/");
    assert_both("/a/..", "/");
    assert_both("/a/b/..", "/a/");
    assert_both("/a/b/../", "/a/");
    // An escaped slash separates nothing, so there is no dot element here.
    assert_both("/a/..%2fadmin", "/a/..%2Fadmin");
}

#[test]
fn refuses_to_climb_above_the_root() {
    for raw in [
        "/..",
        "/../",
        "/../../etc",
        "/a/../..",
        "/a/../../b",
        "/./..",
        "/%2e%2e/a",
    ] {
        assert_eq!(Path::parse(raw), Err(InvalidPath), "{raw}");
    }
}

#[test]
fn double_slashes_match_as_one_and_travel_as_sent() {
    assert_parsed("//admin", "/admin", "//admin");
    assert_parsed("//", "/", "//");
    assert_parsed("/a///b//", "/a/b/", "/a///b//");
    assert_parsed("//%61%2f", "/a%2F", "//a%2F");
}

#[test]
fn refuses_double_slashes_beside_dot_elements() {
    for raw in ["/a//../admin", "//./a", "/a/../b//c", "//%2e%2e/a", "/a//."] {
        assert_eq!(Path::parse(raw), Err(InvalidPath), "{raw}");
    }
}

#[test]
fn rule_paths_take_the_form_of_request_paths() {
    let interpret = |path| interpret_rule_path(path).unwrap();
    assert_eq!(interpret("/foo/"), "/foo/");
    assert_eq!(interpret(""), "/");
    assert_eq!(interpret("/café"), "/caf%C3%A9");
    assert_eq!(interpret("/%63af%c3%a9"), "/caf%C3%A9");
    assert_eq!(interpret("/a b\\c?d#e"), "/a%20b%5Cc%3Fd%23e");
    assert_eq!(interpret("/a//b"), "/a/b");
    for path in ["foo", "/100%", "/..", "/a\0"] {
        assert_eq!(interpret_rule_path(path), Err(InvalidPath), "{path:?}");
    }
}

/// Pieces that the rules above are about, in any order.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/"),
        Just("."),
        Just(".."),
        Just("%2e"),
        Just("%2F"),
        Just("%5c"),
        Just("%61"),
        Just("a"),
        Just("%"),
        Just(";"),
        Just("%00"),
        Just("é"),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn any_text_is_judged(raw in any::<String>()) {
        let _ = Path::parse(&raw);
    }

    #[test]
    fn an_interpretation_is_final(raw in paths()) {
        let Ok(path) = Path::parse(&raw) else { return Ok(()) };
        prop_assert_eq!(Path::parse(&path.forwarded), Ok(path.clone()));
        prop_assert_eq!(merge_slashes(&path.forwarded), path.matched.clone());
        prop_assert!(path.matched.starts_with('/') && !path.matched.contains("//"));
        prop_assert!(!path.matched.split('/').any(|element| element == "." || element == ".."));
    }
}
