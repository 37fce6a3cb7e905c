//! Owns what a reload can't change: settings that wait for a restart.

use config::{Config, QueryLog};

/// Whether a setting differs between what the process was started with and what is now configured.
type Differs = fn(&Config, &Config) -> bool;

/// All of them. A name of a section stands for all settings in it.
const SETTINGS: &[(&str, Differs)] = &[
    ("listen.address", |a, b| {
        a.listen.addresses != b.listen.addresses
    }),
    ("listener.address", |a, b| addresses(a) != addresses(b)),
    ("listen.unix_socket_dir", |a, b| {
        directory(a) != directory(b)
    }),
    ("listen.unix_socket_mode", |a, b| {
        let (a, b) = (&a.listen.unix_socket, &b.listen.unix_socket);
        matches!((a, b), (Some(a), Some(b)) if a.mode != b.mode)
    }),
    ("listen.takeover_socket", |a, b| {
        a.listen.takeover_socket != b.listen.takeover_socket
    }),
    ("listen.listen_backlog", |a, b| {
        a.listen.backlog != b.listen.backlog
    }),
    ("listen.workers", |a, b| {
        a.listen.workers != b.listen.workers
    }),
    ("limits.max_concurrent_logins", |a, b| {
        a.limits.max_concurrent_logins != b.limits.max_concurrent_logins
    }),
    ("limits.max_concurrent_logins_per_address", |a, b| {
        a.limits.max_concurrent_logins_per_address != b.limits.max_concurrent_logins_per_address
    }),
    ("limits.max_pending_logins_per_address", |a, b| {
        a.limits.max_pending_logins_per_address != b.limits.max_pending_logins_per_address
    }),
    ("limits.login_rate", |a, b| {
        a.limits.login_rate != b.limits.login_rate
    }),
    ("limits.failed_login_rate", |a, b| {
        a.limits.failed_login_rate != b.limits.failed_login_rate
    }),
    ("events", |a, b| a.events != b.events),
    ("opentelemetry", |a, b| a.opentelemetry != b.opentelemetry),
    ("webhook.name", |a, b| {
        hooks(a, |it| it.name.clone()) != hooks(b, |it| it.name.clone())
    }),
    ("webhook.kinds", |a, b| {
        hooks(a, |it| it.kinds.clone()) != hooks(b, |it| it.kinds.clone())
    }),
    ("webhook.queue_max", |a, b| {
        hooks(a, |it| it.queue_max) != hooks(b, |it| it.queue_max)
    }),
    ("inspection.window", |a, b| {
        let (a, b) = (a.inspection.as_ref(), b.inspection.as_ref());
        a.zip(b).is_some_and(|(a, b)| a.window != b.window)
    }),
    ("cluster.switchover_command", |a, b| {
        let known = |words| promotions(a).any(|it| it == words);
        !promotions(b).all(known)
    }),
    ("log.format", |a, b| a.log.format != b.log.format),
    ("log.level", |a, b| a.log.level != b.log.level),
    ("metrics", |a, b| a.metrics != b.metrics),
    (
        "policy.learn",
        |a, b| matches!((learns(a), learns(b)), (other, Some(new)) if other != Some(new)),
    ),
    ("query_log.file", |a, b| {
        log(a).map(|it| &it.path) != log(b).map(|it| &it.path)
    }),
    ("query_log.on_full", |a, b| differs(a, b, |it| it.on_full)),
    ("query_log.audit", |a, b| differs(a, b, |it| it.audit)),
    ("query_log.recipient", |a, b| {
        log(a).map(|it| &it.recipients) != log(b).map(|it| &it.recipients)
    }),
    ("query_log.queue_kib", |a, b| {
        differs(a, b, |it| it.queue_bytes_max)
    }),
    ("query_log.rotate_mib", |a, b| {
        differs(a, b, |it| it.rotate_bytes)
    }),
    ("query_log.rotate_interval", |a, b| {
        differs(a, b, |it| it.rotate_interval)
    }),
    ("query_log.rotate_keep", |a, b| {
        differs(a, b, |it| it.rotate_keep)
    }),
    ("process.core_dumps", |a, b| {
        a.process.core_dumps != b.process.core_dumps
    }),
    ("process.sandbox", |a, b| {
        a.process.sandbox != b.process.sandbox
    }),
    ("process.lock_memory", |a, b| {
        a.process.lock_memory != b.process.lock_memory
    }),
];

/// The settings that differ from those the process was started with, and stay as they were.
pub(crate) fn waiting(started: &Config, next: &Config) -> Vec<&'static str> {
    let differ = SETTINGS
        .iter()
        .filter(|(_, differs)| differs(started, next));
    differ.map(|(name, _)| *name).collect()
}

/// True if a setting, by section and name, takes a restart to change.
pub(crate) fn needs_restart(path: &str) -> bool {
    let is_meant = |name: &str| {
        let rest = path.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    SETTINGS.iter().any(|(name, _)| is_meant(name))
}

/// What is learned. Learning less takes no restart.
fn learns(config: &Config) -> Option<&config::Learn> {
    config.policy.as_ref()?.learn.as_ref()
}

fn log(config: &Config) -> Option<&QueryLog> {
    config.inspection.as_ref()?.log.as_ref()
}

/// Whether both have a query log, and this of it is another.
fn differs<T: PartialEq>(a: &Config, b: &Config, of: impl Fn(&QueryLog) -> T) -> bool {
    log(a).zip(log(b)).is_some_and(|(a, b)| of(a) != of(b))
}

/// The programs that promote hosts.
fn promotions(config: &Config) -> impl Iterator<Item = &Vec<String>> {
    config
        .clusters
        .iter()
        .filter_map(|it| match &it.switchover.by {
            config::Promotion::Command(words) => Some(words),
            config::Promotion::Operator | config::Promotion::Patroni => None,
        })
}

fn directory(config: &Config) -> Option<&std::path::Path> {
    let socket = config.listen.unix_socket.as_ref()?;
    socket.path.parent()
}

/// Something of each webhook.
fn hooks<T>(config: &Config, of: impl Fn(&config::Webhook) -> T) -> Vec<T> {
    config.webhooks.iter().map(of).collect()
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
                address.to_owned(),
                "[[database]]\nname = \"c\"\ncluster = \"m\"\ntarget = \"any\"\n\
                 [[cluster]]\nname = \"m\"\nsrv = \"s\"\ncheck_user = \"u\"\ncheck_interval = 1\n\
                 switchover_command = \"x\"\n[cluster.tls]\nmode = \"disable\"",
                &["cluster.switchover_command"],
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
                format!(
                    "{address}\nunix_socket_dir = \"/tmp\"\ntakeover_socket = \"/tmp/t\"\n\
                     takeover_timeout = 7"
                ),
                "",
                &["listen.unix_socket_dir", "listen.takeover_socket"],
            ),
        ] {
            assert_eq!(waiting(&started, &config(&listen, rest)), expected);
        }
    }

    #[test]
    fn names_are_those_of_settings() {
        let sections = || config::SECTIONS.iter();
        for (name, _) in SETTINGS {
            let is_section = sections().any(|it| it.path == *name);
            let mut all = sections().flat_map(|it| it.settings.iter().map(move |s| (it, s)));
            let is_setting = all.any(|(it, s)| format!("{}.{}", it.path, s.name) == *name);
            assert!(is_section || is_setting, "{name}");
        }
        for (path, restart) in [
            ("listen.address", true),
            ("metrics.hosts", true),
            ("listen.client_idle_timeout", false),
            ("log.log_connections", false),
            ("cluster.hosts", false),
            ("cluster.switchover_command", true),
            ("cluster.tls.ca", false),
            ("cluster.host_tls.pin", false),
        ] {
            assert_eq!(needs_restart(path), restart, "{path}");
        }
    }
}
