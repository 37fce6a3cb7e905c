//! Owns the step into the sandbox: what a configuration needs of it, what became of it, and what that
//! means for the configurations that follow.

use crate::fault::Fault;
use crate::material::{Attendant, Commands};
use config::{Config, Holds, Origin, Sandbox};
use sandbox::{Entered, Mode, Plan};
use std::env;
use std::path::Path;

/// Which files the next configuration may name.
#[derive(Default)]
pub(crate) enum Fence {
    /// All.
    #[default]
    Open,
    /// Those within the plan; others can't be read any more.
    Closed(Plan),
    /// All, but those outside of the plan are told of.
    Noted(Plan),
}

impl Fence {
    /// Whether everything that a configuration names can still be read.
    pub(crate) fn admits(&self, config: &Config) -> Result<(), Vec<Fault>> {
        match self {
            Self::Open => Ok(()),
            Self::Closed(plan) => match outside(plan, config) {
                faults if faults.is_empty() => Ok(()),
                faults => Err(faults),
            },
            Self::Noted(plan) => {
                for fault in outside(plan, config) {
                    tracing::warn!("sandbox = \"on\" would refuse this: {fault}");
                }
                Ok(())
            }
        }
    }
}

fn outside(plan: &Plan, config: &Config) -> Vec<Fault> {
    let fault = |source: &config::Source| match &source.from {
        Origin::File(path) if !plan.may_read(path) => Some(Fault::Outside {
            place: source.place.clone(),
            path: path.clone(),
        }),
        _ => None,
    };
    config.sources.iter().filter_map(fault).collect()
}

/// What the sandbox came to.
pub(crate) struct Confined {
    pub(crate) fence: Fence,
    pub(crate) commands: Commands,
    /// `None`: it is off.
    pub(crate) entered: Option<Entered>,
    /// Directories and files that may be read.
    pub(crate) readable: usize,
}

/// Gives up everything that a proxy with this configuration does not need. For a process with one
/// thread, which has read all files and run all programs already.
pub(crate) fn enter(path: &Path, config: &Config) -> Result<Confined, Vec<Fault>> {
    let mode = match config.process.sandbox {
        Sandbox::On => Mode::Enforce,
        Sandbox::Log => Mode::Log,
        Sandbox::Off => {
            return Ok(Confined {
                fence: Fence::Open,
                commands: Commands::Here,
                entered: None,
                readable: 0,
            });
        }
    };
    let commands = commands(config, mode).map_err(|error| vec![Fault::System(error)])?;
    let plan = plan(path, config);
    let readable = plan.readable().count();
    if mode == Mode::Log {
        let places: Vec<_> = plan.readable().map(Path::display).collect();
        tracing::info!(
            ?places,
            "sandbox = \"on\" would let files be read only here"
        );
    }
    let entered = sandbox::enter(&plan, mode).map_err(|fault| vec![Fault::Sandbox(fault)])?;
    let fence = match (mode, entered.landlock) {
        (Mode::Log, _) => Fence::Noted(plan),
        (Mode::Enforce, Some(_)) => Fence::Closed(plan),
        (Mode::Enforce, None) => Fence::Open,
    };
    Ok(Confined {
        fence,
        commands,
        entered: Some(entered),
        readable,
    })
}

impl Confined {
    /// One line of what is confined, and one of what this kernel does not have.
    pub(crate) fn tell(&self, config: &Config) {
        let Some(Entered { landlock, calls }) = self.entered else {
            return;
        };
        let mode = config.process.sandbox.word();
        tracing::info!(
            target: "portcullis::sandbox",
            mode,
            landlock_abi = landlock,
            readable = self.readable,
            system_calls_refused = calls,
            "confined"
        );
        if landlock.is_none() && config.process.sandbox == Sandbox::On {
            tracing::warn!(
                target: "portcullis::sandbox",
                "this kernel does not confine files: it has no Landlock (Linux 5.13, `landlock` in \
                 /sys/kernel/security/lsm), or whoever runs this process does not let it be used"
            );
        }
        if calls.is_none() {
            tracing::warn!(
                target: "portcullis::sandbox",
                "this kernel does not filter system calls: it has no seccomp filters, or whoever runs \
                 this process does not let them be used"
            );
        }
    }
}

/// Programs are run by another process from now on, if there are any.
fn commands(config: &Config, mode: Mode) -> std::io::Result<Commands> {
    let passphrases = config.sources.iter();
    let passphrases = passphrases.filter(|source| source.holds == Holds::Passphrase);
    let programs: Vec<_> = passphrases
        .filter_map(|source| match &source.from {
            Origin::Command(words) => Some(words.clone()),
            Origin::File(_) | Origin::Env(_) => None,
        })
        .collect();
    let attendant = match programs.is_empty() {
        true => None,
        false => Some(Attendant::start(programs)?),
    };
    if let Some(attendant) = &attendant {
        let process = attendant.id();
        tracing::info!(target: "portcullis::sandbox", process, "passphrase commands are run by a process of their own");
    }
    Ok(match (mode, attendant) {
        (Mode::Enforce, Some(attendant)) => Commands::Attended(attendant),
        (Mode::Enforce, None) => Commands::Refused,
        (Mode::Log, Some(attendant)) => Commands::Noted(attendant),
        (Mode::Log, None) => Commands::Here,
    })
}

fn plan(path: &Path, config: &Config) -> Plan {
    let mut plan = Plan::of_system();
    plan.reads_file(path);
    for source in &config.sources {
        if let Origin::File(path) = &source.from {
            plan.reads_file(path);
        }
    }
    if let Some(directory) = config
        .listen
        .unix_socket
        .iter()
        .find_map(|it| it.path.parent())
    {
        plan.makes_sockets_in(directory);
    }
    if let Some(directory) = config
        .listen
        .takeover_socket
        .as_deref()
        .and_then(Path::parent)
    {
        plan.makes_sockets_in(directory);
    }
    if let Some(log) = config.inspection.as_ref().and_then(|it| it.log.as_ref()) {
        plan.logs_to(&log.path);
    }
    if let Some(learn) = config.policy.as_ref().and_then(|it| it.learn.as_ref()) {
        plan.logs_to(&learn.path);
        // What was learned before is read at the start.
        plan.reads_file(&learn.path);
    }
    openssl_reads(&mut plan);
    #[cfg(feature = "keylog")]
    if let Some(file) = tls::key_log() {
        plan.appends_to(&file);
    }
    plan
}

/// Where OpenSSL looks for its own configuration and for the system's authorities.
fn openssl_reads(plan: &mut Plan) {
    // OPENSSLDIR: "/usr/lib/ssl"
    if let Some(built) = openssl::version::dir().split('"').nth(1) {
        plan.reads_below(Path::new(built));
    }
    for name in ["SSL_CERT_FILE", "OPENSSL_CONF"] {
        if let Some(file) = env::var_os(name) {
            plan.reads_file(Path::new(&file));
        }
    }
    for directory in env::split_paths(&env::var_os("SSL_CERT_DIR").unwrap_or_default()) {
        plan.reads_below(&directory);
    }
}
