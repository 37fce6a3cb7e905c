//! The proxy as users run it: the built binary as a child process.

use std::env;
use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::guard::{Guarded, Workplace};
use crate::ports::{self, Reserved};
use crate::wait;

/// A running `portcullis run`.
pub struct Portcullis {
    process: Guarded,
    port: Arc<Reserved>,
    home: PathBuf,
    log: PathBuf,
}

/// What a proxy finds around it when it starts.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
    /// Soft and hard limit of open files; those of the tests otherwise.
    pub open_files: Option<(u64, u64)>,
}

impl Surroundings {
    /// `prlimit` sets the limits and becomes the program, whose process id so is the child's.
    fn command(&self, program: &Path) -> Command {
        let Some((soft, hard)) = self.open_files else {
            return Command::new(program);
        };
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--nofile={soft}:{hard}"))
            .arg("--")
            .arg(program);
        command
    }
}

/// What a configuration is made from: where the proxy is to listen, and a directory
/// for the files it names (certificates, users), which vanishes with the proxy.
pub struct Site<'a> {
    /// `127.0.0.1:<port>` for `[listen] address`.
    pub address: &'a str,
    /// An empty directory.
    pub directory: &'a Path,
}

impl Site<'_> {
    /// Writes a file with this mode into the directory and gives its path.
    #[track_caller]
    pub fn write(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, content).expect("a file of the configuration");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("file mode");
        path
    }
}

impl Portcullis {
    /// Starts the proxy with the configuration that `config` writes, and waits until it listens.
    #[track_caller]
    pub fn start(config: impl FnOnce(&Site<'_>) -> String) -> Self {
        Self::launch(config).listening()
    }

    /// Waits until it listens.
    #[track_caller]
    pub fn listening(mut self) -> Self {
        self.await_listening();
        self
    }

    /// Starts the proxy without waiting: for configurations that it must refuse.
    #[track_caller]
    pub fn launch(config: impl FnOnce(&Site<'_>) -> String) -> Self {
        Self::launch_in(&Surroundings::default(), config)
    }

    /// The same in surroundings of its own.
    #[track_caller]
    pub fn launch_in(
        surroundings: &Surroundings,
        config: impl FnOnce(&Site<'_>) -> String,
    ) -> Self {
        let directory = Workplace::new("portcullis-");
        let port = ports::reserve();
        let address = port.address();
        let text = config(&Site {
            address: &address,
            directory: directory.path(),
        });
        let file = directory.path().join("portcullis.toml");
        fs::write(file, text).expect("the configuration file");
        let log = directory.path().join("log");
        let home = directory.path().to_owned();
        let mut command = surroundings.command(binary());
        run(&mut command, &home);
        command.envs(surroundings.environment.iter().cloned());
        let process = Guarded::start(command, directory, &log, Signal::SIGINT);
        let port = Arc::new(port);
        Self {
            process,
            port,
            home,
            log,
        }
    }

    /// Another process with the same configuration, started beside this one. The directory still goes
    /// with this one.
    #[track_caller]
    pub fn successor(&self) -> Self {
        self.successor_by(Command::new(binary()))
    }

    /// The same where `command` becomes the program.
    #[track_caller]
    pub fn successor_by(&self, mut command: Command) -> Self {
        let place = Workplace::new("portcullis-successor-");
        let log = place.path().join("log");
        run(&mut command, &self.home);
        Self {
            process: Guarded::start(command, place, &log, Signal::SIGINT),
            port: Arc::clone(&self.port),
            home: self.home.clone(),
            log,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port.number))
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Its process id, for /proc.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Directory of the configuration and of what it names.
    pub fn directory(&self) -> &Path {
        &self.home
    }

    /// Everything it has written to standard output and standard error.
    pub fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits until the log contains this text.
    #[track_caller]
    pub fn await_log(&self, text: &str) {
        let found = wait::within(wait::LONG, || self.log().contains(text).then_some(()));
        assert!(found.is_some(), "no {text:?} in the log:\n{}", self.log());
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Stops it by SIGSTOP until [`wake`](Self::wake): whatever happens meanwhile, it finds all at once.
    #[track_caller]
    pub fn hang(&self) {
        self.process.hang();
    }

    /// Lets it go on.
    pub fn wake(&self) {
        self.process.wake();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn await_end(&mut self, limit: Duration) -> ExitStatus {
        wait::until_some("the proxy's end", limit, || self.process.ended())
    }

    fn await_listening(&mut self) {
        let address = self.address();
        let listening = wait::within(wait::LONG, || {
            if let Some(ended) = self.process.ended() {
                panic!("portcullis ended ({ended}):\n{}", self.log());
            }
            TcpStream::connect(address).ok()
        });
        assert!(
            listening.is_some(),
            "portcullis does not listen:\n{}",
            self.log()
        );
    }
}

impl Drop for Portcullis {
    /// A failed test shows what the proxy had to say.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the proxy's log:\n{}", self.log());
        }
    }
}

/// The binary under test: `$PORTCULLIS_BINARY`, else the one beside this test,
/// which cargo brings up to date first (a moment when nothing has changed).
#[track_caller]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match env::var_os("PORTCULLIS_BINARY") {
        Some(named) => PathBuf::from(named),
        None => build(),
    })
}

/// The arguments and surroundings of a proxy with the configuration in this directory.
fn run(command: &mut Command, home: &Path) {
    let file = home.join("portcullis.toml");
    command.arg("run").arg("--config").arg(file);
    command.current_dir(home);
    command.env_remove("RUST_LOG").env("RUST_BACKTRACE", "1");
}

fn build() -> PathBuf {
    let test = env::current_exe().expect("the test's own path");
    // <target>/<profile>/deps/<test>
    let profile = test.ancestors().nth(2).expect("a profile's directory");
    let target = profile.parent().expect("a target directory");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--package",
        "portcullis",
        "--bins",
        "--target-dir",
    ]);
    command.arg(target).current_dir(env!("CARGO_MANIFEST_DIR"));
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let output = command.output().expect("cargo to run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "cargo build of the proxy failed:\n{said}"
    );
    profile.join("portcullis")
}
