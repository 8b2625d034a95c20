use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What a tool made of `manifests/`.
pub(super) struct Rendering {
    /// Of what, for messages.
    pub(super) name: String,
    pub(super) text: String,
}

impl Rendering {
    /// Of a folder with a kustomization.
    pub(super) fn kustomize(path: &str) -> Self {
        let folder = folder().join(path);
        let mut kubectl = Command::new("kubectl");
        kubectl.arg("kustomize").arg(folder);
        Self {
            name: path.to_owned(),
            text: stdout(run(kubectl, "")),
        }
    }

    /// Of the overlay for DigitalOcean with the component for monitoring, as docs/install.md has it.
    pub(super) fn monitored() -> Self {
        let overlay = tempfile::tempdir_in(folder()).unwrap();
        let kustomization = "resources: [../overlays/digitalocean]\ncomponents: [../monitoring]\n";
        std::fs::write(overlay.path().join("kustomization.yaml"), kustomization).unwrap();
        let name = overlay.path().file_name().unwrap().to_str().unwrap();
        Self {
            name: "with monitoring".to_owned(),
            ..Self::kustomize(name)
        }
    }

    /// Of the chart with these values.
    pub(super) fn chart(values: &Value) -> Self {
        Self {
            name: format!("the chart with {values}"),
            text: stdout(Self::try_chart(values)),
        }
    }

    /// The same, whatever comes of it.
    pub(super) fn try_chart(values: &Value) -> Output {
        let mut helm = Command::new("helm");
        helm.args(["template", "fairway"])
            .arg(folder().join("chart"))
            .args(["--namespace", "fairway-system", "--values", "-"]);
        run(helm, &values.to_string())
    }

    pub(super) fn objects(&self) -> Vec<Value> {
        let objects: Vec<Value> = serde_saphyr::from_multiple(&self.text).unwrap();
        assert!(!objects.is_empty(), "{}", self.name);
        objects
    }

    /// The one object of this kind and name.
    pub(super) fn object(&self, kind: &str, name: &str) -> Value {
        let found = self.find(kind, name);
        found.unwrap_or_else(|| panic!("no {kind} {name} in {}", self.name))
    }

    pub(super) fn find(&self, kind: &str, name: &str) -> Option<Value> {
        let mut objects = self.objects().into_iter();
        objects.find(|it| it["kind"] == kind && it["metadata"]["name"] == name)
    }

    /// The `fairway.yaml` that the agents read.
    pub(super) fn configuration(&self) -> String {
        let map = self.object("ConfigMap", "fairway");
        map["data"]["fairway.yaml"].as_str().unwrap().to_owned()
    }

    /// The agent's container.
    pub(super) fn container(&self) -> Value {
        self.object("DaemonSet", "fairway")["spec"]["template"]["spec"]["containers"][0].clone()
    }
}

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

/// Runs a tool, which must be there.
pub(super) fn run(mut command: Command, input: &str) -> Output {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child
        .unwrap_or_else(|error| panic!("{command:?}: {error}; .ci/run installs what tests need"));
    // Small enough for the pipe.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// A script of this folder, with the packages that `.ci/kubernetes-tools` installs.
pub(super) fn judge(script: &str) -> Command {
    let mut judge = Command::new("/opt/kubernetes-tools/python/bin/python");
    judge.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/install")
            .join(script),
    );
    judge
}

pub(super) fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
