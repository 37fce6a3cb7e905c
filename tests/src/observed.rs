//! What a proxy with `[metrics]` tells of itself.

use std::net::SocketAddr;

use testkit::Peer;

use crate::Stage;

/// The configuration that [`value`] needs.
pub const METRICS: &str = "[metrics]\naddress = '127.0.0.1:0'\n";

/// Where the metrics are; the port that the system chose stands in the log.
#[track_caller]
pub fn address(stage: &Stage) -> SocketAddr {
    stage.proxy.await_log("metrics are served");
    let log = stage.proxy.log();
    let line = log.lines().find(|line| line.contains("metrics are served"));
    let (_, rest) = line
        .and_then(|it| it.split_once("address="))
        .expect("an address");
    let text = rest.split_whitespace().next().expect("an address");
    text.parse().expect("an address")
}

/// The page `/metrics` of an unencrypted listener.
#[track_caller]
pub fn page(stage: &Stage) -> String {
    page_over(Peer::tcp(address(stage)))
}

/// The same over a connection of the caller's own.
#[track_caller]
pub fn page_over(mut peer: Peer) -> String {
    peer.send(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    String::from_utf8(peer.drain().0).expect("text")
}

/// The value of one series, written as on the page: `portcullis_clients`.
#[track_caller]
pub fn value(stage: &Stage, series: &str) -> f64 {
    let page = page(stage);
    let of_series = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
    let found = page.lines().find_map(of_series);
    found.unwrap_or_else(|| panic!("no {series:?} on the page:\n{page}"))
}
