//! Owns the command line: its words, and the help that teaches them.

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A TLS proxy for PostgreSQL: clients speak TLS to Portcullis, and Portcullis speaks verified TLS
/// to PostgreSQL.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "To see it work, without a server of yours:\n  \
    portcullis demo                               a throw-away PostgreSQL, verified on both legs\n\n\
    Before a server of yours:\n  \
    portcullis quickstart postgres://USER@HOST/DB verified, in one line\n\n\
    A configuration from PgBouncer's:\n  \
    portcullis import /etc/pgbouncer/pgbouncer.ini --write portcullis\n\n\
    A configuration from nothing:\n  \
    portcullis init                               write portcullis.toml, with every setting explained\n  \
    portcullis check --config portcullis.toml     find every mistake in it\n  \
    portcullis run --config portcullis.toml       serve\n  \
    portcullis top --config portcullis.toml       watch what it does\n  \
    portcullis settings listen.tls.mode           explain one setting")]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show one session, encrypted and verified on both legs, through a throw-away PostgreSQL.
    ///
    /// Finds PostgreSQL's programs, makes a cluster, an authority and certificates in a temporary
    /// directory, starts the proxy before it (clients must use TLS; the server must prove its name;
    /// both logins are bound to their TLS channel), holds one session, and shows each leg as the
    /// client's handshake and the server's pg_stat_ssl report it. Then it prints a psql line to
    /// paste, and stays until Ctrl-C. Nothing outside that directory is touched, and it is removed
    /// at the end.
    Demo(DemoOptions),
    /// Put Portcullis before a server that is there already, with one line.
    ///
    /// Looks at the server's TLS first and goes on only if its certificate is verified: made out to
    /// the host and signed by an authority of this system, or of --server-ca FILE, or exactly the
    /// one of --pin. Takes the password from PGPASSWORD, ~/.pgpass or a prompt, and proves the
    /// login. Makes an authority for this user (~/.local/share/portcullis) and a short-lived
    /// certificate, listens with TLS required, and prints the psql line to paste. The password
    /// stays in memory; clients log in with the same one.
    ///
    /// With --write DIR nothing is served: DIR then holds the same thing as a configuration.
    Quickstart(QuickstartOptions),
    /// Serve: clients speak TLS to Portcullis, and Portcullis speaks TLS to PostgreSQL.
    ///
    /// Log lines go to standard error. SIGINT (Ctrl-C) drains: no new clients, and each session ends
    /// with its transaction, at most drain_timeout later. SIGTERM waits until clients leave by
    /// themselves. A second signal, or SIGQUIT, ends all sessions at once.
    ///
    /// If a process with the same takeover_socket runs, this one takes its listening sockets over.
    Run(RunOptions),
    /// Run passphrase commands for a process that has given up the right to do so.
    #[command(skip)]
    Attend,
    /// Go into the sandbox of `run` with this configuration, and say what it came to.
    #[command(skip)]
    Confine(PathBuf),
    /// Find every mistake in a configuration, then prove both legs.
    ///
    /// Reads the configuration and every file it names: certificates, keys, authorities, users,
    /// passwords. All errors come at once, with file, line and key. What weakens a default is
    /// warned about.
    ///
    /// Then it connects to every server as the proxy would, and logs in where the configuration
    /// holds a password (database.user, auth_query); and it starts the proxy on a free port of this
    /// machine, meets it as clients do, and makes sure that a client without TLS is refused. Exits
    /// with 0 only if nothing failed.
    Check(CheckOptions),
    /// Write a commented configuration to begin with.
    ///
    /// Every setting is in it, with its meaning and its default. Only what must be set is set. A
    /// file that is already there is never overwritten.
    Init(InitOptions),
    /// Take over a configuration of PgBouncer.
    ///
    /// Reads pgbouncer.ini, the files that it includes, its users file and its rules, and prints the
    /// same as a commented configuration, with what has no equivalent, why, and what to do. Relative
    /// paths are taken from the working directory, as PgBouncer does.
    ///
    /// With --write DIR the configuration is written there, with users, rules and passwords in files
    /// of their own. Nothing that is there already is overwritten. No secret is ever printed.
    Import(ImportOptions),
    /// Make another host of a cluster the primary, without an error for anybody.
    ///
    /// Asks a running proxy, through its console, to send nothing new to the cluster's primary and to
    /// wait until the transactions there have ended. Then the other host is promoted: by the
    /// switchover_command of the configuration, by Patroni where the hosts come from it, or by you meanwhile (stop the old primary first). Once
    /// the new primary answers, everything that has waited goes on there. If a step takes longer than
    /// switchover_timeout, the primary of before goes on, and this exits with 1.
    Switchover(SwitchoverOptions),
    /// Tell where statements go by a configuration, and why.
    #[command(subcommand)]
    Route(RouteCommand),
    /// Judge the statements of a file by the rules of a configuration.
    ///
    /// Each case stands behind a line "-- expect: allow", "-- expect: deny" or "-- expect: deny by RULE"; a line
    /// "-- client: user=ann database=shop" says who sends those behind it, "-- view: v reads t, u" what a
    /// view depends on. Fails if a verdict isn't as expected.
    TestRules(TestRulesOptions),
    /// Read and prove query logs that are sealed or chained.
    ///
    /// `keygen` makes the key that a log is sealed to (query_log.recipient); `open` prints the records of sealed
    /// files; `verify` proves that no record is changed, missing, doubled or put in (query_log.audit).
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Watch a running proxy: what its clients do, statements, pools, servers, clusters; cancel, kill, drain.
    ///
    /// A screen that renews itself, made of what the proxy's console shows (SHOW ACTIVITY, CLIENTS, PATTERNS,
    /// POOLS, SERVERS, CLUSTERS, HOSTS). Keys are behind ?. To cancel, to kill, to drain a host or to switch over
    /// to it, the user must be one of admin_users; to look, one of stats_users. Statements and patterns are shown where inspection.statements is on.
    ///
    /// Connects with TLS, and only to a proxy whose certificate is verified: made out to the host and signed
    /// by an authority of this system, or of --ca FILE. Takes the password from PGPASSWORD, ~/.pgpass or a
    /// prompt. With --config FILE it finds the proxy by its own configuration: over the Unix-domain
    /// socket, where whoever runs the proxy needs no password, or else by TLS to exactly the certificate
    /// that the file names.
    #[command(after_help = "Examples:\n  \
        portcullis top postgres://ops@db-proxy.example.com:6432\n  \
        portcullis top --config /etc/portcullis/portcullis.toml\n  \
        portcullis top --once --view pools postgres://ops@localhost --ca proxy-ca.crt")]
    Top(TopOptions),
    /// Explain settings: one by name, or all of them.
    ///
    /// Without a name this prints the reference of all settings, in Markdown.
    Settings(SettingsOptions),
    /// Write the manual pages and the completions of shells into a directory.
    ///
    /// portcullis(1) with a page for each command, portcullis.toml(5) with every setting, and
    /// completions for bash, zsh and fish. All come from the same tables as this help.
    Pages(PagesOptions),
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// End after the session: 0 if both legs are what they claim to be, 1 with the reason if not.
    #[arg(long)]
    pub(crate) once: bool,
    /// Port of 127.0.0.1 for the proxy; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
}

/// Options of `quickstart`.
#[derive(Debug, Args)]
pub(crate) struct QuickstartOptions {
    /// The server: postgres://USER@HOST:PORT/DATABASE, without a password.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// PEM file with the authority that signed the server's certificate.
    #[arg(long, value_name = "FILE", conflicts_with = "pin")]
    pub(crate) server_ca: Option<PathBuf>,
    /// SHA-256 of the server's certificate: nothing else is accepted, and its names and dates do
    /// not matter.
    #[arg(long, value_name = "sha256:HEX", value_parser = pin)]
    pub(crate) pin: Option<[u8; 32]>,
    /// What the server must prove; `disable` lets passwords and rows travel in clear text.
    #[arg(long, value_name = "MODE", default_value = "verify-full")]
    #[arg(conflicts_with_all = ["server_ca", "pin"])]
    pub(crate) server_tls: ServerTlsMode,
    /// Where clients connect.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:6432", value_parser = listen)]
    pub(crate) listen: SocketAddr,
    /// Write a configuration into this directory instead of serving.
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
}

/// What a server must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServerTlsMode {
    /// A certificate for its host.
    VerifyFull,
    /// Nothing.
    Disable,
}

/// An address and a port.
fn listen(text: &str) -> Result<SocketAddr, &'static str> {
    let wrong = "write an IP address and a port, as 127.0.0.1:7777 or [::1]:7777";
    text.parse().map_err(|_| wrong)
}

/// `sha256:` and 64 hexadecimal digits, colons between them allowed as openssl prints them.
fn pin(text: &str) -> Result<[u8; 32], &'static str> {
    let wrong = "write sha256: and 64 hexadecimal digits";
    let digits = text.strip_prefix("sha256:").ok_or(wrong)?.replace(':', "");
    let mut pin = [0; 32];
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong);
    }
    for (byte, at) in pin.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong)?;
    }
    Ok(pin)
}

/// Options of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// The configuration file.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Check the configuration and its files only; connect to nobody.
    #[arg(long)]
    pub(crate) offline: bool,
    /// The authority that clients verify listen.tls.certificate with (their sslrootcert); without
    /// it, the system's authorities.
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    pub(crate) ca: Option<PathBuf>,
    /// The host name that clients connect to; without it, what the listening address suggests.
    #[arg(long, value_name = "HOST", conflicts_with = "offline")]
    pub(crate) name: Option<String>,
}

/// Options of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitOptions {
    /// Where to write it.
    #[arg(value_name = "FILE", default_value = "portcullis.toml")]
    pub(crate) file: PathBuf,
}

/// Options of `import`.
#[derive(Debug, Args)]
pub(crate) struct ImportOptions {
    /// PgBouncer's configuration.
    #[arg(value_name = "FILE", default_value = "/etc/pgbouncer/pgbouncer.ini")]
    pub(crate) file: PathBuf,
    /// Write all files into this directory instead of printing the configuration.
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
}

/// Options of `test-rules`.
#[derive(Debug, Args)]
pub(crate) struct TestRulesOptions {
    /// The configuration with the rules.
    #[arg(value_name = "RULES")]
    pub(crate) config: PathBuf,
    /// The cases.
    #[arg(value_name = "CASES")]
    pub(crate) cases: PathBuf,
}

/// What to tell of routes.
#[derive(Debug, Subcommand)]
pub(crate) enum RouteCommand {
    /// Tell where one statement would go, and why.
    ///
    /// Reads the configuration alone: no server is asked, and no running proxy. Which of several standbys it
    /// would be is decided when it comes; SHOW HOSTS in the console says which ones can be used now.
    Explain(ExplainOptions),
}

/// Options of `route explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainOptions {
    /// The statement.
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
    /// The database that its client asks for.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) database: String,
    /// Its client's user, who may have a pool_mode of his own.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The name that its client gives in TLS (SNI).
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,
    /// The application_name of its client.
    #[arg(long, value_name = "NAME")]
    pub(crate) application: Option<String>,
    /// A startup parameter of its client; may be given several times.
    #[arg(long = "option", value_name = "NAME=VALUE")]
    pub(crate) options: Vec<String>,
    /// Where its client comes from.
    #[arg(long, value_name = "IP")]
    pub(crate) address: Option<std::net::IpAddr>,
    /// The configuration.
    #[arg(long, short, value_name = "FILE", default_value = "portcullis.toml")]
    pub(crate) config: PathBuf,
}

/// What to do with a query log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Make a key: the secret half into a file that only its owner reads, the public half for query_log.recipient.
    ///
    /// The file is one of age (age-encryption.org), whose tool reads and writes it, too.
    Keygen(KeygenOptions),
    /// Print the records of logs, with what is sealed in them opened.
    Open(AuditOpenOptions),
    /// Prove logs: find what was changed, is missing, doubled, put in, or cut off.
    ///
    /// Takes no key. Files of one log belong into one call, in the order in which they were written; those that
    /// Portcullis rotated find their place themselves. Prints the head of each chain, where it stands: noted down
    /// elsewhere and given with --head, it proves that nothing up to there was cut off or written anew. Exits with 0
    /// only if nothing speaks against the log.
    Verify(AuditVerifyOptions),
}

/// Options of `audit keygen`.
#[derive(Debug, Args)]
pub(crate) struct KeygenOptions {
    /// Where to write the secret key.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Options of `audit open`.
#[derive(Debug, Args)]
pub(crate) struct AuditOpenOptions {
    /// The file with the secret key.
    #[arg(long, value_name = "KEY")]
    pub(crate) identity: PathBuf,
    /// The logs.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// Options of `audit verify`.
#[derive(Debug, Args)]
pub(crate) struct AuditVerifyOptions {
    /// A head that an earlier call printed: the log has to hold it.
    #[arg(long = "head", value_name = "WRITER:NUMBER:HASH")]
    pub(crate) heads: Vec<journal::Link>,
    /// The logs.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// Options of `top`.
#[derive(Debug, Args)]
pub(crate) struct TopOptions {
    /// The console: postgres://USER@HOST:PORT, without a password. The port is 6432 unless you say so.
    #[arg(value_name = "URL", required_unless_present = "config")]
    pub(crate) url: Option<String>,
    /// The configuration of a proxy on this machine, instead of a URL.
    #[arg(long, short, value_name = "FILE", conflicts_with = "url")]
    pub(crate) config: Option<PathBuf>,
    /// Who logs in, with --config; without it, the first of admin_users.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) user: Option<String>,
    /// PEM file with the authority that signed the proxy's certificate.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) ca: Option<PathBuf>,
    /// What the proxy must prove. Anything but verify-full lets somebody in between read and give orders.
    #[arg(
        long,
        value_name = "MODE",
        default_value = "verify-full",
        conflicts_with = "config"
    )]
    pub(crate) tls: TopTlsMode,
    /// Seconds from one look to the next, from 0.2 to 3600.
    #[arg(long, short = 'n', value_name = "SECONDS", default_value = "1", value_parser = interval)]
    pub(crate) interval: std::time::Duration,
    /// Look twice, print what was seen as text, with all rows, and end.
    #[arg(long)]
    pub(crate) once: bool,
    /// The view to begin with.
    #[arg(long, value_name = "VIEW", default_value = "activity")]
    pub(crate) view: TopView,
}

/// Options of `switchover`.
#[derive(Debug, Args)]
pub(crate) struct SwitchoverOptions {
    /// The cluster, by its name in the configuration.
    #[arg(value_name = "CLUSTER")]
    pub(crate) cluster: String,
    /// The host that is to be the primary, as host:port; without it, the standby that has most of the log.
    #[arg(value_name = "TO HOST", num_args = 0..=2)]
    pub(crate) to: Vec<String>,
    /// The console of the proxy: postgres://USER@HOST:PORT, without a password.
    #[arg(long, value_name = "URL", required_unless_present = "config")]
    pub(crate) console: Option<String>,
    /// The configuration of a proxy on this machine, instead of its console's URL.
    #[arg(long, short, value_name = "FILE", conflicts_with = "console")]
    pub(crate) config: Option<PathBuf>,
    /// Who logs in, with --config; without it, the first of admin_users.
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) user: Option<String>,
    /// PEM file with the authority that signed the proxy's certificate.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    pub(crate) ca: Option<PathBuf>,
    /// What the proxy must prove. Anything but verify-full lets somebody in between read and give orders.
    #[arg(
        long,
        value_name = "MODE",
        default_value = "verify-full",
        conflicts_with = "config"
    )]
    pub(crate) tls: TopTlsMode,
    /// Seconds to wait for the answer.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
}

/// A console, as a command line names it.
pub(crate) struct ConsoleChoice<'a> {
    pub(crate) url: Option<&'a str>,
    pub(crate) config: Option<&'a std::path::Path>,
    pub(crate) user: Option<&'a String>,
    pub(crate) ca: Option<&'a PathBuf>,
    pub(crate) tls: TopTlsMode,
}

impl TopOptions {
    pub(crate) fn console(&self) -> ConsoleChoice<'_> {
        ConsoleChoice {
            url: self.url.as_deref(),
            config: self.config.as_deref(),
            user: self.user.as_ref(),
            ca: self.ca.as_ref(),
            tls: self.tls,
        }
    }
}

impl SwitchoverOptions {
    pub(crate) fn console(&self) -> ConsoleChoice<'_> {
        ConsoleChoice {
            url: self.console.as_deref(),
            config: self.config.as_deref(),
            user: self.user.as_ref(),
            ca: self.ca.as_ref(),
            tls: self.tls,
        }
    }
}

/// What a console must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TopTlsMode {
    /// A certificate for its host.
    VerifyFull,
    /// Nothing, but what is said is encrypted.
    Require,
    /// Nothing, and all is in clear text.
    Disable,
}

/// A view of the monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TopView {
    /// What is under way.
    Activity,
    /// Who is there, with both legs' TLS.
    Clients,
    /// Statements by pattern.
    Patterns,
    /// Server connections by database and user.
    Pools,
    /// Server connections.
    Servers,
    /// Hosts of clusters.
    Clusters,
}

/// Seconds, with a fraction.
fn interval(text: &str) -> Result<std::time::Duration, &'static str> {
    let seconds: f64 = text.parse().unwrap_or(f64::NAN);
    match (0.2..=3600.0).contains(&seconds) {
        true => Ok(std::time::Duration::from_secs_f64(seconds)),
        false => Err("write a number of seconds from 0.2 to 3600"),
    }
}

/// Options of `settings`.
#[derive(Debug, Args)]
pub(crate) struct SettingsOptions {
    /// Names of settings or sections: `mode`, `listen.tls.mode`, `database`.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// Options of `pages`.
#[derive(Debug, Args)]
pub(crate) struct PagesOptions {
    /// Where to write them; it is made if it isn't there.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// The command that was asked for. Ends the process after help, version, or a mistake.
pub(crate) fn parse() -> Command {
    if let Some(command) = between_ourselves() {
        return command;
    }
    let mut matches = command().get_matches();
    match Line::from_arg_matches_mut(&mut matches) {
        Ok(line) => line.command,
        Err(mistake) => mistake.format(&mut command()).exit(),
    }
}

/// The first word of a command that this program gives itself when it starts itself anew.
pub(crate) const ATTEND: &str = "attend";
/// Likewise.
pub(crate) const CONFINE: &str = "confine";

/// Commands that stand in no help, page or completion: nobody is to type them.
fn between_ourselves() -> Option<Command> {
    let mut words = std::env::args_os().skip(1);
    let (first, second) = (words.next()?, words.next());
    match (first.to_str()?, second) {
        (ATTEND, None) => Some(Command::Attend),
        (CONFINE, Some(path)) => Some(Command::Confine(path.into())),
        _ => None,
    }
}

/// The parser, with a version that names the OpenSSL that runs: its updates come from the
/// distribution, so that the program's own version says nothing about them.
pub(crate) fn command() -> clap::Command {
    let tls = tls::versions();
    Line::command().version(format!(
        "{}\n{} (compiled with {})",
        env!("CARGO_PKG_VERSION"),
        tls.running,
        tls.compiled
    ))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }
}
