//! The client as it is made for `run`, over a socket.

use std::io::Write;

use tempfile::NamedTempFile;

use super::*;
use crate::client;

async fn refused(kubeconfig: &str) -> String {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(kubeconfig.as_bytes()).unwrap();
    match client(Some(file.path())).await {
        Ok(_) => panic!("accepted: {kubeconfig}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_explained() {
    let missing = client(Some(std::path::Path::new("/nonexistent/kubeconfig"))).await;
    let message = missing.err().unwrap().to_string();
    assert_eq!(
        message,
        "cannot read the kubeconfig /nonexistent/kubeconfig: No such file or directory (os error 2); \
         check --kubeconfig"
    );

    let server = ApiServer::start().unwrap();
    let good = server.kubeconfig();
    for (bad, expected) in [
        ("][", "YAML"),
        ("", "current-context"),
        (
            &good.replace("current-context: fake", ""),
            "names no current-context (kubectl config use-context NAME",
        ),
        (
            &good.replace("current-context: fake", "current-context: x"),
            "is not among its contexts: ",
        ),
        (
            &good.replace("cluster: fake", "cluster: x"),
            "is not among its clusters: ",
        ),
        (&good.replace("http://", "ht tp://"), "cluster url"),
        (
            &good.replace(
                "user: {}",
                "user: {client-certificate-data: \"!\", client-key-data: \"!\"}",
            ),
            "base64",
        ),
    ] {
        let message = refused(bad).await;
        assert!(
            message.contains(expected),
            "{message:?} should contain {expected:?}"
        );
        assert!(
            !message.contains('\n') || expected == "YAML",
            "one line: {message:?}"
        );
    }
}

#[tokio::test]
async fn outside_a_cluster_other_ways_are_named() {
    let message = client(None).await.err().unwrap().to_string();
    assert!(
        message.contains("--kubeconfig FILE") && message.contains("--manifests DIR"),
        "{message}"
    );
}

#[tokio::test]
async fn follows_a_server_over_a_socket_that_goes_and_comes_back() {
    const DEADLINE: Duration = Duration::from_secs(20);
    let server = ApiServer::start().unwrap();
    server.apply(service("before")).unwrap();
    let file = NamedTempFile::new().unwrap();
    server.write_kubeconfig(file.path()).unwrap();
    let client = client(Some(file.path())).await.unwrap();

    let pace = Pace {
        shortest: Duration::from_millis(2),
        longest: Duration::from_millis(20),
        ..Pace::default()
    };
    let (sender, mut events) = mpsc::channel(64);
    let _watch = watch(
        &client.clone().into(),
        &both(),
        pace,
        &sender,
        nothing_wanted(),
    );
    let mut next = async || {
        let event = tokio::time::timeout(DEADLINE, events.recv()).await;
        summary(&event.expect("in time").expect("the watchers live"))
    };
    let mut first = Vec::new();
    for _ in Kind::LISTED {
        first.push(next().await);
    }
    assert!(first.contains(&"= Service before".to_owned()), "{first:?}");

    server.go_away();
    let error = client.apiserver_version().await.unwrap_err();
    let reason = super::super::reason::chain(&error);
    assert!(
        reason.contains(&server.url()) && reason.contains("Connection refused"),
        "{reason}"
    );
    server.apply(service("meanwhile")).unwrap();
    server.come_back();
    assert_eq!(next().await, "+ Service meanwhile");
    server.delete("Service", "default", "before");
    assert_eq!(next().await, "- Service default/before");
    assert_eq!(server.count(Verb::List, "services"), 1);
}
