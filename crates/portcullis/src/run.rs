//! Owns `portcullis run`: reads, confines itself, takes over from a running process if there is one, and
//! serves until it is told to [end](crate::ending).

use crate::activation;
use crate::alarms::Alarms;
use crate::cli::RunOptions;
use crate::confine;
use crate::ending::{Running, Signals};
use crate::fault::Fault;
use crate::feeds::Feeds;
use crate::logging;
use crate::material::{Commands, Material, now_unix_s};
use crate::metrics::{self, Beside};
use crate::process;
use crate::querylog::Logs;
use crate::reload::{Checked, Loaded, Reloader, Seen};
use crate::setup::{Circumstances, setup};
use crate::takeover;
use crate::telemetry::{self, Spans};
use buf::Secret;
use config::{Config, ListenTls};
use shell::Proxy;
use shell::inherit::Inherited;
use shell::setup::Setup;
use tls::KeyHeap;

/// Serves until told to stop. `keys` is how private keys are kept.
pub(crate) fn run(options: &RunOptions, keys: KeyHeap) -> Result<(), Vec<Fault>> {
    let system = |error| vec![Fault::System(error)];
    let mut inherited = Inherited::default();
    activation::inherit(&mut inherited)?;
    let mut seen = Seen::default();
    let checked = Checked::read(&options.config, &mut seen, &[])?;
    logging::start(&checked.config.log);
    #[cfg(feature = "keylog")]
    tell_key_log();
    // Before the first secret is read.
    process::forbid_core_dumps(&checked.config);
    process::lock_memory(&checked.config, keys).map_err(|fault| vec![fault])?;
    let loaded = checked.load(&mut Commands::Here, now_unix_s())?;
    if keys == KeyHeap::NotLocked {
        tracing::warn!(
            "private keys may get into swap: the system does not let them be locked; raise the limit \
             (LimitMEMLOCK= in a service unit, ulimit -l in a shell)"
        );
    }
    loaded.tell_warnings();
    let Loaded {
        config,
        mut material,
        ..
    } = loaded;
    let lasting = Lasting::with(mock_secret(&config).map_err(system)?);
    let mut reloader = Reloader::new(&options.config, &config, lasting, material.certificates());
    reloader.seen = seen;
    // Before the sandbox, in which the log can only be written.
    let resumed = crate::querylog::resumed(&config)?;
    let feeds = Feeds::prepare(&config).map_err(system)?;
    // Before there is a second thread, which would stay outside.
    let confined = confine::enter(&options.config, &config)?;
    confined.tell(&config);
    reloader.confined(confined.fence, confined.commands);
    let logs = Logs::start(&config, resumed)?;
    reloader.logs_to(logs.clone());
    let alarms = Alarms::default();
    let (spans, taken) = Spans::prepare(&config);
    reloader.tells(alarms.clone(), spans.clone());
    reloader.feeds_from(feeds.clone());
    // Before anybody can connect, so that no signal finds the process unprepared.
    let signals = Signals::listen().map_err(system)?;
    let keeper = signals.with_reloads(reloader).map_err(system)?;
    let token = metrics::token(&config, &material.passwords);
    let receivers = std::mem::take(&mut material.receivers);
    let exporter = material.exporter.take();
    let sources = std::mem::take(&mut material.sources);
    let mut setup = setup_of(&config, material, lasting)?;
    logs.attach(&config, &mut setup);
    spans.attach(&mut setup);
    feeds.attach(&config, sources, &mut setup).map_err(system)?;
    let socket = config.listen.takeover_socket.as_deref();
    let taken_over = |fault| vec![Fault::Takeover(fault)];
    let elder = socket.map(|path| takeover::ask(path, &mut inherited));
    let elder = elder.transpose().map_err(taken_over)?.flatten();
    let proxy = Proxy::prepare(setup, &mut inherited).map_err(|fault| vec![Fault::Start(fault)])?;
    let desk = socket.map(|path| signals.give_at(path, &mut inherited));
    let desk = desk.transpose().map_err(taken_over)?;
    alarms.start(&config, receivers, &proxy)?;
    let mut beside = Beside {
        webhooks: alarms.watch(),
        ..Beside::default()
    };
    let exporter = spans.export((exporter, taken), &proxy, beside.clone())?;
    beside.spans = telemetry::watch(exporter.as_ref());
    let web = metrics::start(&config, token, (&proxy, beside), &mut inherited)?;
    activation::all_used(&inherited)?;
    drop(inherited);
    let mut running = Running::new(&proxy, desk, web);
    proxy.open_doors();
    if let Some(elder) = elder {
        signals.take_over(elder, &running).map_err(taken_over)?;
    }
    signals.serve_and_keep(&mut running, keeper);
    drop(running);
    drop(proxy);
    drop((alarms, exporter, feeds));
    logs.end();
    Ok(())
}

/// A build that can write down the keys of sessions never hides it.
#[cfg(feature = "keylog")]
fn tell_key_log() {
    match tls::key_log() {
        Some(file) => tracing::warn!(
            file = %file.display(),
            "this build writes the keys of all sessions into the file of SSLKEYLOGFILE: whoever reads it \
             can decrypt everything"
        ),
        None => tracing::warn!(
            "this build can write down the keys of sessions (SSLKEYLOGFILE); it is not for production"
        ),
    }
}

/// The proxy of a configuration whose files were read.
pub(crate) fn start(config: &Config, material: Material) -> Result<Proxy, Vec<Fault>> {
    let mock = mock_secret(config).map_err(|error| vec![Fault::System(error)])?;
    let setup = setup_of(config, material, Lasting::with(mock))?;
    Proxy::start(setup).map_err(|fault| vec![Fault::Start(fault)])
}

/// What a process finds out once: it stays the same whatever configurations follow.
#[derive(Clone, Copy)]
pub(crate) struct Lasting {
    /// The secret of the salts that unknown users are shown.
    mock: [u8; 32],
    /// Processor cores. Asked for again within a sandbox, the system would not know of a container's
    /// share.
    cores: usize,
}

impl Lasting {
    /// With this secret, on this machine.
    pub(crate) fn with(mock: [u8; 32]) -> Lasting {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Lasting { mock, cores }
    }
}

/// What the shell is told, in the circumstances of this process.
pub(crate) fn setup_of(
    config: &Config,
    material: Material,
    lasting: Lasting,
) -> Result<Setup, Vec<Fault>> {
    let circumstances = Circumstances {
        max_client_conn: process::clients_max(config),
        cores: lasting.cores,
        mock: lasting.mock,
    };
    setup(config, material, &circumstances).map_err(|fault| vec![fault])
}

/// The secret of the salts that unknown users are shown. It comes from the private key, so that a
/// restart doesn't change them: a salt that changes tells that there is no such user.
pub(crate) fn mock_secret(config: &Config) -> std::io::Result<[u8; 32]> {
    const DOMAIN: &[u8] = b"portcullis: salts of unknown users";
    let mut secret = [0; 32];
    match &config.listen.tls {
        ListenTls::On(tls) => {
            let key = Secret::from_vec(std::fs::read(&tls.identity.private_key)?);
            let mut hash = openssl::sha::Sha256::new();
            hash.update(DOMAIN);
            hash.update(key.expose());
            secret = hash.finish();
        }
        ListenTls::Disabled => {
            openssl::rand::rand_bytes(&mut secret).map_err(std::io::Error::other)?;
        }
    }
    Ok(secret)
}
