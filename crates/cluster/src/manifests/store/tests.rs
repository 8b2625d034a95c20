use std::fs;

use super::*;
use crate::Object;

fn service(name: &str) -> String {
    format!("---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}}}\n")
}

/// What an update does, without the lists of problems that are empty.
fn update(store: &mut Store, root: &Path, is_busy: impl Fn(&Path) -> bool) -> Vec<String> {
    let tree = Tree::read(root, |_| {});
    let events = store.update(&tree, is_busy, &mut Some).into_iter();
    let texts = events.filter_map(|event| match event {
        Event::Apply(object) => Some(format!("+{}", object.name()?)),
        Event::Delete(_, name) => Some(format!("-{name}")),
        Event::Problems(_, problems) => Some(problems.first()?.to_string()),
        other => panic!("{other:?}"),
    });
    texts.collect()
}

#[test]
fn a_file_that_is_being_written_waits() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.yaml");
    let mut store = Store::default();
    fs::write(&file, [service("a"), service("b")].concat()).unwrap();
    assert_eq!(
        update(&mut store, directory.path(), |_| false),
        ["+default/a", "+default/b"]
    );
    // Truncated and half-written: it would parse.
    fs::write(&file, service("a")).unwrap();
    assert_eq!(
        update(&mut store, directory.path(), |path| path == file),
        [""; 0]
    );
    fs::write(&file, [service("a"), service("c")].concat()).unwrap();
    let changes = update(&mut store, directory.path(), |_| false);
    assert_eq!(changes, ["+default/a", "-default/b", "+default/c"]);
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = fs::File::create(directory.path().join("a.yaml")).unwrap();
    file.set_len(LARGEST + 1).unwrap(); // sparse
    let changes = update(&mut Store::default(), directory.path(), |_| false);
    assert_eq!(changes.len(), 1);
    assert!(changes[0].contains("larger than 64 MiB"), "{changes:?}");
}

#[test]
fn what_says_the_same_is_not_parsed_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.yaml");
    let mut store = Store::default();
    let mut parsed = 0;
    let texts = [service("a"), service("a"), service("b"), service("a")];
    let mut seen = Vec::new();
    for text in texts {
        fs::write(&file, text).unwrap();
        let tree = Tree::read(directory.path(), |_| {});
        let mut keep = |object| {
            parsed += 1;
            Some::<Object>(object)
        };
        store.update(&tree, |_| false, &mut keep);
        seen.push(parsed);
    }
    assert_eq!(seen, [1, 1, 2, 3]);
}

#[test]
fn what_is_below_something_unreadable_stays() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("x")).unwrap();
    fs::write(directory.path().join("x/a.yaml"), service("a")).unwrap();
    let mut store = Store::default();
    assert_eq!(
        update(&mut store, directory.path(), |_| false),
        ["+default/a"]
    );
    let mut tree = Tree::read(directory.path(), |_| {});
    tree.files.clear();
    tree.unreadable
        .insert(directory.path().join("x"), "permission denied".to_owned());
    let events = store.update(&tree, |_| false, &mut Some);
    let [Event::Problems(_, problems)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert!(
        problems[0].message.starts_with("permission denied"),
        "{problems:?}"
    );
    // Readable again: nothing has changed, and nothing is wrong any more.
    let tree = Tree::read(directory.path(), |_| {});
    let events = store.update(&tree, |_| false, &mut Some);
    let [Event::Problems(part, problems)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert!(part.ends_with("/x") && problems.is_empty(), "{events:?}");
}

#[test]
fn pipes_and_loops_do_not_hang() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let made = std::process::Command::new("mkfifo")
        .arg(path("pipe.yaml"))
        .status();
    assert!(made.unwrap().success());
    std::os::unix::fs::symlink(".", path("loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", path("broken.yaml")).unwrap();
    fs::write(path("a.yaml"), service("a")).unwrap();
    let mut store = Store::default();
    assert_eq!(
        update(&mut store, directory.path(), |_| false),
        ["+default/a"]
    );
}

#[test]
fn one_file_declares_an_object_once() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.yaml"), service("a").repeat(2)).unwrap();
    let changes = update(&mut Store::default(), directory.path(), |_| false);
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(
        changes
            .concat()
            .contains("Service default/a is declared twice"),
        "{changes:?}"
    );
}
