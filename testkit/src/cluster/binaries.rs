//! PostgreSQL's server programs: where they lie and of which version they are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools;

/// A directory with `initdb` and `postgres`.
#[derive(Debug, Clone)]
pub struct Binaries {
    directory: PathBuf,
    /// Major version, such as 15.
    pub major: u32,
}

impl Binaries {
    /// The distribution's PostgreSQL: PATH, then pg_config, then the newest below /usr/lib/postgresql.
    #[track_caller]
    pub fn installed() -> Self {
        let found = candidates()
            .iter()
            .find_map(|directory| Self::at(directory));
        found.expect("PostgreSQL's server programs; `scripts/install test` installs them")
    }

    /// PostgreSQL 18 from the cache that `scripts/tools` fills.
    #[track_caller]
    pub fn version_18() -> Self {
        let directory = tools::postgres_18();
        Self::at(&directory).unwrap_or_else(|| {
            panic!(
                "no PostgreSQL 18 in {}; run `scripts/tools`",
                directory.display()
            )
        })
    }

    /// The programs in this directory, if it holds a server.
    pub fn at(directory: &Path) -> Option<Self> {
        // On PATH there may be links to the server alone; its siblings lie beside the file itself.
        let server = directory.join("postgres").canonicalize().ok()?;
        let output = Command::new(&server).arg("--version").output().ok()?;
        // "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"
        let text = String::from_utf8(output.stdout).ok()?;
        let version = text.split_whitespace().nth(2)?;
        let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
        let directory = server.parent()?.to_owned();
        directory.join("initdb").exists().then_some(())?;
        Some(Self {
            directory,
            major: digits.parse().ok()?,
        })
    }

    /// Path of one program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ));
    }
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    found.extend(versions.into_iter().map(|(_, path)| path.join("bin")));
    found
}
