//! Owns how files looked when they were last read: enough to tell, without reading them, whether to
//! read them again. Follows symbolic links, so that a link which points elsewhere is a change.

use config::{Holds, Origin, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Links in a row that are followed.
const LINKS_MAX: usize = 8;

/// A change so close to a look may come before or after it: the kernel's clock ticks every few
/// milliseconds only.
const TICK_NS: i128 = 100_000_000;

/// Files with how they looked, and when that was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(BTreeMap<PathBuf, Look>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    /// `None`: it could not be looked at.
    stamp: Option<Stamp>,
    /// Nanoseconds since 1970.
    at_ns: i128,
}

/// What changes with every change of a file: by another file in its place, by writing, by chmod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    written_ns: i128,
    changed_ns: i128,
}

impl Seen {
    /// Looks at one file.
    pub(crate) fn look(&mut self, path: &Path) {
        self.0.insert(path.to_owned(), Look::at(path));
    }

    /// Looks at every file among these, but for those that are followed without a reload.
    pub(crate) fn look_at_all(&mut self, sources: &[Source]) {
        for source in sources {
            if let (Origin::File(path), true) = (&source.from, source.holds != Holds::Members) {
                self.look(path);
            }
        }
    }

    /// True if a file looks other than it did.
    pub(crate) fn looks_different(&self) -> bool {
        let different = |(path, before): (&PathBuf, &Look)| Look::at(path).stamp != before.stamp;
        self.0.iter().any(different)
    }

    /// True if a file looks other than it did, or may have changed in the moment of the look.
    pub(crate) fn may_have_changed(&self) -> bool {
        self.0.values().any(Look::is_doubtful) || self.looks_different()
    }

    /// The directories in which a change of these files shows: of the files, and of whatever the
    /// links on the way to them point to.
    pub(crate) fn directories(&self) -> BTreeSet<PathBuf> {
        self.0.keys().flat_map(|path| directories(path)).collect()
    }
}

impl Look {
    fn at(path: &Path) -> Look {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Look {
            // Before the file: what comes in between then counts as doubtful.
            at_ns: since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0)),
            stamp: std::fs::metadata(path).ok().map(|facts| Stamp::of(&facts)),
        }
    }

    fn is_doubtful(&self) -> bool {
        let near = |stamp: Stamp| (stamp.changed_ns - self.at_ns).abs() < TICK_NS;
        self.stamp.is_some_and(near)
    }
}

impl Stamp {
    fn of(facts: &Metadata) -> Stamp {
        let ns = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
        Stamp {
            device: facts.dev(),
            inode: facts.ino(),
            size: facts.size(),
            mode: facts.mode(),
            written_ns: ns(facts.mtime(), facts.mtime_nsec()),
            changed_ns: ns(facts.ctime(), facts.ctime_nsec()),
        }
    }
}

fn directories(path: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut found = vec![parent(path)];
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(target) = std::fs::read_link(&path) else {
            break;
        };
        path = parent(&path).join(target);
        found.push(parent(&path));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    /// A file with a change that is not of this moment, and the look at it.
    fn seen(path: &Path) -> Seen {
        let mut seen = Seen::default();
        seen.look(path);
        // As if the look had been a second later.
        for look in seen.0.values_mut() {
            look.at_ns += 1_000_000_000;
        }
        seen
    }

    #[test]
    fn every_way_to_change_a_file_shows() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        let other = place.path().join("other");
        fs::write(&path, "one").unwrap();
        assert!(!seen(&path).may_have_changed());

        let before = seen(&path);
        let later = SystemTime::now() + Duration::from_secs(1);
        fs::write(&path, "two").unwrap();
        File::options()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_modified(later))
            .unwrap();
        assert!(before.may_have_changed(), "written in place");

        let before = seen(&path);
        fs::write(&other, "two").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(before.may_have_changed(), "renamed over");

        let before = seen(&path);
        fs::remove_file(&path).unwrap();
        assert!(before.may_have_changed(), "removed");
        let before = seen(&path);
        assert!(!before.may_have_changed());
        fs::write(&path, "three").unwrap();
        assert!(before.may_have_changed(), "made");
    }

    #[test]
    fn a_link_that_points_elsewhere_shows() {
        let place = tempfile::tempdir().unwrap();
        let within = |name: &str| place.path().join(name);
        for version in ["v1", "v2"] {
            fs::create_dir(within(version)).unwrap();
            fs::write(within(version).join("file"), "text").unwrap();
        }
        symlink("v1", within("..data")).unwrap();
        symlink("..data/file", within("file")).unwrap();
        let before = seen(&within("file"));
        let expected = [place.path().to_owned(), within("..data")];
        assert_eq!(before.directories(), BTreeSet::from(expected));
        symlink("v2", within("..next")).unwrap();
        fs::rename(within("..next"), within("..data")).unwrap();
        assert!(before.may_have_changed());
    }

    #[test]
    fn a_change_in_the_moment_of_the_look_is_looked_at_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "one").unwrap();
        let mut now = Seen::default();
        now.look(&path);
        assert!(now.may_have_changed() && !now.looks_different());
    }
}
