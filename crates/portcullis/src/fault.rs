//! Owns why a command failed: one sentence each, with the place and what to do. Never a secret.

use auth::hba::HbaFault;
use auth::users::UsersFault;
use config::{ConfigError, Place};
use std::io::ErrorKind;
use std::path::PathBuf;
use tls::{ContextFault, RehearsalFault};

/// Why a receiver of events or a collector can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteProblem {
    /// Its URL is none.
    #[error("{0}")]
    Url(fetch::BadUrl),
    /// Its secret can be guessed.
    #[error(
        "its secret_file holds a secret of less than {0} bytes; `openssl rand -hex 32` makes one"
    )]
    ShortSecret(usize),
    /// Its header is none.
    #[error("its header_file must begin with a line as `Authorization: Bearer …`")]
    Header,
    /// Its authorities can't be read.
    #[error("cannot read its ca_file: {}", tls::io_reason(*.0))]
    Unreadable(ErrorKind),
    /// Its authorities can't be used.
    #[error("cannot use its ca_file: {0}")]
    Trust(fetch::TrustFault),
    /// What encrypts towards a source of hosts can't be used.
    #[error("cannot use what [cluster.source_tls] names: {0}")]
    SourceTls(fetch::TrustFault),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The configuration cannot be read.
    #[error("cannot read {}: {}; {}", path.display(), tls::io_reason(*kind), unread(*kind))]
    NoConfiguration {
        /// The file.
        path: PathBuf,
        /// Why.
        kind: ErrorKind,
    },
    /// The configuration is not text.
    #[error("{} is not a configuration: {reason}", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// A receiver of events or a collector can't be used.
    #[error("{place}: {problem}")]
    Remote {
        /// Where its url stands.
        place: Place,
        /// What is wrong.
        problem: RemoteProblem,
    },
    /// The HTTP listener did not start.
    #[error(transparent)]
    Web(#[from] web::StartFault),
    /// The query log did not start.
    #[error("{0}; check [query_log]")]
    Journal(#[from] journal::StartFault),
    /// A key that the query log can't be sealed to.
    #[error("query_log.recipient: {0}")]
    Recipient(seal::BadKey),
    /// A log could not be read or proved.
    #[error(transparent)]
    Audit(crate::audit::AuditFault),
    /// The configuration is wrong.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// A file that the configuration names cannot be read.
    #[error("{place}: cannot read {}: {}; check the path and that this user may read it", path.display(), tls::io_reason(*kind))]
    Unreadable {
        /// The setting that names it.
        place: Place,
        /// The file.
        path: PathBuf,
        /// Why.
        kind: ErrorKind,
    },
    /// A file that the running process has given up the right to read.
    #[error(
        "{place}: {} lies outside of what the sandbox lets this process read, which is what its \
         configuration named at the start; it needs a restart",
        path.display()
    )]
    Outside {
        /// The setting that names it.
        place: Place,
        /// The file.
        path: PathBuf,
    },
    /// The sandbox.
    #[error("process.sandbox: {0}; \"off\" does without")]
    Sandbox(#[from] sandbox::SandboxFault),
    /// Memory that should be locked can't be.
    #[error(
        "process.lock_memory: this process may not lock the {needed_mib} MiB that keys and {workers} \
         workers need at least{}; raise the limit (LimitMEMLOCK= in a service unit, ulimit -l in a \
         shell), or set it to false",
        limited(*limit)
    )]
    NotLockable {
        /// What it takes.
        needed_mib: u64,
        /// Worker threads.
        workers: usize,
        /// RLIMIT_MEMLOCK, in bytes, if that is known.
        limit: Option<u64>,
    },
    /// What `check` learnt from a process that went into the sandbox.
    #[error("a process like `run` does not get into its sandbox: {said}")]
    NotConfined {
        /// What it said.
        said: String,
    },
    /// A file with secrets that others can read.
    #[error(
        "{place}: others can read {} (mode {mode:04o}); use mode 0600, or 0640 if root owns it",
        path.display()
    )]
    NotPrivate {
        /// The setting that names it.
        place: Place,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that is too big to be what it should be.
    #[error("{place}: {} has more than {most} bytes; is it the right file?", path.display())]
    TooBig {
        /// The setting that names it.
        place: Place,
        /// The file.
        path: PathBuf,
        /// The most it may have.
        most: u64,
    },
    /// A password that cannot be one.
    #[error("{place}: {problem}")]
    Password {
        /// The setting that names its origin.
        place: Place,
        /// What is wrong.
        problem: PasswordProblem,
    },
    /// A passphrase that cannot be one.
    #[error("{place}: {problem}")]
    Passphrase {
        /// The setting that names its origin.
        place: Place,
        /// What is wrong.
        problem: PassphraseProblem,
    },
    /// An OpenSSL that the operator does not want.
    #[error(
        "{place}: this is OpenSSL {running}, and {wanted} is the oldest to start with; update libssl"
    )]
    OldOpenSsl {
        /// The setting.
        place: Place,
        /// The library's version.
        running: String,
        /// The one asked for.
        wanted: String,
    },
    /// A line of the users file.
    #[error("{place}: {}, {fault}", path.display())]
    Users {
        /// The setting that names the file.
        place: Place,
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        fault: UsersFault,
    },
    /// A line of the file with rules of who may log in.
    #[error("{place}: {}, {fault}", path.display())]
    Rules {
        /// The setting that names the file.
        place: Place,
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        fault: Box<HbaFault>,
    },
    /// A rule that the rest of the configuration does not allow.
    #[error("{place}: {}, line {line}: {problem}", path.display())]
    Rule {
        /// The setting that names the file.
        place: Place,
        /// The file.
        path: PathBuf,
        /// The rule's line.
        line: usize,
        /// What is wrong.
        problem: RuleProblem,
    },
    /// The users file is not text.
    #[error("{place}: {} is not UTF-8 text", path.display())]
    UsersNotText {
        /// The setting that names the file.
        place: Place,
        /// The file.
        path: PathBuf,
    },
    /// Certificates, keys or ciphers that OpenSSL does not take.
    #[error("{place}: {fault}")]
    Tls {
        /// The setting, or its section.
        place: Place,
        /// What is wrong.
        fault: Box<ContextFault>,
    },
    /// TLS contexts that could be built, but don't work.
    #[error("{place}: {fault}")]
    Rehearsal {
        /// The setting that names the certificate.
        place: Place,
        /// What is wrong.
        fault: RehearsalFault,
    },
    /// A certificate that is of no use any more, in place of one that works.
    #[error("{place}: {file} holds a {what} that has expired; it does not come into force")]
    ExpiredAlready {
        /// The setting that names the listener's certificate.
        place: Place,
        /// The file.
        file: String,
        /// What it holds.
        what: &'static str,
    },
    /// `init` never overwrites.
    #[error("{} is already there and stays as it is; give another name, or move it away", path.display())]
    AlreadyThere {
        /// The file.
        path: PathBuf,
    },
    /// `init` cannot write.
    #[error("cannot write {}: {}; check the directory and that this user may write there", path.display(), tls::io_reason(*kind))]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        kind: ErrorKind,
    },
    /// Private keys would lie among everything else.
    #[error(transparent)]
    KeyHeap(#[from] tls::KeyHeapFault),
    /// A host name that can't be one.
    #[error("database.host: {0}")]
    ServerName(#[from] tls::BadServerName),
    /// A line of a file of hosts that is none.
    #[error("{place}: {} line {line}: {problem}", path.display())]
    MembersLine {
        /// The setting that names the file.
        place: Place,
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: members::BadLine,
    },
    /// A database that no section serves.
    #[error("no [[database]] of this configuration serves {name:?}")]
    NoSuchDatabase {
        /// As it was asked for.
        name: String,
    },
    /// A startup parameter without a name or a value.
    #[error("--option {option:?}: write a startup parameter as name=value")]
    BadOption {
        /// As it was given.
        option: String,
    },
    /// A leg that `check` tried.
    #[error(transparent)]
    Check(#[from] crate::check::CheckFault),
    /// The demonstration.
    #[error(transparent)]
    Demo(#[from] crate::demo::DemoFault),
    /// The quick start.
    #[error(transparent)]
    Quick(#[from] crate::quickstart::QuickFault),
    /// The monitor.
    #[error(transparent)]
    Top(#[from] crate::top::TopFault),
    /// A configuration of PgBouncer that is not right itself.
    #[error(transparent)]
    Import(::import::Fault),
    /// What the service manager has opened.
    #[error(transparent)]
    Activation(#[from] crate::activation::Problem),
    /// The running process did not give its sockets away.
    #[error(transparent)]
    Takeover(#[from] crate::takeover::TakeoverFault),
    /// The proxy did not start.
    #[error(transparent)]
    Start(#[from] shell::StartFault),
    /// The operating system refused something that should always work.
    #[error("the operating system failed: {0}")]
    System(#[source] std::io::Error),
    /// `test-rules` was given a configuration without rules.
    #[error("this configuration has no rules; write [policy] with its default, and [[rule]]")]
    NoRules,
    /// `test-rules` was given something that is no case.
    #[error(
        "line {line} of the cases is none; write \"-- expect: allow\", \"-- expect: deny\" or \"-- expect: deny by RULE\" in front of each, and \"-- client: user=NAME …\" where it matters"
    )]
    BadCase {
        /// Where.
        line: usize,
    },
    /// `test-rules` found verdicts that are not as expected.
    #[error("{wrong} verdicts are not as expected")]
    WrongVerdicts {
        /// How many.
        wrong: usize,
    },
    /// `settings` was asked about something unknown.
    #[error("there is no setting or section {name:?}; `portcullis settings` prints all")]
    NoSuchSetting {
        /// What was asked for.
        name: String,
    },
}

/// What to do about a configuration that cannot be read.
fn unread(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "`portcullis init` writes a configuration to begin with",
        ErrorKind::IsADirectory => "name the file in it, as portcullis.toml",
        _ => "check the path and that this user may read it",
    }
}

fn limited(limit: Option<u64>) -> String {
    limit.map_or_else(String::new, |bytes| {
        format!(" (RLIMIT_MEMLOCK is {} KiB)", bytes / 1024)
    })
}

/// What a rule needs that the configuration lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleProblem {
    /// Trust that the listener does not allow.
    #[error("\"trust\" lets anybody in; if that is wanted, set allow_trust = true in [listen]")]
    Trust,
    /// Certificates that nobody can judge.
    #[error(
        "certificates need client_ca in [listen.tls], the certificate authority of your clients"
    )]
    ClientCa,
    /// Passwords of nobody.
    #[error("nobody could log in: name the users with auth_file, or look them up with auth_user")]
    NoUsers,
}

/// Why a password cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordProblem {
    /// The variable does not exist.
    #[error("this variable is not set; set it in the environment of Portcullis")]
    NotSet,
    /// Nothing there.
    #[error("the password is empty; write it into the first line")]
    Empty,
    /// A zero byte, which the protocol cannot carry.
    #[error("the password holds a zero byte, which PostgreSQL cannot take")]
    ZeroByte,
}

fn by_hand(fault: crate::material::CommandFault) -> &'static str {
    match fault.is_its_own() {
        true => "; run it by hand, as this user",
        false => "",
    }
}

/// Why a passphrase cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PassphraseProblem {
    /// Nothing there.
    #[error("the passphrase is empty; it is the first line")]
    Empty,
    /// The program gave none.
    #[error("{}{}", .0, by_hand(*.0))]
    Command(crate::material::CommandFault),
}
