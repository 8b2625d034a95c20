use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use fairway_model::{ObjectName, ObjectRef};

use super::document::{Declaration, Keep, parse, unreadable};
use super::tree::{Stamp, Tree};
use crate::event::Named;
use crate::index::Interner;
use crate::problem::{Problem, Quoted, Reason};
use crate::{Event, Kind};

/// Largest file that is read, in bytes. 100,000 Services with their slices are about 100 MB as YAML;
/// they are better kept in several files, each of which is parsed again when it changes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Most kinds that are remembered as skipped; a real cluster has some hundred.
const SKIPPED: usize = 1000;

/// What the files declare and what of it was sent. Objects themselves are not kept.
#[derive(Debug, Default)]
pub(super) struct Store {
    files: BTreeMap<Arc<Path>, Known>,
    objects: BTreeMap<ObjectRef, Standing>,
    names: Interner,
    skipped: BTreeSet<String>,
    digests: RandomState,
}

#[derive(Debug, Default)]
struct Known {
    /// None when the file is to be read again in any case.
    stamp: Option<Stamp>,
    /// Stands for the text that was read last. A file that was written just before it was read is read
    /// once more, and nearly always says the same.
    digest: Option<u64>,
    /// Sorted.
    declared: Box<[ObjectRef]>,
}

/// Who declares an object, and what the index has been told of it.
#[derive(Debug, Default)]
struct Standing {
    /// Sorted; the first one counts, and nearly always there is one.
    owners: Vec<Arc<Path>>,
    sent: Option<Sent>,
    /// It is reported that there are several owners.
    is_contested: bool,
}

#[derive(Debug)]
struct Sent {
    from: Arc<Path>,
    objects: Names,
}

/// The objects that a declaration amounts to.
#[derive(Debug, PartialEq, Eq)]
enum Names {
    /// Just what it says.
    Same(Kind),
    Others(Box<[(Kind, ObjectName)]>),
}

/// The content of the files that were read in one update.
type Contents<T> = BTreeMap<Arc<Path>, Content<T>>;
/// What a file declares; none for an object whose fields do not decode.
type Content<T> = BTreeMap<ObjectRef, Option<Vec<T>>>;

impl Store {
    /// Reads what changed and returns it. Files for which `is_busy` holds keep their last content.
    pub(super) fn update<T: Named>(
        &mut self,
        tree: &Tree,
        is_busy: impl Fn(&Path) -> bool,
        keep: Keep<'_, T>,
    ) -> Vec<Event<T>> {
        let mut events = Vec::new();
        let mut affected = BTreeSet::new();
        let mut contents = Contents::new();
        for path in self.gone(tree) {
            let known = self.files.remove(&path).unwrap_or_default();
            self.disown(&path, known.declared.into_iter(), &mut affected);
            events.push(problems(&path, Vec::new()));
        }
        for (path, stamp) in &tree.files {
            let known = self.files.get(&**path);
            let same = known.is_some_and(|known| known.stamp.as_ref() == Some(stamp));
            if !same && !is_busy(path) {
                let found = self.reread(path, stamp, keep, &mut contents, &mut affected);
                events.extend(found.map(|found| problems(path, found)));
            }
        }
        for (path, message) in &tree.unreadable {
            let problem = unreadable(path, "", message);
            let known = self.files.entry(path.as_path().into()).or_default();
            (known.stamp, known.digest) = (None, None);
            events.push(problems(path, vec![problem]));
        }
        for object in affected {
            self.resolve(object, keep, &mut contents, &mut events);
        }
        events
    }

    /// Files that are not there any more. What is below something unreadable may well be.
    fn gone(&self, tree: &Tree) -> Vec<Arc<Path>> {
        let hidden = |path: &Path| {
            path.ancestors()
                .any(|path| tree.unreadable.contains_key(path))
        };
        let paths = self.files.keys();
        let gone = paths.filter(|path| !tree.files.contains_key(&***path) && !hidden(path));
        gone.cloned().collect()
    }

    /// Returns what is wrong with the file; none when it says what it said.
    fn reread<T>(
        &mut self,
        path: &Path,
        stamp: &Stamp,
        keep: Keep<'_, T>,
        contents: &mut Contents<T>,
        affected: &mut BTreeSet<ObjectRef>,
    ) -> Option<Vec<Problem>> {
        // Judged before reading: what is written afterwards leaves another stamp.
        let settled = stamp.is_settled().then_some(*stamp);
        let path: Arc<Path> = match self.files.get_key_value(path) {
            Some((path, _)) => path.clone(),
            None => path.into(),
        };
        let known = self.files.entry(path.clone()).or_default();
        known.stamp = settled;
        let before = known.digest.take();
        let text = match read(&path) {
            Ok(text) => text,
            Err(problem) => return Some(vec![problem]),
        };
        known.digest = Some(self.digests.hash_one(&text));
        if known.digest == before {
            return None;
        }
        let parsed = match parse(&path, &text, keep) {
            Ok(parsed) => parsed,
            Err(problem) => return Some(vec![problem]),
        };
        drop(text);
        let mut found = parsed.problems;
        let content = collect(&path, parsed.declarations, &mut self.names, &mut found);
        let declared: Box<[ObjectRef]> = content.keys().cloned().collect();
        for object in &declared {
            let owners = &mut self.objects.entry(object.clone()).or_default().owners;
            if let Err(at) = owners.binary_search(&path) {
                owners.reserve_exact(1);
                owners.insert(at, path.clone());
            }
            affected.insert(object.clone());
        }
        let before = std::mem::replace(&mut known.declared, declared);
        let gone = before
            .into_iter()
            .filter(|object| !content.contains_key(object));
        self.disown(&path, gone, affected);
        contents.insert(path.clone(), content);
        self.mention_skipped(&path, parsed.skipped);
        Some(found)
    }

    fn disown(
        &mut self,
        path: &Path,
        objects: impl Iterator<Item = ObjectRef>,
        affected: &mut BTreeSet<ObjectRef>,
    ) {
        for object in objects {
            if let Some(standing) = self.objects.get_mut(&object) {
                standing.owners.retain(|owner| **owner != *path);
            }
            affected.insert(object);
        }
    }

    /// Tells the index what has become of an object whose declarations changed.
    fn resolve<T: Named>(
        &mut self,
        object: ObjectRef,
        keep: Keep<'_, T>,
        contents: &mut Contents<T>,
        events: &mut Vec<Event<T>>,
    ) {
        let mut standing = self.objects.remove(&object).unwrap_or_default();
        let (winner, others) = match standing.owners.split_first() {
            Some((winner, others)) => (Some(winner.clone()), others),
            None => (None, &[][..]),
        };
        if standing.is_contested || !others.is_empty() {
            events.push(duplicate(&object, winner.as_deref(), others));
            standing.is_contested = !others.is_empty();
        }
        let sent = standing.sent.take();
        let mut stale = sent
            .as_ref()
            .map_or_else(Vec::new, |sent| sent.objects.of(&object));
        let Some(winner) = winner else {
            events.extend(deletions(stale));
            return;
        };
        let known = sent.as_ref().is_some_and(|sent| sent.from == winner);
        if known && !contents.contains_key(&winner) {
            standing.sent = sent;
            self.objects.insert(object, standing);
            return;
        }
        // A file that was not read now: one that comes to count because another is gone.
        let content = contents
            .entry(winner.clone())
            .or_insert_with(|| again(&winner, keep, &mut self.names));
        match content.remove(&object).flatten() {
            Some(objects) => {
                let names = Names::new(&object, &objects);
                let still = names.of(&object);
                stale.retain(|name| !still.contains(name));
                events.extend(objects.into_iter().map(Event::Apply));
                standing.sent = Some(Sent {
                    from: winner,
                    objects: names,
                });
            }
            // It does not decode: what the same file said last stays.
            None if known => {
                standing.sent = sent;
                stale.clear();
            }
            None => {}
        }
        self.objects.insert(object, standing);
        events.extend(deletions(stale));
    }

    fn mention_skipped(&mut self, path: &Path, kinds: Vec<String>) {
        for kind in kinds {
            if self.skipped.len() < SKIPPED && !self.skipped.contains(&kind) {
                tracing::warn!(
                    "{} in {} is of no use to fairway; all of this kind are skipped",
                    Quoted(&kind),
                    path.display()
                );
                self.skipped.insert(kind);
            }
        }
    }
}

impl Names {
    fn new(declared: &ObjectRef, objects: &[impl Named]) -> Self {
        let names = objects.iter();
        let names = names.filter_map(|object| Some((object.kind(), object.name()?)));
        let names: Box<[_]> = names.collect();
        match &*names {
            [(kind, name)] if kind.as_str() == declared.kind && *name == declared.name => {
                Self::Same(*kind)
            }
            _ => Self::Others(names),
        }
    }

    fn of(&self, declared: &ObjectRef) -> Vec<(Kind, ObjectName)> {
        match self {
            Self::Same(kind) => vec![(*kind, declared.name.clone())],
            Self::Others(names) => names.to_vec(),
        }
    }
}

fn deletions<T>(names: Vec<(Kind, ObjectName)>) -> impl Iterator<Item = Event<T>> {
    let names = names.into_iter();
    names.map(|(kind, name)| Event::Delete(kind, name))
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let text = read_at_most(path, LARGEST);
    let text = text.map_err(|error| unreadable(path, "", &error.to_string()))?;
    let message = "is larger than 64 MiB, the most that is read; split it";
    text.ok_or_else(|| unreadable(path, "", message))
}

/// None when there is more.
fn read_at_most(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > most {
        return Ok(None);
    }
    let mut text = Vec::new();
    // It may be growing.
    file.take(most + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= most).then_some(text))
}

/// The content of a file whose problems are known.
fn again<T>(path: &Path, keep: Keep<'_, T>, names: &mut Interner) -> Content<T> {
    let parsed = read(path).and_then(|text| parse(path, &text, keep));
    let parsed = parsed.unwrap_or_default();
    collect(path, parsed.declarations, names, &mut Vec::new())
}

/// Of an object that is declared twice in a file, the first counts.
fn collect<T>(
    path: &Path,
    declarations: Vec<Declaration<T>>,
    names: &mut Interner,
    problems: &mut Vec<Problem>,
) -> Content<T> {
    let mut content = BTreeMap::new();
    for declaration in declarations {
        let Declaration {
            mut object,
            content: new,
        } = declaration;
        object.name.namespace = names.get(&object.name.namespace);
        object.name.name = names.get(&object.name.name);
        if content.contains_key(&object) {
            problems.push(Problem {
                object,
                field: String::new(),
                message: format!("is declared twice in {}; the first is used", path.display()),
                reason: Reason::Duplicate,
            });
            continue;
        }
        content.insert(object, new);
    }
    content
}

fn problems<T>(path: &Path, problems: Vec<Problem>) -> Event<T> {
    Event::Problems(path.to_string_lossy().into(), problems)
}

fn duplicate<T>(object: &ObjectRef, winner: Option<&Path>, others: &[Arc<Path>]) -> Event<T> {
    let mut problems = Vec::new();
    if let (Some(winner), [other, ..]) = (winner, others) {
        problems.push(Problem {
            object: object.clone(),
            field: String::new(),
            message: format!(
                "is declared in {} and in {}; the first is used",
                winner.display(),
                other.display()
            ),
            reason: Reason::Duplicate,
        });
    }
    Event::Problems(format!("declarations of {object}").into(), problems)
}

#[cfg(test)]
mod tests;
