//! Owns the command line: its words, and the help that teaches them.

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::path::PathBuf;

/// A TLS proxy for PostgreSQL: clients speak TLS to Portcullis, and Portcullis speaks verified TLS
/// to PostgreSQL.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "A configuration from nothing:\n  \
    portcullis init                               write portcullis.toml, with every setting explained\n  \
    portcullis check --config portcullis.toml     find every mistake in it\n  \
    portcullis run --config portcullis.toml       serve\n  \
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
    /// Serve: clients speak TLS to Portcullis, and Portcullis speaks TLS to PostgreSQL.
    ///
    /// Log lines go to standard error. SIGTERM or SIGINT (Ctrl-C) drains: no new clients, and each
    /// session ends with its transaction, at most drain_timeout later; a second one, or SIGQUIT,
    /// ends all sessions at once.
    Run(RunOptions),
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
    /// Explain settings: one by name, or all of them.
    ///
    /// Without a name this prints the reference of all settings, in Markdown.
    Settings(SettingsOptions),
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

/// Options of `settings`.
#[derive(Debug, Args)]
pub(crate) struct SettingsOptions {
    /// Names of settings or sections: `mode`, `listen.tls.mode`, `database`.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

/// The command that was asked for. Ends the process after help, version, or a mistake.
pub(crate) fn parse() -> Command {
    let mut matches = command().get_matches();
    match Line::from_arg_matches_mut(&mut matches) {
        Ok(line) => line.command,
        Err(mistake) => mistake.format(&mut command()).exit(),
    }
}

/// The parser, with a version that names the OpenSSL that runs: its updates come from the
/// distribution, so that the program's own version says nothing about them.
fn command() -> clap::Command {
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
