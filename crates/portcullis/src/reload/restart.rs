//! Owns what a reload can't change: settings that wait for a restart.

use config::Config;

/// The settings that differ from those the process was started with, and stay as they were.
pub(crate) fn waiting(started: &Config, next: &Config) -> Vec<&'static str> {
    let (was, is) = (&started.listen, &next.listen);
    let (door, next_door) = (&started.limits, &next.limits);
    let differ = [
        ("listen.address", was.addresses != is.addresses),
        ("listener.address", addresses(started) != addresses(next)),
        ("listen.unix_socket_dir", was.unix_socket != is.unix_socket),
        ("listen.listen_backlog", was.backlog != is.backlog),
        ("listen.workers", was.workers != is.workers),
        (
            "limits.max_concurrent_logins",
            door.max_concurrent_logins != next_door.max_concurrent_logins,
        ),
        (
            "limits.max_concurrent_logins_per_address",
            door.max_concurrent_logins_per_address != next_door.max_concurrent_logins_per_address,
        ),
        (
            "limits.max_pending_logins_per_address",
            door.max_pending_logins_per_address != next_door.max_pending_logins_per_address,
        ),
        ("limits.login_rate", door.login_rate != next_door.login_rate),
        (
            "limits.failed_login_rate",
            door.failed_login_rate != next_door.failed_login_rate,
        ),
        ("log.format", started.log.format != next.log.format),
        ("log.level", started.log.level != next.log.level),
        ("metrics", started.metrics != next.metrics),
        (
            "process.core_dumps",
            started.process.core_dumps != next.process.core_dumps,
        ),
        (
            "process.sandbox",
            started.process.sandbox != next.process.sandbox,
        ),
        (
            "process.lock_memory",
            started.process.lock_memory != next.process.lock_memory,
        ),
    ];
    let names = differ.into_iter().filter(|(_, differs)| *differs);
    names.map(|(name, _)| name).collect()
}

/// The addresses of the further listeners.
fn addresses(config: &Config) -> Vec<&[std::net::SocketAddr]> {
    let listeners = config.listeners.iter();
    listeners.map(|it| it.addresses.as_slice()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str, rest: &str) -> Config {
        let text = format!(
            "[listen]\n{listen}\n[listen.tls]\ncertificate = \"c\"\nprivate_key = \"k\"\n\
             [auth]\nauth_user = \"u\"\n[[database]]\nname = \"a\"\nhost = \"b\"\n{rest}"
        );
        Config::from_text(&text, "p.toml").unwrap().0
    }

    #[test]
    fn only_what_needs_a_restart_waits_for_it() {
        let address = "address = \"127.0.0.1:6432\"";
        let started = config(address, "");
        for (listen, rest, expected) in [
            (address.to_owned(), "", &[][..]),
            (
                format!("{address}\nmax_client_conn = 7\ndrain_timeout = 7"),
                "[[user]]\nname = \"u\"\n[log]\nlog_stats = false\n[files]\nreload = \"poll\"",
                &[],
            ),
            (
                "address = \"127.0.0.1:6433\"\nworkers = 7\nlisten_backlog = 7".to_owned(),
                "[log]\nformat = \"json\"\nlevel = \"warn\"\n[limits]\nlogin_rate = 7\n[process]\ncore_dumps = true\nsandbox = \"off\"\nlock_memory = true\n[metrics]\naddress = \"127.0.0.1:9127\"",
                &[
                    "listen.address",
                    "listen.listen_backlog",
                    "listen.workers",
                    "limits.login_rate",
                    "log.format",
                    "log.level",
                    "metrics",
                    "process.core_dumps",
                    "process.sandbox",
                    "process.lock_memory",
                ],
            ),
            (
                format!("{address}\nunix_socket_dir = \"/tmp\""),
                "",
                &["listen.unix_socket_dir"],
            ),
        ] {
            assert_eq!(waiting(&started, &config(&listen, rest)), expected);
        }
    }
}
