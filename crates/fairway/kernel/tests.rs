use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// A kernel of files.
struct Files {
    directory: tempfile::TempDir,
    kernel: Kernel,
}

impl Files {
    fn new(settings: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (path, value) in settings {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, value).unwrap();
        }
        let kernel = Kernel {
            proc: directory.path().join("proc"),
            sys: directory.path().join("sys"),
        };
        Self { directory, kernel }
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.directory.path().join(path)).unwrap()
    }
}

const MAX: &str = "proc/sys/net/netfilter/nf_conntrack_max";
const BUCKETS: &str = "sys/module/nf_conntrack/parameters/hashsize";
const ESTABLISHED: &str = "proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established";
const LIBERAL: &str = "proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal";

#[test]
fn what_is_set_is_written_and_the_rest_is_left() {
    let files = Files::new(&[
        (MAX, "65536\n"),
        (BUCKETS, "16384\n"),
        (ESTABLISHED, "432000\n"),
        (LIBERAL, "0\n"),
    ]);
    let conntrack = Conntrack {
        max: Some(131_072),
        tcp_established: Some(Duration::from_secs(86_400).into()),
        ..Conntrack::default()
    };
    assert!(files.kernel.set_conntrack(&conntrack).is_empty());
    assert_eq!(files.read(MAX), "131072");
    assert_eq!(files.read(BUCKETS), "32768");
    assert_eq!(files.read(ESTABLISHED), "86400");
    assert_eq!(files.read(LIBERAL), "0\n");
}

#[test]
fn limits_are_never_lowered_and_good_values_not_written_again() {
    let files = Files::new(&[
        (MAX, "262144\n"),
        (BUCKETS, "262144\n"),
        (ESTABLISHED, "86400\n"),
    ]);
    let conntrack = Conntrack {
        max: Some(131_072),
        tcp_established: Some(Duration::from_secs(86_400).into()),
        ..Conntrack::default()
    };
    assert!(files.kernel.set_conntrack(&conntrack).is_empty());
    // What is written has no newline.
    for path in [MAX, BUCKETS, ESTABLISHED] {
        assert!(files.read(path).ends_with('\n'), "{path}");
    }
}

#[test]
fn what_cannot_be_set_is_named_and_the_rest_is_set_all_the_same() {
    let files = Files::new(&[(ESTABLISHED, "5\n"), (LIBERAL, "0\n")]);
    let established = files.directory.path().join(ESTABLISHED);
    // A directory in the place of a file is one that root cannot write either.
    fs::remove_file(&established).unwrap();
    fs::create_dir(&established).unwrap();
    fs::set_permissions(&established, fs::Permissions::from_mode(0o500)).unwrap();
    let conntrack = Conntrack {
        max: Some(1),
        tcp_established: Some(Duration::from_secs(6).into()),
        tcp_be_liberal: true,
        ..Conntrack::default()
    };
    let errors = files.kernel.set_conntrack(&conntrack);
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    for (error, part) in errors
        .iter()
        .zip(["conntrack_max", "hashsize", "established"])
    {
        assert!(
            error.starts_with("cannot read") && error.contains(part),
            "{error}"
        );
    }
    assert_eq!(files.read(LIBERAL), "1");
}

#[test]
fn a_node_that_does_not_forward_is_warned_about() {
    let files = Files::new(&[
        ("proc/sys/net/ipv4/ip_forward", "0\n"),
        ("proc/sys/net/ipv6/conf/all/forwarding", "1\n"),
    ]);
    let [(Family::Ip4, hint)] = &files.kernel.routing()[..] else {
        panic!()
    };
    let said = &hint.message;
    assert!(said.contains("does not forward IPv4"), "{said}");
    // A kernel without IPv6 is none of it.
    assert!(Files::new(&[]).kernel.routing().is_empty());
}
