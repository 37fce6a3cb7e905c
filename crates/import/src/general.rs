//! Owns the rest of `[pgbouncer]`: limits, sockets, log, console, and all that has no equivalent.

use crate::Translation;
use crate::document::{Block, Value};
use crate::note::Kind;
use crate::pairs::printable;
use crate::value::{Form, number};

/// `[pool]`.
pub(crate) const POOL: &[(&str, Form)] = &[
    ("pool_mode", Form::PoolMode),
    ("default_pool_size", Form::Number),
    ("min_pool_size", Form::Number),
    ("reserve_pool_size", Form::Number),
    ("reserve_pool_timeout", Form::Seconds),
    ("max_user_connections", Form::Number),
    ("max_user_client_connections", Form::Number),
    ("max_db_client_connections", Form::Number),
    ("max_prepared_statements", Form::Number),
    ("track_extra_parameters", Form::Parameters),
    ("ignore_startup_parameters", Form::Parameters),
];

/// Other sections.
const REST: &[(&str, &[(&str, Form)])] = &[
    (
        "limits",
        &[
            ("query_wait_timeout", Form::Seconds),
            ("query_wait_notify", Form::Seconds),
            ("cancel_wait_timeout", Form::Seconds),
            ("suspend_timeout", Form::Seconds),
        ],
    ),
    (
        "tcp",
        &[
            ("tcp_keepalive", Form::Flag),
            ("tcp_keepidle", Form::Seconds),
            ("tcp_keepintvl", Form::Seconds),
            ("tcp_keepcnt", Form::Number),
        ],
    ),
    (
        "log",
        &[
            ("log_connections", Form::Flag),
            ("log_disconnections", Form::Flag),
            ("log_stats", Form::Flag),
            ("stats_period", Form::Seconds),
        ],
    ),
    (
        "admin",
        &[("admin_users", Form::Users), ("stats_users", Form::Users)],
    ),
];

/// What other files of this crate take over.
const ELSEWHERE: &[&str] = &[
    "auth_dbname",
    "auth_file",
    "auth_hba_file",
    "auth_ident_file",
    "auth_query",
    "auth_type",
    "auth_user",
    "client_idle_timeout",
    "client_login_timeout",
    "client_tls13_ciphers",
    "client_tls_ca_file",
    "client_tls_cert_file",
    "client_tls_ciphers",
    "client_tls_ecdhcurve",
    "client_tls_key_file",
    "client_tls_protocols",
    "client_tls_sslmode",
    "idle_transaction_timeout",
    "listen_addr",
    "listen_backlog",
    "listen_port",
    "max_client_conn",
    "max_db_connections",
    "peer_id",
    "query_timeout",
    "server_check_delay",
    "server_connect_timeout",
    "server_idle_timeout",
    "server_lifetime",
    "server_login_retry",
    "server_reset_query",
    "server_reset_query_always",
    "server_tls13_ciphers",
    "server_tls_ca_file",
    "server_tls_cert_file",
    "server_tls_ciphers",
    "server_tls_key_file",
    "server_tls_protocols",
    "server_tls_sslmode",
    "tcp_user_timeout",
    "transaction_timeout",
    "unix_socket_dir",
    "unix_socket_group",
    "unix_socket_mode",
    "verbose",
];

const LOG: &str = "the log goes to standard error, where systemd or a container takes it up";
const SERVICE: &str = "who runs it says so: the systemd unit, or the container";
const BUFFERS: &str = "buffers have a fixed size here, and are lent while bytes are in them";
const DNS: &str = "names are resolved by the system, anew for each connection";

/// What has no equivalent, with PgBouncer's default, which needs no note.
const LEFT_OUT: &[(&str, &str, Kind, &str)] = &[
    (
        "application_name_add_host",
        "0",
        Kind::Differs,
        "application_name reaches the server as the client sent it; the log has the addresses",
    ),
    (
        "auth_ldap_options",
        "",
        Kind::Differs,
        "Portcullis doesn't ask LDAP; PostgreSQL can (pg_hba.conf)",
    ),
    (
        "auth_pam_confdir",
        "",
        Kind::Differs,
        "Portcullis doesn't ask PAM; PostgreSQL can (pg_hba.conf)",
    ),
    (
        "autodb_idle_timeout",
        "3600",
        Kind::NotNeeded,
        "nothing is kept for a database without connections",
    ),
    (
        "client_tls_dheparams",
        "auto",
        Kind::NotNeeded,
        "finite-field Diffie-Hellman is not spoken here; elliptic curves take its place",
    ),
    (
        "conffile",
        "",
        Kind::NotNeeded,
        "--config names the file, and a reload reads the same one",
    ),
    (
        "disable_pqexec",
        "0",
        Kind::Differs,
        "simple queries can't be forbidden here; let applications use parameters",
    ),
    ("dns_max_ttl", "15", Kind::NotNeeded, DNS),
    ("dns_nxdomain_ttl", "15", Kind::NotNeeded, DNS),
    ("dns_zone_check_period", "0", Kind::NotNeeded, DNS),
    ("job_name", "pgbouncer", Kind::NotNeeded, SERVICE),
    (
        "log_pooler_errors",
        "1",
        Kind::Differs,
        "errors that clients are sent are always logged",
    ),
    ("logfile", "", Kind::NotNeeded, LOG),
    (
        "login_notify_message",
        "",
        Kind::Differs,
        "clients are sent no message at login",
    ),
    (
        "max_packet_size",
        "2147483647",
        Kind::Differs,
        "long messages pass in pieces, in constant memory, so that no bound is needed",
    ),
    ("pidfile", "", Kind::NotNeeded, SERVICE),
    ("pkt_buf", "4096", Kind::NotNeeded, BUFFERS),
    (
        "pool_idle_timeout",
        "0",
        Kind::NotNeeded,
        "server_idle_timeout closes what is idle",
    ),
    (
        "resolv_conf",
        "",
        Kind::Differs,
        "names are resolved as the system is set up to (/etc/resolv.conf)",
    ),
    ("sbuf_loopcnt", "5", Kind::NotNeeded, BUFFERS),
    (
        "scram_iterations",
        "4096",
        Kind::Differs,
        "write SCRAM verifiers into users.txt; they have their own number of iterations",
    ),
    (
        "server_check_query",
        "select 1",
        Kind::NotNeeded,
        "whether a server connection still answers is found out without a query of yours",
    ),
    (
        "server_fast_close",
        "0",
        Kind::Differs,
        "a server connection in use is closed behind its client, or with its transaction",
    ),
    (
        "server_round_robin",
        "0",
        Kind::Differs,
        "the connection that rested last is taken first, so that the others can grow old",
    ),
    ("service_name", "pgbouncer", Kind::NotNeeded, SERVICE),
    (
        "so_reuseport",
        "0",
        Kind::NotNeeded,
        "one process uses all cores (workers in [listen]), and a new one takes its sockets over \
         (takeover_socket)",
    ),
    ("syslog", "0", Kind::NotNeeded, LOG),
    ("syslog_facility", "daemon", Kind::NotNeeded, LOG),
    ("syslog_ident", "pgbouncer", Kind::NotNeeded, LOG),
    (
        "tcp_defer_accept",
        "1",
        Kind::NotNeeded,
        "clients that connect and say nothing are bounded (max_pending_logins_per_address in \
         [limits])",
    ),
    ("tcp_socket_buffer", "0", Kind::NotNeeded, BUFFERS),
    ("user", "", Kind::NotNeeded, SERVICE),
];

impl Translation<'_> {
    /// The sections behind users and peers.
    pub(crate) fn rest(&mut self) -> Vec<Block> {
        let mut blocks = Vec::new();
        for (path, settings) in REST {
            let mut block = Block::once(path);
            for (key, form) in *settings {
                self.general_same(&mut block, path, (key, *form, key));
            }
            if *path == "log" {
                self.level(&mut block);
            }
            blocks.push(block);
        }
        blocks
    }

    fn level(&self, log: &mut Block) {
        let Some((entry, value)) = self.general("verbose") else {
            return;
        };
        let level = match number(value) {
            Some(1) => "debug",
            Some(2..) => "trace",
            _ => return,
        };
        log.set("level", Value::Text(level.to_owned()), Some(&entry.at));
    }

    /// How server connections are reset.
    pub(crate) fn reset(&mut self, pool: &mut Block) {
        let at = |key| {
            self.ini
                .general(key)
                .map(|entry| (&entry.at, entry.value()))
        };
        let always = at("server_reset_query_always");
        if let Some((at, value)) = always.filter(|(_, value)| *value != "0") {
            match number(value) {
                Some(_) => pool.set("server_reset", Value::Text("always".to_owned()), Some(at)),
                None => self.bad(("server_reset_query_always", at), crate::Problem::Number),
            }
        }
        let text = match at("server_reset_query") {
            None => return,
            Some((_, query))
                if query
                    .trim_end_matches(';')
                    .eq_ignore_ascii_case("discard all") =>
            {
                return;
            }
            Some((_, "")) => {
                "PgBouncer reset nothing; here a connection is reset before another client gets it \
                 (server_reset in [pool])"
            }
            Some(_) => {
                "how a connection is reset is not a query here: all that a client leaves behind is \
                 taken back (server_reset in [pool])"
            }
        };
        let at = at("server_reset_query").map(|it| it.0);
        self.note(Kind::Differs, ("server_reset_query", at), text);
    }

    /// Notes what was not taken over.
    pub(crate) fn left_out(&mut self) {
        for entry in &self.ini.pgbouncer {
            let key = entry.key.as_str();
            if is_taken_over(key) {
                continue;
            }
            let value = entry.value();
            match LEFT_OUT.iter().find(|it| it.0 == key) {
                Some((_, default, ..)) if value.is_empty() || *default == value => {}
                Some((_, _, kind, text)) => self.note(*kind, (key, Some(&entry.at)), text),
                None => {
                    let text = "PgBouncer up to 1.25 has no such setting; it is left out";
                    self.note(Kind::Differs, (&printable(key), Some(&entry.at)), text);
                }
            }
        }
    }
}

fn is_taken_over(key: &str) -> bool {
    let mut rest = REST.iter().flat_map(|(_, settings)| settings.iter());
    ELSEWHERE.contains(&key) || POOL.iter().any(|it| it.0 == key) || rest.any(|it| it.0 == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `SHOW CONFIG` of PgBouncer 1.25 lists, and what newer files have.
    const PGBOUNCER: &str = "admin_users application_name_add_host auth_dbname auth_file \
        auth_hba_file auth_ident_file auth_ldap_options auth_pam_confdir auth_query auth_type \
        auth_user autodb_idle_timeout cancel_wait_timeout client_idle_timeout client_login_timeout \
        client_tls13_ciphers client_tls_ca_file client_tls_cert_file client_tls_ciphers \
        client_tls_dheparams client_tls_ecdhcurve client_tls_key_file client_tls_protocols \
        client_tls_sslmode conffile default_pool_size disable_pqexec dns_max_ttl dns_nxdomain_ttl \
        dns_zone_check_period idle_transaction_timeout ignore_startup_parameters job_name \
        listen_addr listen_backlog listen_port log_connections log_disconnections \
        log_pooler_errors log_stats logfile login_notify_message max_client_conn \
        max_db_client_connections max_db_connections max_packet_size max_prepared_statements \
        max_user_client_connections max_user_connections min_pool_size peer_id pidfile pkt_buf \
        pool_idle_timeout pool_mode query_timeout query_wait_notify query_wait_timeout \
        reserve_pool_size reserve_pool_timeout resolv_conf sbuf_loopcnt scram_iterations \
        server_check_delay server_check_query server_connect_timeout server_fast_close \
        server_idle_timeout server_lifetime server_login_retry server_reset_query \
        server_reset_query_always server_round_robin server_tls13_ciphers server_tls_ca_file \
        server_tls_cert_file server_tls_ciphers server_tls_key_file server_tls_protocols \
        server_tls_sslmode service_name so_reuseport stats_period stats_users suspend_timeout \
        syslog syslog_facility syslog_ident tcp_defer_accept tcp_keepalive tcp_keepcnt \
        tcp_keepidle tcp_keepintvl tcp_socket_buffer tcp_user_timeout track_extra_parameters \
        transaction_timeout unix_socket_dir unix_socket_group unix_socket_mode user verbose";

    #[test]
    fn every_setting_of_pgbouncer_has_one_fate() {
        let left_out = |key: &str| LEFT_OUT.iter().any(|it| it.0 == key);
        for key in PGBOUNCER.split_whitespace() {
            assert!(is_taken_over(key) != left_out(key), "{key}");
        }
        let rest: usize = REST.iter().map(|it| it.1.len()).sum();
        let ours = ELSEWHERE.len() + POOL.len() + rest + LEFT_OUT.len();
        assert_eq!(PGBOUNCER.split_whitespace().count(), ours);
    }
}
