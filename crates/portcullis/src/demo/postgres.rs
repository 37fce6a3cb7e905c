//! Owns finding PostgreSQL's programs and their version.

use super::DemoFault;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Where distributions in Debian's manner keep one directory for each major version.
const VERSIONED: &str = "/usr/lib/postgresql";

/// A PostgreSQL installation.
#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    /// Its programs.
    pub(crate) directory: PathBuf,
    /// Such as `15.18`.
    pub(crate) version: String,
    /// Such as 15.
    pub(crate) major: u32,
}

impl Postgres {
    /// PATH, then pg_config, then the newest below /usr/lib/postgresql.
    pub(crate) fn find() -> Result<Postgres, DemoFault> {
        let found = candidates().iter().find_map(|it| Postgres::at(it));
        found.ok_or(DemoFault::NoPostgres)
    }

    /// The installation in this directory, if it has a server.
    fn at(directory: &Path) -> Option<Postgres> {
        // On PATH there may be links; what belongs to the server lies beside the file itself.
        let server = directory.join("postgres").canonicalize().ok()?;
        let directory = server.parent()?.to_owned();
        if !directory.join("initdb").exists() {
            return None;
        }
        let output = Command::new(&server).arg("--version").output().ok()?;
        let (version, major) = version(&String::from_utf8(output.stdout).ok()?)?;
        Some(Postgres {
            directory,
            version,
            major,
        })
    }

    /// One of its programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// `psql`: the one on PATH, which people will use, or the installation's own.
    pub(crate) fn psql(&self) -> Option<PathBuf> {
        let here = on_path().map(|directory| directory.join("psql"));
        let mut all = here.chain([self.program("psql")]);
        all.find(|program| program.is_file())
    }
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
fn version(line: &str) -> Option<(String, u32)> {
    let version = line.split_whitespace().nth(2)?;
    let digits = version
        .split(|letter: char| !letter.is_ascii_digit())
        .next()?;
    Some((version.to_owned(), digits.parse().ok()?))
}

fn on_path() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn candidates() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = on_path().collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        let directory = String::from_utf8_lossy(&output.stdout);
        found.push(PathBuf::from(directory.trim()));
    }
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(VERSIONED)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
        .collect();
    versions.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    found.extend(versions.into_iter().map(|(_, path)| path.join("bin")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_of_releases_and_betas() {
        for (line, expected) in [
            (
                "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n",
                Some(("15.18", 15)),
            ),
            ("postgres (PostgreSQL) 19beta1\n", Some(("19beta1", 19))),
            ("postgres\n", None),
        ] {
            let found = version(line);
            let found = found.as_ref().map(|(text, major)| (text.as_str(), *major));
            assert_eq!(found, expected, "{line:?}");
        }
    }
}
