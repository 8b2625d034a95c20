//! Paths of Ingress rules, held to what the API allows, so that a path has one reading only.

use fairway_model::PathMatch;

/// The match, or why path and type make none.
pub(crate) fn path(path_type: &str, path: &str) -> Result<PathMatch, PathError> {
    match path_type {
        "Exact" => unambiguous(path).map(|path| PathMatch::Exact(path.into())),
        "Prefix" => unambiguous(path).map(|path| PathMatch::Prefix(path.into())),
        // As nginx without regular expressions: a prefix.
        "ImplementationSpecific" if path.is_empty() => Ok(PathMatch::Prefix("/".into())),
        "ImplementationSpecific" => rooted(path).map(|path| PathMatch::Prefix(path.into())),
        _ => Err(PathError::Type),
    }
}

/// Which of the two fields is wrong, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    Type,
    Path(&'static str),
}

fn rooted(path: &str) -> Result<&str, PathError> {
    if path.starts_with('/') {
        Ok(path)
    } else {
        Err(PathError::Path("does not start with /"))
    }
}

fn unambiguous(path: &str) -> Result<&str, PathError> {
    rooted(path)?;
    for part in ["//", "/./", "/../", "%2f", "%2F"] {
        if path.contains(part) {
            return Err(PathError::Path("contains one of // /./ /../ %2f"));
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        return Err(PathError::Path("ends with /. or /.."));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_paths() {
        let exact = |path: &str| Some(PathMatch::Exact(path.into()));
        let prefix = |path: &str| Some(PathMatch::Prefix(path.into()));
        for (path_type, text, expected) in [
            ("Exact", "/foo", exact("/foo")),
            ("Exact", "/foo/", exact("/foo/")),
            ("Prefix", "/", prefix("/")),
            ("Prefix", "/foo/", prefix("/foo/")),
            ("Prefix", "/.well-known/x", prefix("/.well-known/x")),
            ("Prefix", "/a...", prefix("/a...")),
            ("ImplementationSpecific", "", prefix("/")),
            ("ImplementationSpecific", "/a//b", prefix("/a//b")),
            ("ImplementationSpecific", "a", None),
            ("Prefix", "", None),
            ("Exact", "", None),
            ("Prefix", "foo", None),
            ("Prefix", "/a//b", None),
            ("Prefix", "/a/./b", None),
            ("Prefix", "/a/../b", None),
            ("Prefix", "/a/..", None),
            ("Exact", "/a/.", None),
            ("Exact", "/a%2fb", None),
            ("Exact", "/a%2Fb", None),
            ("prefix", "/", None),
            ("", "/", None),
        ] {
            assert_eq!(path(path_type, text).ok(), expected, "{path_type} {text:?}");
        }
    }
}
