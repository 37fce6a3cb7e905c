//! Where `scripts/tools` puts what the tests need besides the distribution's
//! packages: PostgreSQL 18, psycopg, asyncpg, SQLAlchemy, node-postgres and Playwright; and the browser.

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

/// A Node.js that can require `pg` and `playwright-core`.
pub fn node() -> Command {
    let mut command = Command::new("node");
    let modules = |name| cache().join(name).join("node_modules");
    let paths = [modules("node"), modules("node-browser")];
    command.env("NODE_PATH", env::join_paths(paths).expect("paths"));
    command
}

/// Chromium: `$PORTCULLIS_CHROMIUM`, else Debian's. Panics where there is none.
#[track_caller]
pub fn browser() -> PathBuf {
    let named = env::var_os("PORTCULLIS_CHROMIUM").map(PathBuf::from);
    let browser = named.unwrap_or_else(|| PathBuf::from("/usr/bin/chromium"));
    assert!(
        browser.exists(),
        "there is no browser at {}: install Debian's package chromium (Ubuntu's is a snap, which can't be used \
         here), or name another Chromium in PORTCULLIS_CHROMIUM",
        browser.display()
    );
    browser
}
