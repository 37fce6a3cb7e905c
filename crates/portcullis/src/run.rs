//! Owns `portcullis run`: starts the proxy, waits for signals, ends it. The first SIGTERM or SIGINT
//! drains, a second one cuts, SIGQUIT cuts at once; SIGHUP, and changed files, reload. The console may
//! order the same.

use crate::cli::RunOptions;
use crate::confine;
use crate::fault::Fault;
use crate::logging;
use crate::material::{Commands, Material, now_unix_s};
use crate::metrics;
use crate::notify;
use crate::process;
use crate::reload::{Checked, Keeper, Loaded, Reloader, Seen};
use crate::setup::{Circumstances, setup};
use buf::Secret;
use config::{Config, ListenTls};
use shell::Proxy;
use shell::console::Shutdown;
use shell::setup::Setup;
use std::time::Instant;
use tls::KeyHeap;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves until told to stop. `keys` is how private keys are kept.
pub(crate) fn run(options: &RunOptions, keys: KeyHeap) -> Result<(), Vec<Fault>> {
    let system = |error| vec![Fault::System(error)];
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
        config, material, ..
    } = loaded;
    let lasting = Lasting::with(mock_secret(&config).map_err(system)?);
    let mut reloader = Reloader::new(&options.config, &config, lasting, material.certificates());
    reloader.seen = seen;
    // Before there is a second thread, which would stay outside.
    let confined = confine::enter(&options.config, &config)?;
    confined.tell(&config);
    reloader.confined(confined.fence, confined.commands);
    // Before anybody can connect, so that no signal finds the process unprepared.
    let signals = Signals::listen().map_err(system)?;
    let keeper = signals.with_reloads(reloader).map_err(system)?;
    let token = metrics::token(&config, &material.passwords);
    let setup = setup_of(&config, material, lasting)?;
    let proxy = Proxy::start(setup).map_err(|fault| vec![Fault::Start(fault)])?;
    // Kept until the end: it says that the proxy drains.
    let _web = metrics::start(&config, token, &proxy)?;
    signals.serve_and_keep(&proxy, keeper);
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
    setup(config, material, &circumstances).map_err(|fault| vec![Fault::ServerName(fault)])
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

/// The signals that end the process, listened to from now on.
pub(crate) struct Signals {
    runtime: Runtime,
    stops: Stops,
}

struct Stops {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> std::io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let stops = Stops {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        };
        drop(entered);
        Ok(Signals { runtime, stops })
    }

    /// Lets the proxy serve until told to stop, and ends its sessions in order.
    pub(crate) fn serve(mut self, proxy: &Proxy) {
        tracing::info!(addresses = ?proxy.addresses(), "ready");
        notify::ready();
        self.runtime.block_on(async {
            let at_once = self.stops.next().await;
            stop(proxy, &mut self.stops, at_once).await;
        });
    }

    /// Begins to listen to SIGHUP, too, and to watch files.
    fn with_reloads(&self, reloader: Reloader) -> std::io::Result<Keeper> {
        let _inside = self.runtime.enter();
        Keeper::begin(reloader)
    }

    /// As [`serve`](Self::serve), with what goes on beside it.
    fn serve_and_keep(mut self, proxy: &Proxy, mut keeper: Keeper) {
        tracing::info!(addresses = ?proxy.addresses(), "ready");
        notify::ready();
        self.runtime.block_on(async {
            let at_once = tokio::select! {
                at_once = self.stops.next() => at_once,
                ordered = keeper.keep(proxy) => match ordered {
                    Shutdown::Immediate => true,
                    Shutdown::WaitForServers => false,
                    Shutdown::WaitForClients => wait_for_clients(proxy, &mut self.stops).await,
                },
            };
            stop(proxy, &mut self.stops, at_once).await;
        });
    }
}

impl Stops {
    /// The next wish to stop; true if at once.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => false,
            _ = self.quit.recv() => true,
        }
    }
}

/// Takes no more clients and waits for those that are there to leave by themselves, or for a signal;
/// true if the process is to end at once then.
async fn wait_for_clients(proxy: &Proxy, signals: &mut Stops) -> bool {
    notify::stopping("clients leave");
    tracing::info!(
        clients = proxy.clients(),
        "waiting for clients to leave; a signal ends their sessions"
    );
    proxy.close_doors();
    let mut tick = tokio::time::interval(std::time::Duration::from_millis(20));
    while proxy.clients_beside_console() > 0 {
        tokio::select! {
            at_once = signals.next() => return at_once,
            _ = tick.tick() => {}
        }
    }
    true
}

async fn stop(proxy: &Proxy, signals: &mut Stops, at_once: bool) {
    notify::stopping("sessions end");
    if !at_once {
        let clients = proxy.clients();
        let timeout = proxy.drain_timeout();
        tracing::info!(
            clients,
            drain_timeout_s = timeout.as_secs(),
            "draining: no new clients, sessions end with their transactions; a second signal cuts them"
        );
        proxy.drain();
        let deadline = Instant::now() + timeout;
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(20));
        while proxy.clients() > 0 && Instant::now() < deadline {
            tokio::select! {
                _ = signals.next() => break,
                _ = tick.tick() => {}
            }
        }
    }
    tracing::info!(clients = proxy.clients(), "stopping");
    proxy.cut();
}
