//! Owns `portcullis run`: starts the proxy, waits for signals, ends it. The first SIGTERM or SIGINT
//! drains, a second one cuts, SIGQUIT cuts at once.

use crate::cli::RunOptions;
use crate::fault::Fault;
use crate::load;
use crate::logging;
use crate::material::{Material, now_unix_s};
use crate::process;
use crate::setup::{Circumstances, setup};
use buf::Secret;
use config::{Config, ListenTls};
use shell::Proxy;
use shell::setup::Setup;
use std::time::Instant;
use tls::KeyHeap;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves until told to stop. `keys` is how private keys are kept.
pub(crate) fn run(options: &RunOptions, keys: KeyHeap) -> Result<(), Vec<Fault>> {
    let (config, warnings) = load::configuration_with_warnings(&options.config)?;
    logging::start(&config.log);
    process::forbid_core_dumps(&config);
    if keys == KeyHeap::NotLocked {
        tracing::warn!(
            "private keys may get into swap: the system does not let them be locked; raise the limit \
             (LimitMEMLOCK= in a service unit, ulimit -l in a shell)"
        );
    }
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let material = Material::read(&config, now_unix_s())?;
    for warning in material.warnings() {
        tracing::warn!("{warning}");
    }
    // Before anybody can connect, so that no signal finds the process unprepared.
    let signals = Signals::listen().map_err(|error| vec![Fault::System(error)])?;
    signals.serve(&start(&config, material)?);
    Ok(())
}

/// The proxy of a configuration whose files were read.
pub(crate) fn start(config: &Config, material: Material) -> Result<Proxy, Vec<Fault>> {
    let mock = mock_secret(config).map_err(|error| vec![Fault::System(error)])?;
    let setup = setup_of(config, material, mock)?;
    Proxy::start(setup).map_err(|fault| vec![Fault::Start(fault)])
}

/// What the shell is told, in the circumstances of this process.
pub(crate) fn setup_of(
    config: &Config,
    material: Material,
    mock: [u8; 32],
) -> Result<Setup, Vec<Fault>> {
    let circumstances = Circumstances {
        max_client_conn: process::clients_max(config),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        mock,
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
        self.runtime.block_on(stop(proxy, &mut self.stops));
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

async fn stop(proxy: &Proxy, signals: &mut Stops) {
    let at_once = signals.next().await;
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
