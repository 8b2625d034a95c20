use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use fairway_model::{ObjectName, Snapshot};
use tempfile::TempDir;

use crate::{Cluster, LoadError, Options, Problem, ProblemMetrics, Reason, Source, load};

/// Far more than any change takes; only a failure waits for it.
const DEADLINE: Duration = Duration::from_secs(20);

struct Followed {
    cluster: Cluster,
    snapshot: Snapshot,
}

impl Followed {
    async fn start(directory: &Path) -> Self {
        let source = Source::Manifests(directory.to_owned());
        let cluster = Cluster::start(source, Options::default(), ProblemMetrics::default()).await;
        let mut followed = Self {
            cluster: cluster.expect("the directory is there"),
            snapshot: Snapshot::default(),
        };
        followed.next().await;
        followed
    }

    async fn next(&mut self) {
        let update = tokio::time::timeout(DEADLINE, self.cluster.next()).await;
        self.snapshot = update.expect("an update in time").snapshot.as_ref().clone();
    }

    /// Waits until the Services are these, each written `name=ClusterIP`.
    async fn until(&mut self, expected: &[&str]) {
        while services(&self.snapshot) != expected {
            self.next().await;
        }
    }

    fn problems(&self) -> Vec<String> {
        self.cluster.problems().map(ToString::to_string).collect()
    }
}

fn services(snapshot: &Snapshot) -> Vec<String> {
    let services = snapshot.services.values().map(|service| {
        let address = service.cluster_ips.first().map(ToString::to_string);
        format!("{}={}", service.name.name, address.unwrap_or_default())
    });
    services.collect()
}

fn service(name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  clusterIP: {address}\n  \
         ports:\n  - port: 80\n"
    )
}

fn write(directory: &TempDir, name: &str, text: &str) {
    fs::write(directory.path().join(name), text).expect("written");
}

fn read(directory: &TempDir) -> (Snapshot, Vec<String>) {
    let (snapshot, problems) = load(directory.path(), &Options::default()).expect("readable");
    (snapshot, problems.iter().map(ToString::to_string).collect())
}

fn temporary() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn every_manifest_below_the_directory() {
    let directory = temporary();
    fs::create_dir_all(directory.path().join("deep/er")).unwrap();
    fs::create_dir_all(directory.path().join(".git")).unwrap();
    write(
        &directory,
        "a.yaml",
        &[service("a", "10.0.0.1"), service("b", "10.0.0.2")].concat(),
    );
    write(&directory, "deep/c.yml", &service("c", "10.0.0.3"));
    write(
        &directory,
        "deep/er/d.json",
        r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "d", "namespace": "other"},
            "spec": {"clusterIP": "10.0.0.4"}}"#,
    );
    write(
        &directory,
        ".git/hidden.yaml",
        &service("hidden", "10.0.0.5"),
    );
    write(&directory, "readme.md", &service("readme", "10.0.0.6"));
    write(&directory, "empty.yaml", "");
    write(&directory, "comment.yaml", "# nothing yet\n---\n---\n");
    let (snapshot, problems) = read(&directory);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(
        services(&snapshot),
        ["a=10.0.0.1", "b=10.0.0.2", "c=10.0.0.3", "d=10.0.0.4"]
    );
    assert!(
        snapshot
            .services
            .contains_key(&ObjectName::new("default", "a"))
    );
    assert!(
        snapshot
            .services
            .contains_key(&ObjectName::new("other", "d"))
    );
}

#[test]
fn a_directory_that_cannot_be_read_says_what_to_check() {
    let error = load(Path::new("/does/not/exist"), &Options::default()).unwrap_err();
    let LoadError::Directory { .. } = &error;
    let text = error.to_string();
    assert!(
        text.contains("/does/not/exist") && text.contains("--manifests"),
        "{text}"
    );
}

#[tokio::test]
async fn a_missing_directory_fails_the_start() {
    let source = Source::Manifests("/does/not/exist".into());
    assert!(
        Cluster::start(source, Options::default(), ProblemMetrics::default())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn changes_take_effect() {
    let directory = temporary();
    write(&directory, "a.yaml", &service("a", "10.0.0.1"));
    let mut followed = Followed::start(directory.path()).await;
    followed.until(&["a=10.0.0.1"]).await;

    write(&directory, "b.yaml", &service("b", "10.0.0.2"));
    followed.until(&["a=10.0.0.1", "b=10.0.0.2"]).await;
    write(&directory, "a.yaml", &service("a", "10.0.0.9"));
    followed.until(&["a=10.0.0.9", "b=10.0.0.2"]).await;
    fs::remove_file(directory.path().join("a.yaml")).unwrap();
    followed.until(&["b=10.0.0.2"]).await;

    // As editors save: a new file takes the place of the old one.
    write(&directory, "b.yaml.new", &service("b", "10.0.0.3"));
    let [new, old] = ["b.yaml.new", "b.yaml"].map(|name| directory.path().join(name));
    fs::rename(new, old).unwrap();
    followed.until(&["b=10.0.0.3"]).await;

    // A directory that comes later, filled at once and changed later.
    fs::create_dir_all(directory.path().join("x/y")).unwrap();
    write(&directory, "x/y/c.yaml", &service("c", "10.0.0.4"));
    followed.until(&["b=10.0.0.3", "c=10.0.0.4"]).await;
    write(&directory, "x/y/c.yaml", &service("c", "10.0.0.5"));
    followed.until(&["b=10.0.0.3", "c=10.0.0.5"]).await;
    fs::rename(directory.path().join("x"), directory.path().join("z")).unwrap();
    write(&directory, "z/y/d.yaml", &service("d", "10.0.0.6"));
    followed
        .until(&["b=10.0.0.3", "c=10.0.0.5", "d=10.0.0.6"])
        .await;
    fs::remove_dir_all(directory.path().join("z")).unwrap();
    followed.until(&["b=10.0.0.3"]).await;
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_content() {
    let directory = temporary();
    write(&directory, "a.yaml", &service("a", "10.0.0.1"));
    let mut followed = Followed::start(directory.path()).await;
    followed.until(&["a=10.0.0.1"]).await;

    let broken = format!("{}---\nkind: [Service\n", service("a", "10.0.0.7"));
    write(&directory, "a.yaml", &broken);
    // Comes after it by name, so it is read after it.
    write(&directory, "b.yaml", &service("b", "10.0.0.2"));
    followed.until(&["a=10.0.0.1", "b=10.0.0.2"]).await;
    let problems = followed.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let said = format!(
        "File {}/a.yaml document 2, line ",
        directory.path().display()
    );
    assert!(problems[0].starts_with(&said), "{problems:?}");
    assert!(
        problems[0].ends_with("its last good content stays in use"),
        "{problems:?}"
    );
    assert!(!problems[0].contains('\n'));

    write(&directory, "a.yaml", &service("a", "10.0.0.8"));
    followed.until(&["a=10.0.0.8", "b=10.0.0.2"]).await;
    assert_eq!(followed.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn an_object_that_does_not_decode_takes_nothing_along() {
    let directory = temporary();
    write(&directory, "a.yaml", &service("a", "10.0.0.1"));
    let mut followed = Followed::start(directory.path()).await;
    followed.until(&["a=10.0.0.1"]).await;
    let wrong = service("a", "10.0.0.7").replace("port: 80", "port: eighty");
    write(
        &directory,
        "a.yaml",
        &[wrong, service("b", "10.0.0.2")].concat(),
    );
    followed.until(&["a=10.0.0.1", "b=10.0.0.2"]).await;
    let problems = followed.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let said = "Service default/a spec.ports[0].port: invalid type: string \"eighty\"";
    assert!(problems[0].starts_with(said), "{problems:?}");
    assert!(problems[0].contains("document 1 of"), "{problems:?}");

    // From a fresh start it is just absent.
    assert_eq!(services(&read(&directory).0), ["b=10.0.0.2"]);
}

#[tokio::test]
async fn of_two_declarations_the_first_file_counts() {
    let directory = temporary();
    write(&directory, "b.yaml", &service("web", "10.0.0.2"));
    let mut followed = Followed::start(directory.path()).await;
    followed.until(&["web=10.0.0.2"]).await;
    write(&directory, "a.yaml", &service("web", "10.0.0.1"));
    followed.until(&["web=10.0.0.1"]).await;
    let problems = followed.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("Service default/web is declared in "),
        "{problems:?}"
    );

    // Its last good content counts too.
    write(&directory, "a.yaml", "{");
    write(&directory, "c.yaml", &service("c", "10.0.0.3"));
    followed.until(&["c=10.0.0.3", "web=10.0.0.1"]).await;

    fs::remove_file(directory.path().join("a.yaml")).unwrap();
    followed.until(&["c=10.0.0.3", "web=10.0.0.2"]).await;
    assert_eq!(followed.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn a_mounted_config_map_is_swapped_as_a_whole() {
    let directory = temporary();
    let version = |number: u8| {
        let name = format!("..version-{number}");
        fs::create_dir(directory.path().join(&name)).unwrap();
        write(
            &directory,
            &format!("{name}/web.yaml"),
            &service("web", &format!("10.0.0.{number}")),
        );
        symlink(&name, directory.path().join("..data_tmp")).unwrap();
        let [new, data] = ["..data_tmp", "..data"].map(|name| directory.path().join(name));
        fs::rename(new, data).unwrap();
    };
    version(1);
    symlink("..data/web.yaml", directory.path().join("web.yaml")).unwrap();
    let mut followed = Followed::start(directory.path()).await;
    followed.until(&["web=10.0.0.1"]).await;
    version(2);
    fs::remove_dir_all(directory.path().join("..version-1")).unwrap();
    followed.until(&["web=10.0.0.2"]).await;
    assert_eq!(followed.problems(), Vec::<String>::new());
}

#[tokio::test]
async fn a_link_to_a_file_elsewhere_is_followed() {
    let [directory, elsewhere] = [temporary(), temporary()];
    write(&elsewhere, "web.txt", &service("web", "10.0.0.1"));
    let target = elsewhere.path().join("web.txt");
    symlink(&target, directory.path().join("web.yaml")).unwrap();
    let mut followed = Followed::start(directory.path()).await;
    followed.until(&["web=10.0.0.1"]).await;
    write(&elsewhere, "web.txt", &service("web", "10.0.0.2"));
    followed.until(&["web=10.0.0.2"]).await;
}

#[tokio::test]
async fn a_directory_that_goes_away_leaves_everything_as_it_is() {
    let parent = temporary();
    let directory = parent.path().join("manifests");
    fs::create_dir(&directory).unwrap();
    write(&parent, "manifests/a.yaml", &service("a", "10.0.0.1"));
    let mut followed = Followed::start(&directory).await;
    followed.until(&["a=10.0.0.1"]).await;
    fs::rename(&directory, parent.path().join("away")).unwrap();
    fs::create_dir(parent.path().join("new")).unwrap();
    write(&parent, "new/a.yaml", &service("a", "10.0.0.1"));
    write(&parent, "new/b.yaml", &service("b", "10.0.0.2"));
    fs::rename(parent.path().join("new"), &directory).unwrap();
    followed.next().await;
    // Not for a moment was `a` gone.
    assert_eq!(services(&followed.snapshot), ["a=10.0.0.1", "b=10.0.0.2"]);
    fs::remove_file(directory.join("a.yaml")).unwrap();
    followed.until(&["b=10.0.0.2"]).await;
}

#[tokio::test]
async fn watching_ends_with_the_cluster() {
    let directory = temporary();
    let followed = Followed::start(directory.path()).await;
    assert!(is_watched(directory.path()));
    drop(followed);
    let ended = async {
        while is_watched(directory.path()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, ended)
        .await
        .expect("nothing watches any more");
}

/// Whether this process still has an inotify watch on a directory.
fn is_watched(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = format!("ino:{:x} ", fs::metadata(directory).unwrap().ino());
    let infos = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let mut infos = infos.filter_map(|info| fs::read_to_string(info.path()).ok());
    infos.any(|info| info.contains("inotify ") && info.contains(&inode))
}

/// What the README and the demo show must work, and be free of problems.
#[test]
fn the_examples() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests/examples");
    let (snapshot, problems) = load(&directory, &Options::default()).expect("readable");
    // Pods are what a cluster adds.
    let others = |problem: &Problem| problem.reason != Reason::NoEndpoints;
    let problems: Vec<_> = problems.into_iter().filter(others).collect();
    assert_eq!(problems, []);
    let hosts: Vec<String> = snapshot
        .routes
        .hosts
        .keys()
        .map(ToString::to_string)
        .collect();
    assert_eq!(hosts, ["blog.example.com", "shop.example.com"]);
    let ingress = &snapshot.services[&ObjectName::new("fairway-system", "fairway-ingress")];
    assert_eq!(
        ingress.ports[0].node_port.map(|port| port.get()),
        Some(30080)
    );
}
