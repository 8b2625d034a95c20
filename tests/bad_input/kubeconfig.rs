//! Kubeconfigs that lead nowhere.

use fairway_testkit::{Manifests, lab};

use super::usage::{failure, run};

const GOOD: &str = r#"
apiVersion: v1
kind: Config
clusters: [{name: cluster, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: user, user: {token: s3cr3t}}]
contexts: [{name: context, context: {cluster: cluster, user: user}}]
current-context: context
"#;

#[test]
fn says_what_is_wrong_with_it() {
    lab::test(|| {
        let directory = Manifests::in_tempdir().unwrap();
        let with = |from: &str, to: &str| {
            assert!(GOOD.contains(from));
            GOOD.replace(from, to)
        };
        let missing = "it names no current-context (kubectl config use-context NAME sets one)";
        for (name, text, said) in [
            ("empty", String::new(), missing),
            (
                "no-context",
                with("current-context: context\n", ""),
                missing,
            ),
            (
                "other-context",
                with("current-context: context", "current-context: other"),
                "its current-context is not among its contexts: failed to load current context: other",
            ),
            (
                "other-cluster",
                with("cluster: cluster,", "cluster: other,"),
                "the cluster of its current-context is not among its clusters",
            ),
            (
                "garbage",
                with("users: [", "users: [["),
                "failed to parse kubeconfig YAML: ",
            ),
            (
                "no-yaml",
                "hello s3cr3t\n".to_owned(),
                "failed to parse kubeconfig YAML: ",
            ),
            (
                "no-url",
                with("http://127.0.0.1:1", "not a url"),
                "failed to parse cluster url",
            ),
            (
                "no-authority",
                with(
                    "server:",
                    "certificate-authority: /nonexistent/ca.crt, server:",
                ),
                "failed to load certificate authority: failed to read file '\"/nonexistent/ca.crt\"'",
            ),
        ] {
            directory.write_text(name, &text).unwrap();
            let path = directory.path().join(name).display().to_string();
            let error = failure(&run(&["run", "--kubeconfig", &path]));
            let said = format!("cannot use the kubeconfig {path}: {said}");
            assert!(error.contains(&said), "{error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    });
}

#[test]
fn a_missing_one_is_named_and_none_at_all_explained() {
    lab::test(|| {
        let error = failure(&run(&["run", "--kubeconfig", "/nonexistent/config"]));
        let said = "cannot read the kubeconfig /nonexistent/config: No such file or directory \
                    (os error 2); check --kubeconfig";
        assert!(error.ends_with(said), "{error}");
        let error = failure(&run(&["run"]));
        assert!(error.contains("no service account"), "{error}");
        assert!(
            error.contains("--kubeconfig FILE") && error.contains("--manifests DIR"),
            "{error}"
        );
    });
}
