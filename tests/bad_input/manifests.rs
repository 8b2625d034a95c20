//! Files that are no manifests, or not any more.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use fairway_testkit::objects::ingress;
use fairway_testkit::{Lab, lab};
use rustix::fs::{CWD, FileType, Mode};

use super::Told;
use crate::ingress::site::Site;
use crate::support::{Cluster, Feed};

/// Files that cannot be used, and what is said about each after its path.
fn unusable() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    // Nine to the power of twelve letters.
    let bomb: String = (b'b'..=b'm')
        .map(|name| (char::from(name), char::from(name - 1)))
        .map(|(name, inner)| {
            format!(
                "{name}: &{name} [{}]\n",
                vec![format!("*{inner}"); 9].join(",")
            )
        })
        .collect();
    let bomb = format!("a: &a [x,x,x,x,x,x,x,x,x]\n{bomb}");
    vec![
        (
            "syntax.yaml",
            "a: [1, 2\nb: }".into(),
            "document 1, line 2: illegal placement of ':' indicator",
        ),
        (
            "second.yaml",
            "{kind: ConfigMap, apiVersion: v1, metadata: {name: a}}\n---\na: b: c\n".into(),
            "document 2, line 3: mapping values are not allowed in this context",
        ),
        (
            "syntax.json",
            "{\"a\": ".into(),
            "document 1: EOF while parsing a value at line 1 column 6",
        ),
        (
            "latin.yaml",
            b"kind: Service # caf\xe9\n".into(),
            "is not UTF-8 text from byte 19 on",
        ),
        (
            "zeros.yaml",
            vec![0; 4096],
            "document 1, line 1: unexpected character: `\\u{0}'",
        ),
        (
            "text.yaml",
            "just text\n".into(),
            "document 1: is no Kubernetes object: it has no kind; it is left out",
        ),
        (
            "list.yaml",
            "- 1\n- 2\n".into(),
            "document 1: is no Kubernetes object: it has no kind; it is left out",
        ),
        (
            "deep.yaml",
            "[".repeat(100_000).into(),
            "document 1, line 1: recursion limit exceeded",
        ),
        (
            "deep.json",
            "[".repeat(100_000).into(),
            "document 1: recursion limit exceeded",
        ),
        (
            "bomb.yaml",
            bomb.into(),
            "document 1, line 6: budget breached",
        ),
    ]
}

/// Writes the files, in one step each, and others that only the file system can make; returns what
/// is to be said.
fn write_unusable(directory: &Path) -> Vec<String> {
    let mut said = Vec::new();
    let mut says = |file: &str, message: &str| {
        said.push(format!("File {} {message}", directory.join(file).display()));
    };
    for (file, content, message) in unusable() {
        let partial = directory.join("partial");
        fs::write(&partial, content).unwrap();
        fs::rename(partial, directory.join(file)).unwrap();
        says(file, message);
    }
    // Holes take no space.
    File::create(directory.join("large.yaml"))
        .unwrap()
        .set_len((64 << 20) + 1)
        .unwrap();
    says(
        "large.yaml",
        "is larger than 64 MiB, the most that is read; split it",
    );
    let looped = directory.join("loop.yaml");
    if fs::symlink_metadata(&looped).is_err() {
        symlink("loop.yaml", looped).unwrap();
    }
    says("loop.yaml", "Too many levels of symbolic links");
    said
}

/// What means nothing, and is nothing to complain about.
fn write_nothings(directory: &Path) {
    fs::write(directory.join("empty.yaml"), "").unwrap();
    fs::write(
        directory.join("nothing.yaml"),
        "---\n---\n# nothing\n---\nnull\n",
    )
    .unwrap();
    fs::write(directory.join("README.md"), "a: [b\n").unwrap();
    fs::write(directory.join(".hidden.yaml"), "a: [b\n").unwrap();
    fs::create_dir(directory.join("directory.yaml")).unwrap();
    symlink("nowhere", directory.join("dangling.yaml")).unwrap();
    // Opening it would wait for a writer.
    let pipe = directory.join("pipe.yaml");
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

fn site() -> Site {
    let lab = Lab::builder()
        .nodes(1)
        .pod("one", "node-1")
        .pod("two", "node-1");
    let site = Site::new(Cluster::new(Feed::Manifests, lab));
    site.apply_apps(&["one", "two"]);
    site.apply(
        "web",
        [ingress("web")
            .class("fairway")
            .prefix("web", "/", "one", 80)],
    );
    site
}

#[test]
fn unusable_files_are_named_once_and_hold_nothing_up() {
    lab::test(|| {
        let site = site();
        let directory = site.directory().path().to_owned();
        write_nothings(&directory);
        let said = write_unusable(&directory);
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        site.start();
        let agent = site.agent("node-1");
        let told = Told(&agent);
        told.wait(&said);
        assert_eq!(site.answers("web", "/"), "one");

        // Written once more they are the same files.
        write_unusable(&directory);
        site.apply(
            "more",
            [ingress("more")
                .class("fairway")
                .prefix("more", "/", "two", 80)],
        );
        site.becomes("more", "/", "two");
        told.once(&said);
        told.nothing_else(&said);

        // Who only looks is told the same.
        let rendered = site.fairway(
            "node-1",
            &["render", "--manifests", directory.to_str().unwrap()],
        );
        assert!(rendered.status.success());
        let log = String::from_utf8_lossy(&rendered.stderr);
        for said in said {
            assert_eq!(log.matches(said).count(), 1, "{said}\n{log}");
        }
    });
}

#[test]
fn a_file_that_breaks_keeps_its_last_good_state() {
    lab::test(|| {
        let site = site();
        site.start();
        let agent = site.agent("node-1");
        let told = Told(&agent);
        let route = |service: &str| {
            ingress("broken")
                .class("fairway")
                .prefix("broken", "/", service, 80)
        };
        site.apply("broken", [route("one")]);
        site.becomes("broken", "/", "one");

        for (file, content, message) in unusable() {
            // JSON is read by the name of its file; YAML without objects is not broken.
            if file.ends_with(".json") || message.contains("left out") {
                continue;
            }
            let path = site.directory().path().join("broken.yaml");
            let partial = path.with_extension("partial");
            fs::write(&partial, &content).unwrap();
            fs::rename(&partial, &path).unwrap();
            let text = format!("File {} {message}", path.display());
            told.wait(&[&text]);
            assert_eq!(site.answers("broken", "/"), "one", "{file}");
            site.apply("broken", [route("two")]);
            site.becomes("broken", "/", "two");
            site.apply("broken", [route("one")]);
            site.becomes("broken", "/", "one");
        }

        // One object of several that does not decode stays as it was; the others change.
        let odd = route("two").set("/spec", "rules", "none").build();
        let other = ingress("other")
            .class("fairway")
            .prefix("other", "/", "two", 80)
            .build();
        site.apply("broken", [odd, other]);
        site.becomes("other", "/", "two");
        assert_eq!(site.answers("broken", "/"), "one");
        let said = "Ingress default/broken spec.rules: invalid type: string \"none\", expected a \
                    sequence (document 1 of ";
        told.once(&[said]);
        site.delete("broken");
        site.becomes("broken", "/", "404");
    });
}

#[test]
fn other_kinds_and_second_declarations_are_told_once() {
    lab::test(|| {
        let site = site();
        site.start();
        let agent = site.agent("node-1");
        let told = Told(&agent);
        let path = |file: &str| site.directory().path().join(file).display().to_string();
        let others = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n---\n\
                      {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n---\n\
                      {apiVersion: v1, kind: \"Odd\\nKind\\e[31m\", metadata: {name: a}}\n---\n\
                      {apiVersion: v1, kind: Service, metadata: {namespace: shop}}\n---\n\
                      {apiVersion: v1, kind: ConfigMapList, items: [{metadata: {name: c}}]}\n";
        let list = "{apiVersion: v1, kind: List, items: [\
                    {apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: listed}, \
                    spec: {ingressClassName: fairway, rules: [{host: listed, http: {paths: [\
                    {path: /, pathType: Prefix, backend: {service: {name: two, port: {number: 80}}}}]}}]}}]}\n";
        site.directory().write_text("others.yaml", others).unwrap();
        site.directory()
            .write_text("others-2.yaml", others)
            .unwrap();
        site.directory().write_text("list.yaml", list).unwrap();
        site.becomes("listed", "/", "two");
        let web = ingress("web").class("fairway");
        site.apply("web-again", [web.prefix("web", "/", "two", 80)]);
        let twice = format!(
            "Ingress default/web is declared in {} and in {}; the first is used",
            path("web-again.yaml"),
            path("web.yaml")
        );
        let said = [
            "\"ConfigMap (v1)\" in ",
            "\"Odd\\nKind\\u{1b}[31m (v1)\" in ",
            &format!(
                "File {} document 4: this Service has no metadata.name; it is left out",
                path("others.yaml")
            ),
            &format!(
                "File {} document 4: this Service has no metadata.name; it is left out",
                path("others-2.yaml")
            ),
            &twice,
        ];
        told.wait(&said);
        site.becomes("web", "/", "two");
        site.delete("web-again");
        site.apply(
            "marker",
            [ingress("marker")
                .class("fairway")
                .prefix("marker", "/", "one", 80)],
        );
        site.becomes("marker", "/", "one");
        site.becomes("web", "/", "one");
        told.once(&said);
        told.nothing_else(&said);
    });
}
