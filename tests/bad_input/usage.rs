//! How the program ends when it cannot do what it was told.

use std::process::{Command, Output};

use fairway_testkit::lab::{self, Namespace};

use crate::support::fairway;

/// Runs `fairway`, which must end by itself, in an empty network namespace.
pub(super) fn run(arguments: &[&str]) -> Output {
    let namespace = Namespace::new("alone").unwrap();
    let mut command = Command::new(fairway());
    command
        .args(arguments)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env_remove("KUBECONFIG");
    namespace.output(command).unwrap()
}

/// The only error it ended with, on one line, after exit code 1.
#[track_caller]
pub(super) fn failure(output: &Output) -> String {
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let errors: Vec<_> = log
        .lines()
        .filter(|line| line.contains(" ERROR "))
        .collect();
    let [error] = errors[..] else {
        panic!("not one error:\n{log}");
    };
    assert_eq!(
        log.lines().last(),
        Some(error),
        "the error is one line, and the last:\n{log}"
    );
    error.to_owned()
}

#[test]
fn wrong_usage_is_2_and_says_what_would_be_right() {
    lab::test(|| {
        for (arguments, said) in [
            (&[][..], "Usage: fairway [OPTIONS] <COMMAND>"),
            (&["walk"], "unrecognized subcommand 'walk'"),
            (&["run", "--nonsense"], "unexpected argument '--nonsense'"),
            (
                &["run", "--manifests"],
                "a value is required for '--manifests <DIR>'",
            ),
            (
                &["run", "--manifests", "a", "--kubeconfig", "b"],
                "cannot be used with '--kubeconfig <FILE>'",
            ),
            (
                &["run", "--cluster-cidr", "banana"],
                "--cluster-cidr 'banana': expected a network like",
            ),
            (
                &["run", "--cluster-cidr", "10.0.0.0/8,10.1.0.0/16"],
                "one network per address family",
            ),
            (
                &["run", "--ingress-http-address", "1.2.3.4"],
                "expected an IP address and a port",
            ),
            (
                &["run", "--healthz-bind-address", "[::]:8080"],
                "choose another port",
            ),
            (
                &["run", "--trusted-proxies", "here"],
                "--trusted-proxies 'here'",
            ),
            (&["run", "--masquerade-all=perhaps"], "say true or false"),
            (
                &["run", "--workers", "0"],
                "invalid value '0' for '--workers <COUNT>'",
            ),
            (
                &["run", "--service-proxy=false", "--ingress=false"],
                "leave nothing to do",
            ),
            (&["render"], "required arguments were not provided"),
        ] {
            let output = run(arguments);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
            assert!(stderr.contains(said), "{arguments:?}: {stderr}");
            assert_eq!(output.stdout, b"", "{arguments:?}");
        }
    });
}

#[test]
fn a_directory_that_cannot_be_read_is_named() {
    lab::test(|| {
        for (directory, why) in [
            ("/nonexistent", "No such file or directory (os error 2)"),
            ("/proc/self/status", "Not a directory (os error 20)"),
        ] {
            for command in ["run", "render"] {
                let error = failure(&run(&[command, "--manifests", directory]));
                let said = format!(
                    "cannot read the manifest directory {directory}: {why}; check --manifests and \
                     its permissions"
                );
                assert!(error.ends_with(&said), "{error}");
            }
        }
    });
}

#[test]
fn without_rights_it_says_which_it_needs() {
    lab::test(|| {
        let namespace = Namespace::new("alone").unwrap();
        let manifests = fairway_testkit::Manifests::in_tempdir().unwrap();
        let directory = manifests.path().to_str().unwrap();
        let run = |arguments: &[&str]| {
            // Root without capabilities is an ordinary user who can read the same files.
            let mut command = Command::new("setpriv");
            command
                .args(["--bounding-set=-all", "--inh-caps=-all", "--"])
                .arg(fairway())
                .args(arguments);
            failure(&namespace.output(command).unwrap())
        };
        let denied = "the kernel denies access to nf_tables: run as root or with CAP_NET_ADMIN in \
                      this network namespace";
        let error = run(&["run", "--manifests", directory, "--ingress=false"]);
        assert!(error.ends_with(denied), "{error}");
        let error = run(&["cleanup"]);
        assert!(error.ends_with(denied), "{error}");
        let router = ["run", "--manifests", directory, "--service-proxy=false"];
        let error = run(&[&router[..], &["--ingress-http-address=[::]:80"]].concat());
        assert!(
            error.contains("cannot listen on [::]:80: permission denied"),
            "{error}"
        );
        assert!(error.contains("CAP_NET_BIND_SERVICE"), "{error}");
    });
}
