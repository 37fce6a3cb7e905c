//! A proxy under measurement: Portcullis or PgBouncer as a child process, with the same
//! certificate, the same users file and the same cluster behind it. Can run under an instrument
//! that counts.

use crate::options::Feature;
use crate::process;
use crate::scene::{PASSWORD, ROLE, Scene};
use e2e::storm;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::ScriptedServer;
use testkit::account::Account;
use testkit::certificates::Files;
use testkit::guard::{Guarded, Workplace};
use testkit::ports::{self, Reserved};
use testkit::wait;

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Portcullis.
    Portcullis,
    /// PgBouncer in session mode.
    PgBouncer,
    /// PgBouncer that dials the server anew for each client, as Portcullis does in session mode.
    PgBouncerDialling,
    /// Portcullis in transaction mode.
    PortcullisPooled,
    /// PgBouncer in transaction mode.
    PgBouncerPooled,
}

/// The two that all tables compare.
pub const BOTH: [Kind; 2] = [Kind::Portcullis, Kind::PgBouncer];

/// The two in transaction mode.
pub const POOLED: [Kind; 2] = [Kind::PortcullisPooled, Kind::PgBouncerPooled];

/// Server connections of a pool in transaction mode, where no measurement asks for another number.
pub const POOL_SIZE: u32 = 20;

impl Kind {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portcullis => "Portcullis",
            Self::PgBouncer => "PgBouncer",
            Self::PgBouncerDialling => "PgBouncer, dialling",
            Self::PortcullisPooled => "Portcullis, transaction",
            Self::PgBouncerPooled => "PgBouncer, transaction",
        }
    }
}

/// What watches the proxy's every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instrument {
    /// Nothing: for times.
    None,
    /// Counts the instructions of user space.
    Callgrind,
    /// Counts system calls.
    Strace,
    /// The program itself, which was built to count: with `-Cprofile-generate`, or by llvm-bolt.
    Itself,
}

/// Where an instrument writes, in the contender's directory.
const COUNTED: &str = "counted";

/// valgrind counts `rep movsb` once for each byte, which a processor does not: large copies would
/// cost several times more than small ones. So glibc is told to copy with vector registers.
const NO_REPEATED_STRINGS: &str =
    "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824";

/// A running proxy.
pub struct Contender {
    /// Which it is.
    pub kind: Kind,
    process: Guarded,
    port: Reserved,
    pid: u32,
    log: PathBuf,
}

impl Contender {
    /// Starts a proxy and waits until it listens.
    #[track_caller]
    pub fn start(kind: Kind, scene: &Scene) -> Self {
        Self::start_under(Instrument::None, kind, scene)
    }

    /// Starts a proxy under an instrument.
    #[track_caller]
    pub fn start_under(instrument: Instrument, kind: Kind, scene: &Scene) -> Self {
        Self::start_before(&Upstream::cluster(scene), (instrument, kind), scene)
    }

    /// Starts a proxy before another server than the scene's.
    #[track_caller]
    pub fn start_before(
        upstream: &Upstream,
        (instrument, kind): (Instrument, Kind),
        scene: &Scene,
    ) -> Self {
        let place = Workplace::new("bench-proxy-");
        let port = ports::reserve();
        let (program, arguments) = match kind {
            Kind::Portcullis | Kind::PortcullisPooled => {
                portcullis((kind, instrument, scene), upstream, place.path(), &port)
            }
            Kind::PgBouncer | Kind::PgBouncerDialling | Kind::PgBouncerPooled => {
                pgbouncer((kind, scene), upstream, place.path(), &port)
            }
        };
        // Both under the account that PgBouncer accepts: it refuses to run as root.
        let account = Account::for_server();
        account.own(place.path()).expect("the proxy's owner");
        let mut command = under(instrument, &program, place.path(), &account);
        command.args(arguments).current_dir(place.path());
        command.env_remove("RUST_LOG");
        let log = place.path().join("log");
        let process = Guarded::start(command, place, &log, Signal::SIGINT);
        let mut contender = Self {
            kind,
            pid: process.pid(),
            process,
            port,
            log,
        };
        contender.await_listening();
        if instrument == Instrument::Strace {
            contender.pid = process::child(contender.pid).expect("strace's child");
        }
        contender
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port.number
    }

    /// Its process id; under strace the proxy's own.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The authority that clients trust.
    pub fn ca_file(&self) -> PathBuf {
        self.process.directory().join("ca.crt")
    }

    /// Ends the proxy, and gives the file that the instrument has written to `read`.
    #[track_caller]
    pub fn finish<T>(self, read: impl FnOnce(&Path) -> T) -> T {
        let pid = i32::try_from(self.pid).expect("a process id of the kernel");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("the proxy to get its signal");
        wait::until_some("the proxy's end", wait::LONG, || self.process.ended());
        read(&self.process.directory().join(COUNTED))
    }

    fn await_listening(&mut self) {
        let address = ("127.0.0.1", self.port.number);
        let listening = wait::within(wait::LONG, || {
            if let Some(ended) = self.process.ended() {
                panic!("{} ended ({ended}):\n{}", self.kind.name(), self.log());
            }
            TcpStream::connect(address).ok()
        });
        let name = self.kind.name();
        assert!(listening.is_some(), "{name} is deaf:\n{}", self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

fn under(instrument: Instrument, program: &Path, directory: &Path, account: &Account) -> Command {
    let counted = directory.join(COUNTED);
    match instrument {
        Instrument::None => account.command(program),
        Instrument::Callgrind => {
            let mut command = account.command("/usr/bin/valgrind".as_ref());
            let mut file = OsString::from("--callgrind-out-file=");
            file.push(&counted);
            command.arg("--tool=callgrind").arg(file).arg(program);
            command.env("GLIBC_TUNABLES", NO_REPEATED_STRINGS);
            command
        }
        Instrument::Strace => {
            let mut command = account.command("/usr/bin/strace".as_ref());
            command.args(["-f", "-c", "-o"]).arg(&counted).arg(program);
            command
        }
        Instrument::Itself => {
            let mut command = account.command(program);
            command.env("LLVM_PROFILE_FILE", counted);
            command
        }
    }
}

/// The server behind a proxy, and who logs in there.
pub struct Upstream {
    /// Its port on this machine.
    pub port: u16,
    /// Whether it is a real one, met with verified TLS; else a script on the loopback interface.
    pub verified: bool,
    /// Every client's role.
    pub role: &'static str,
    /// The role's verifier.
    pub verifier: String,
    /// Worker threads of Portcullis, where the measurement asks for a number.
    pub workers: Option<u32>,
    /// Server connections of a pool in transaction mode, the same for both proxies.
    pub pool_size: u32,
}

impl Upstream {
    fn cluster(scene: &Scene) -> Self {
        Self {
            port: scene.cluster.port(),
            verified: true,
            role: ROLE,
            verifier: scene.verifier.clone(),
            workers: None,
            pool_size: POOL_SIZE,
        }
    }

    /// A script without TLS, to which everybody logs in as one role.
    pub fn script(server: &ScriptedServer) -> Self {
        Self {
            port: server.address().port(),
            verified: false,
            role: storm::ROLE,
            verifier: storm::verifier(),
            workers: None,
            pool_size: POOL_SIZE,
        }
    }

    /// What its certificate is for; a script has none, and needs no look-up of a name.
    fn host(&self) -> &'static str {
        match self.verified {
            true => "localhost",
            false => "127.0.0.1",
        }
    }
}

fn portcullis(
    (kind, instrument, scene): (Kind, Instrument, &Scene),
    upstream: &Upstream,
    directory: &Path,
    port: &Reserved,
) -> (PathBuf, Vec<OsString>) {
    let (files, users) = material(scene, upstream, directory);
    let tls = match upstream.verified {
        true => format!(
            "ca = '{}'\nmin_version = 'TLSv1.3'\n",
            directory.join("server-ca.crt").display()
        ),
        false => "mode = 'disable'\n".to_owned(),
    };
    // As PgBouncer where it dials for each client: connections are compared like with like. Nor does
    // PgBouncer bound the rate of logins.
    let sharing = match kind {
        Kind::PortcullisPooled => {
            let pool_size = upstream.pool_size;
            format!("pool_mode = 'transaction'\npool_size = {pool_size}\n")
        }
        _ => "server_lifetime = 0\n".to_owned(),
    };
    let has = |feature| scene.with.contains(&feature);
    let mut more = String::new();
    if has(Feature::Inspection) {
        let file = directory.join("queries.json");
        more += &format!(
            "[query_log]\nfile = '{}'\nsample_per_million = 0\n",
            file.display()
        );
    }
    if has(Feature::Rules) {
        more += &rules();
    }
    if instrument == Instrument::Itself {
        // What is counted is written at the very end.
        more += "[process]\nsandbox = 'off'\n";
    }
    let is_routed = has(Feature::Routing) && kind == Kind::PortcullisPooled;
    let is_followed = upstream.verified && (has(Feature::Cluster) || has(Feature::Routing));
    let servers = match is_followed {
        true => {
            let password = write(directory, "check.password", PASSWORD);
            more += &format!(
                "[[cluster]]\nname = 'main'\nhosts = '{}:{}'\ncheck_user = '{ROLE}'\n\
                 check_password_file = '{}'\ncheck_database = '{ROLE}'\ncheck_timeout = '1min'\n\
                 check_interval = '15s'\n[cluster.tls]\n{tls}",
                upstream.host(),
                upstream.port,
                password.display(),
            );
            let reads = if is_routed {
                "route_reads = 'replicas'\n"
            } else {
                ""
            };
            format!("cluster = 'main'\n{reads}{sharing}")
        }
        false => format!(
            "host = '{}'\nport = {}\n{sharing}[database.tls]\n{tls}",
            upstream.host(),
            upstream.port
        ),
    };
    let text = format!(
        "[listen]\n\
         address = '{address}'\n\
         listen_backlog = 1024\n\
         workers = {workers}\n\
         [listen.tls]\n\
         certificate = '{certificate}'\n\
         private_key = '{private_key}'\n\
         min_version = 'TLSv1.3'\n\
         [auth]\n\
         auth_file = '{users}'\n\
         [limits]\n\
         login_rate = 0\n\
         [[database]]\n\
         name = '*'\n\
         {servers}\
         {more}",
        address = port.address(),
        workers = upstream.workers.unwrap_or(scene.workers),
        certificate = files.certificate.display(),
        private_key = files.private_key.display(),
        users = users.display(),
    );
    let file = write(directory, "portcullis.toml", &text);
    let arguments = vec!["run".into(), "--config".into(), file.into()];
    (scene.portcullis.clone(), arguments)
}

/// Fifty rules of the kinds that people write, about what the loads don't do.
fn rules() -> String {
    let mut rules = String::from("[policy]\ndefault = 'allow'\n");
    for number in 0..50 {
        let about = match number % 5 {
            0 => format!("relation = ['audit.table_{number}', 'secrets_{number}']"),
            1 => format!("function = 'pg_function_{number}'"),
            2 => format!("relation = 'private_{number}.*'\naccess = 'write'"),
            3 => "effect = ['ddl', 'privilege']".to_owned(),
            _ => "effect = 'write'\nmissing_where = true".to_owned(),
        };
        rules += &format!("[[rule]]\nname = 'rule-{number}'\naction = 'deny'\n{about}\n");
    }
    rules
}

fn pgbouncer(
    (kind, scene): (Kind, &Scene),
    upstream: &Upstream,
    directory: &Path,
    port: &Reserved,
) -> (PathBuf, Vec<OsString>) {
    let (files, users) = material(scene, upstream, directory);
    let tls = match upstream.verified {
        true => format!(
            "server_tls_sslmode = verify-full\n\
             server_tls_ca_file = {}\n\
             server_tls_protocols = tlsv1.3\n",
            directory.join("server-ca.crt").display()
        ),
        false => "server_tls_sslmode = disable\n".to_owned(),
    };
    // 0: a server connection serves one client, then it is closed.
    let lifetime_s = match kind {
        Kind::PgBouncerDialling => 0,
        _ => 3600,
    };
    let (pool_mode, pool_size) = match kind {
        Kind::PgBouncerPooled => ("transaction", upstream.pool_size),
        _ => ("session", 5000),
    };
    let text = format!(
        "[databases]\n\
         * = host={host} port={server_port}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         listen_backlog = 1024\n\
         unix_socket_dir =\n\
         auth_type = scram-sha-256\n\
         auth_file = {users}\n\
         pool_mode = {pool_mode}\n\
         server_lifetime = {lifetime_s}\n\
         max_client_conn = 5000\n\
         default_pool_size = {pool_size}\n\
         client_tls_sslmode = require\n\
         client_tls_cert_file = {certificate}\n\
         client_tls_key_file = {private_key}\n\
         client_tls_protocols = tlsv1.3\n\
         {tls}",
        host = upstream.host(),
        server_port = upstream.port,
        port = port.number,
        users = users.display(),
        certificate = files.certificate.display(),
        private_key = files.private_key.display(),
    );
    let file = write(directory, "pgbouncer.ini", &text);
    (scene.pgbouncer.clone(), vec![file.into()])
}

/// Certificates, and the users file, which both read in the same form.
fn material(scene: &Scene, upstream: &Upstream, directory: &Path) -> (Files, PathBuf) {
    scene.authority.write(directory, "ca");
    scene.cluster.authority().write(directory, "server-ca");
    let files = scene.certificate.write(directory, "proxy");
    let users = format!("\"{}\" \"{}\"\n", upstream.role, upstream.verifier);
    (files, write(directory, "users.txt", &users))
}

fn write(directory: &Path, name: &str, content: &str) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, content).expect("a file of the configuration");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("file mode");
    path
}
