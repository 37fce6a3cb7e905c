//! Owns what a confined process may still do with files: the directories that its own files lie in,
//! and what the system's libraries read by themselves.
//!
//! Directories, not files: a file that is replaced by renaming is another file for the kernel.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Links in a row that are followed.
const LINKS_MAX: usize = 40;

/// What libraries read while the process runs: the resolver, accounts, host names, trusted
/// authorities, modules of all these, time zones, randomness. Whole directories, because their files
/// are replaced while the system runs (`resolv.conf` by a DHCP client, `hosts` by an editor).
const SYSTEM: &[&str] = &[
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/run/systemd/resolve",
    "/run/systemd/userdb",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/nscd",
    "/var/lib/sss",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
];

/// Files of [`SYSTEM`] that may be links to elsewhere.
const LINKED: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/services",
    "/etc/localtime",
];

/// What a confined process may still do with files. Made before it is confined: later, and where a
/// path does not exist, there is nothing to hold on to. All paths are without links.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub(crate) reads: BTreeSet<PathBuf>,
    pub(crate) sockets: BTreeSet<PathBuf>,
    pub(crate) appends: BTreeSet<PathBuf>,
    pub(crate) logs: BTreeSet<PathBuf>,
}

impl Plan {
    /// What every program needs that looks up hosts and accounts and verifies certificates.
    pub fn of_system() -> Self {
        let mut plan = Self::default();
        for place in SYSTEM {
            plan.reads_below(Path::new(place));
        }
        for link in LINKED {
            plan.reads_file(Path::new(link));
        }
        plan
    }

    /// Everything in this directory, or this file alone.
    pub fn reads_below(&mut self, place: &Path) {
        if let Ok(place) = place.canonicalize()
            && place != Path::new("/")
        {
            self.reads.insert(place);
        }
    }

    /// A file, and whatever takes its place: everything in the directory that it lies in, and in those
    /// that links on the way lead to. Of the root directory only the file itself.
    pub fn reads_file(&mut self, path: &Path) {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            match parent(&path) {
                directory
                    if directory
                        .canonicalize()
                        .is_ok_and(|it| it == Path::new("/")) =>
                {
                    self.reads_below(&path);
                }
                directory => {
                    self.reads_below(&directory);
                    self.reads_versions_of(&directory);
                }
            }
            let Ok(target) = std::fs::read_link(&path) else {
                return;
            };
            path = parent(&path).join(target);
        }
    }

    /// If a directory is a link (`..data` of Kubernetes, `current` of many), its next target lies
    /// beside the present one. Not where that would be half the system, as of `/var/run`.
    fn reads_versions_of(&mut self, directory: &Path) {
        let mut directory = directory.to_owned();
        for _ in 0..LINKS_MAX {
            let Ok(target) = std::fs::read_link(&directory) else {
                return;
            };
            directory = parent(&directory).join(target);
            if let Ok(beside) = parent(&directory).canonicalize()
                && beside.components().count() > 2
            {
                self.reads.insert(beside);
            }
        }
    }

    /// Unix-domain sockets are made and removed in this directory.
    pub fn makes_sockets_in(&mut self, directory: &Path) {
        self.sockets.extend(directory.canonicalize());
    }

    /// This file is made if it is not there, and written to.
    pub fn appends_to(&mut self, file: &Path) {
        self.appends.extend(parent(file).canonicalize());
    }

    /// This file is written to, and makes room for others of its directory that are removed in time.
    pub fn logs_to(&mut self, file: &Path) {
        self.logs.extend(parent(file).canonicalize());
    }

    /// Whether a file may be read. One that is not there may: that it is missing is another matter.
    pub fn may_read(&self, path: &Path) -> bool {
        let Ok(path) = path.canonicalize() else {
            return true;
        };
        self.reads.iter().any(|place| path.starts_with(place))
    }

    /// Directories and single files that may be read.
    pub fn readable(&self) -> impl Iterator<Item = &Path> {
        self.reads.iter().map(PathBuf::as_path)
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    /// The plan's own places, as names below `place`.
    fn below(plan: &Plan, place: &Path) -> Vec<String> {
        let place = place.canonicalize().unwrap();
        let names = plan
            .readable()
            .filter_map(|it| it.strip_prefix(&place).ok());
        names.map(|it| it.display().to_string()).collect()
    }

    #[test]
    fn a_file_opens_its_directory_and_those_that_links_lead_to() {
        let place = tempfile::tempdir().unwrap();
        let within = |name: &str| place.path().join(name);
        for directory in ["live", "archive", "volume", "volume/..v1", "other"] {
            fs::create_dir(within(directory)).unwrap();
        }
        for file in ["archive/cert1.pem", "volume/..v1/tls.crt", "other/file"] {
            File::create(within(file)).unwrap();
        }
        symlink("../archive/cert1.pem", within("live/cert.pem")).unwrap();
        symlink("..v1", within("volume/..data")).unwrap();
        let mut plan = Plan::default();
        plan.reads_file(&within("live/cert.pem"));
        assert_eq!(below(&plan, place.path()), ["archive", "live"]);
        assert!(plan.may_read(&within("live/cert.pem")));
        assert!(!plan.may_read(&within("other/file")));
        assert!(plan.may_read(&within("other/missing")));
        // A name that begins alike is another one.
        fs::create_dir(within("live2")).unwrap();
        File::create(within("live2/file")).unwrap();
        assert!(!plan.may_read(&within("live2/file")));
        // A link out of a readable directory is what it leads to.
        symlink("../other/file", within("live/out")).unwrap();
        assert!(!plan.may_read(&within("live/out")));

        let mut plan = Plan::default();
        plan.reads_file(&within("volume/..data/tls.crt"));
        assert_eq!(below(&plan, place.path()), ["volume", "volume/..v1"]);
    }

    #[test]
    fn the_root_directory_is_never_opened_as_a_whole() {
        let mut plan = Plan::default();
        plan.reads_below(Path::new("/"));
        plan.reads_file(Path::new("/proc"));
        plan.reads_file(Path::new("/etc/../etc"));
        assert!(!plan.reads.contains(Path::new("/")));
        // Links of the system as /lib, /bin, /var/run lead to places too wide for a configuration.
        let place = tempfile::tempdir().unwrap();
        symlink("/usr/share", place.path().join("link")).unwrap();
        let mut plan = Plan::default();
        plan.reads_file(&place.path().join("link/file"));
        assert!(!plan.reads.contains(Path::new("/usr")), "{plan:?}");
        assert!(plan.reads.contains(Path::new("/usr/share")));
    }

    #[test]
    fn the_system_is_its_libraries_files_and_no_more() {
        let plan = Plan::of_system();
        assert!(plan.may_read(Path::new("/etc/passwd")));
        for outside in [
            "/proc/self/maps",
            "/proc/1/environ",
            "/tmp",
            "/var",
            "/home",
        ] {
            assert!(!plan.may_read(Path::new(outside)), "{outside}");
        }
    }
}
