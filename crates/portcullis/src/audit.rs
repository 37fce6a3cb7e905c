//! Owns `portcullis audit`: keys to seal query logs to, reading what is sealed, proving that nothing was changed.

use crate::cli::{AuditCommand, AuditOpenOptions, AuditVerifyOptions, KeygenOptions};
use crate::fault::Fault;
use crate::output::say;
use journal::verify::{Chain, OpenLogFault, Verifier, open_log};
use seal::Identity;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why an audit failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditFault {
    /// A file.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file with a key.
    #[error("{}: {fault}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        fault: seal::BadKey,
    },
    /// A file with sealed records.
    #[error("{}: {fault}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        fault: OpenLogFault,
    },
    /// Sealing doesn't work here.
    #[error(transparent)]
    Crypto(#[from] seal::CryptoFault),
    /// The proof came to nothing.
    #[error("{0} findings speak against this log")]
    Unproved(usize),
    /// There is nothing to prove.
    #[error(
        "these files have no record with a chain; records have one with audit = \"async\" or \"before\" in [query_log]"
    )]
    NoChain,
}

impl From<AuditFault> for Vec<Fault> {
    fn from(fault: AuditFault) -> Vec<Fault> {
        vec![Fault::Audit(fault)]
    }
}

/// Carries out one of the commands.
pub(crate) fn run(command: &AuditCommand) -> Result<(), Vec<Fault>> {
    match command {
        AuditCommand::Keygen(options) => keygen(options),
        AuditCommand::Open(options) => open(options),
        AuditCommand::Verify(options) => verify(options),
    }
}

/// Writes a new key into a file of its own, and says its public half.
fn keygen(options: &KeygenOptions) -> Result<(), Vec<Fault>> {
    let mut seed = Zeroizing::new([0; 32]);
    openssl::rand::rand_bytes(seed.as_mut_slice())
        .map_err(|error| vec![Fault::System(io::Error::other(error))])?;
    let identity = Identity::of(*seed);
    let recipient = identity.recipient().map_err(AuditFault::from)?;
    let path = &options.file;
    let unwritable = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => vec![Fault::AlreadyThere { path: path.clone() }],
        kind => vec![Fault::Unwritable {
            path: path.clone(),
            kind,
        }],
    };
    let mut file_options = OpenOptions::new();
    file_options.write(true).create_new(true).mode(0o600);
    let mut file = file_options.open(path).map_err(unwritable)?;
    let text = identity.text();
    let lines = Zeroizing::new(format!("# public key: {recipient}\n{}\n", text.as_str()));
    file.write_all(lines.as_bytes()).map_err(unwritable)?;
    say(&format!(
        "the secret key is in {}; move it to a machine that reads the log\nrecipient = \"{recipient}\"",
        path.display()
    ));
    Ok(())
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Vec<Fault> + '_ {
    |cause| {
        AuditFault::Unreadable {
            path: path.to_owned(),
            cause,
        }
        .into()
    }
}

/// Prints all records of the files.
fn open(options: &AuditOpenOptions) -> Result<(), Vec<Fault>> {
    const KEY_MAX: u64 = 64 * 1024;
    let path = &options.identity;
    let file = File::open(path).map_err(unreadable(path))?;
    let mut text = Zeroizing::new(String::new());
    let read = file.take(KEY_MAX).read_to_string(&mut text);
    read.map_err(unreadable(path))?;
    let identity = Identity::read(&text).map_err(|fault| AuditFault::Key {
        path: path.clone(),
        fault,
    })?;
    let mut out = BufWriter::new(io::stdout().lock());
    for path in in_order(&options.files) {
        let file = File::open(&path).map_err(unreadable(&path))?;
        let opened = open_log(BufReader::new(file), &identity, &mut out);
        match opened.and_then(|()| Ok(out.flush()?)) {
            // Whoever reads has seen enough.
            Err(OpenLogFault::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => break,
            opened => opened.map_err(|fault| AuditFault::Open { path, fault })?,
        }
    }
    Ok(())
}

/// Proves the files, and says what was found.
fn verify(options: &AuditVerifyOptions) -> Result<(), Vec<Fault>> {
    let mut verifier = Verifier::new(options.heads.clone());
    for path in in_order(&options.files) {
        let file = File::open(&path).map_err(unreadable(&path))?;
        let name = path.display().to_string();
        let read = verifier.file(&name, BufReader::new(file));
        read.map_err(unreadable(&path))?;
    }
    let (found, chains) = verifier.finish();
    for found in &found {
        let weight = match found.finding.is_failure() {
            true => "WRONG",
            false => "note",
        };
        say(&format!("{weight}: {found}"));
    }
    chains.iter().for_each(tell);
    match found.iter().filter(|it| it.finding.is_failure()).count() {
        0 if chains.is_empty() => Err(AuditFault::NoChain.into()),
        0 => Ok(()),
        count => Err(AuditFault::Unproved(count).into()),
    }
}

fn tell(chain: &Chain) {
    let Chain {
        first,
        head,
        is_closed,
    } = chain;
    let end = match is_closed {
        true => "closed in order",
        false => "open: its process runs, was killed, or the end was cut off",
    };
    say(&format!(
        "writer {}: records {first} to {}, {end}\n  head {head}",
        head.writer, head.seq
    ));
}

/// The files as they were written: those that a rotation moved away by their time, before the one that is written to.
fn in_order(files: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = files.to_vec();
    files.sort_by_key(|path| {
        let ending = path
            .extension()
            .and_then(|it| it.to_str())
            .unwrap_or_default();
        let is_moved = ending.len() == 17 && ending.bytes().all(|it| it.is_ascii_digit());
        let number = ending.parse::<u64>().ok().filter(|_| is_moved);
        number.unwrap_or(u64::MAX)
    });
    files
}
