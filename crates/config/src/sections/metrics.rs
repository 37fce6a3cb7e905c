//! Owns the settings of the HTTP listener.

use super::{DAY, SECOND};
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, section};
use crate::values::Names;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Numbers for Prometheus at /metrics, a page for people at /, what clients are doing at /activity,
    /// statements by pattern at /patterns, the last events at /events, and /livez and /readyz for health checks,
    /// over HTTP on a listener of its own. What the page shows, /activity, /patterns and /events are only there
    /// where token_file or client_ca is set.
    Metrics = "metrics", Once {
        /// Where to listen. An address that other machines reach needs certificate and private_key.
        address: Option<SocketAddr> {
            fallback: Unset("no such listener"),
            sample: "\"127.0.0.1:9127\"",
        }
        /// PEM file with the certificate of this listener, followed by its intermediates.
        certificate: Option<PathBuf> {
            fallback: Unset("HTTP without TLS, on an address of the machine itself only"),
            sample: "\"metrics.crt\"",
        }
        /// PEM file with the private key of the certificate; only its owner may read it.
        private_key: Option<PathBuf> {
            fallback: Unset("HTTP without TLS, on an address of the machine itself only"),
            sample: "\"metrics.key\"",
        }
        /// PEM file with the authorities that sign the certificates which clients must show.
        client_ca: Option<PathBuf> {
            fallback: Unset("clients show no certificate"),
            sample: "\"monitoring-ca.crt\"",
        }
        /// File whose first line all pages but /livez and /readyz demand as "Authorization: Bearer". It is
        /// what a person logs in with on the page, too.
        token_file: Option<PathBuf> {
            fallback: Unset("/metrics needs no token; all that names clients or statements needs client_ca then"),
            sample: "\"metrics.token\"",
        }
        /// How long a login on the page lasts.
        login_lifetime: Duration {
            fallback: Value("\"8h\""),
            bounds: Bounds::new(60 * SECOND, 30 * DAY),
        }
        /// Names under which requests reach this listener. IP addresses and localhost need not be
        /// named; requests for other names are refused, as are those of web pages.
        hosts: Names { fallback: Value("[]"), sample: "[\"db-proxy.example.com\"]" }
    }
}
