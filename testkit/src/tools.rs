//! Where `scripts/tools` puts what the tests need besides the distribution's
//! packages: PostgreSQL 18, psycopg, asyncpg, SQLAlchemy and node-postgres.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use nix::unistd::geteuid;

/// The cache that `scripts/tools` fills, by the same rule as that script:
/// `$PORTCULLIS_CACHE`, else /var/cache for root (whose home the account that runs
/// PostgreSQL can't enter), else the home directory's cache.
pub fn cache() -> PathBuf {
    if let Some(named) = env::var_os("PORTCULLIS_CACHE") {
        return PathBuf::from(named);
    }
    if geteuid().is_root() {
        return PathBuf::from("/var/cache/portcullis");
    }
    let home = env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    home.join(".cache/portcullis")
}

/// Directory with the programs of PostgreSQL 18.
pub fn postgres_18() -> PathBuf {
    cache().join("postgresql-18/native/bin")
}

/// A Python that can import psycopg.
pub fn python() -> Command {
    let venv = cache().join("python/bin/python3");
    if venv.exists() {
        return Command::new(venv);
    }
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", cache().join("python-packages"));
    command
}

/// A Node.js that can require `pg`.
pub fn node() -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", cache().join("node/node_modules"));
    command
}
