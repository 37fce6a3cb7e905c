//! Owns what a process learns of statements: the file, which is read at the start, and the thread that writes it anew
//! while there is something new.

use crate::fault::Fault;
use config::{Config, Learn};
use policy::Learned;
use shell::setup::Setup;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the file is written at most.
const PAUSE: Duration = Duration::from_secs(2);
/// No file of rules has more.
const FILE_MAX: u64 = 64 << 20;

/// The learning of a process, if it learns.
#[derive(Clone, Default)]
pub(crate) struct Learner(Option<Arc<Learning>>);

struct Learning {
    learn: Learn,
    learned: Arc<Learned>,
    thread: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

impl Learner {
    /// Reads what was learned before, and starts the thread, if something is to be learned.
    pub(crate) fn start(config: &Config) -> Result<Learner, Vec<Fault>> {
        let Some(learn) = configured(config) else {
            return Ok(Learner(None));
        };
        let system = |error| vec![Fault::System(error)];
        let learned = Arc::new(Learned::new(learn.statements_max));
        learned.read(&before(&learn.path).map_err(system)?);
        // What can't be written is said at the start, not after a week.
        write(&learn.path, &learned.write()).map_err(system)?;
        let (stop, stopped) = mpsc::channel();
        let (path, known) = (learn.path.clone(), Arc::clone(&learned));
        let thread = std::thread::Builder::new().name("learner".into());
        let thread = thread.spawn(move || {
            let mut changes = known.changes();
            loop {
                let ends = stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout);
                let now = known.changes();
                if now != changes {
                    match write(&path, &known.write()) {
                        Ok(()) => changes = now,
                        Err(error) => {
                            let path = path.display();
                            tracing::error!(%path, %error, "what was learned can't be written");
                        }
                    }
                }
                if ends {
                    return;
                }
            }
        });
        let thread = thread.map_err(system)?;
        tracing::warn!(
            path = %learn.path.display(),
            "learning: rules refuse nothing (policy.learn)"
        );
        Ok(Learner(Some(Arc::new(Learning {
            learn: learn.clone(),
            learned,
            thread: Mutex::new(Some((stop, thread))),
        }))))
    }

    /// Has a setup's rules learn, if this configuration says so; the file is that of the start.
    pub(crate) fn attach(&self, config: &Config, setup: &mut Setup) {
        if let (Some(learning), Some(learn), Some(policy)) =
            (&self.0, configured(config), &mut setup.policy)
            && learning.learn.path == learn.path
            && let Some(rules) = Arc::get_mut(&mut policy.rules)
        {
            rules.learn(Arc::clone(&learning.learned));
        }
    }

    /// Writes the rest; nothing is written any more.
    pub(crate) fn end(&self) {
        let Some(learning) = &self.0 else {
            return;
        };
        let thread = learning.thread.lock();
        if let Some((stop, thread)) = thread.unwrap_or_else(PoisonError::into_inner).take() {
            drop(stop);
            let _ = thread.join();
        }
    }
}

fn configured(config: &Config) -> Option<&Learn> {
    config.policy.as_ref()?.learn.as_ref()
}

/// What the file holds.
fn before(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => {
            file.take(FILE_MAX).read_to_string(&mut text)?;
            Ok(text)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(text),
        Err(error) => Err(error),
    }
}

/// Puts a new file in its place, so that nobody finds half of one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_file_is_its_owners_and_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("learned.toml");
        assert_eq!(before(&path).unwrap(), "");
        for text in ["one", "two"] {
            write(&path, text).unwrap();
            assert_eq!(before(&path).unwrap(), text);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
