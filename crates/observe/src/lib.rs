//! What happened and what stands, as numbers: counters and gauges of a running proxy, each defined
//! once with its name and meaning, so that the log, a console and an exporter can show them all without knowing any.
//!
//! Owns them and their names. Takes increments from any thread, gives readings. Never does I/O, never
//! knows a clock, and holds nothing but numbers and paths of the configuration: no name, statement or
//! address of a client can end up here. What a caller labels numbers with is its own business.

mod admission;
mod counter;
mod family;
mod gauge;
mod handshakes;
mod histogram;
mod mirror;
mod reload;
mod server;
mod tls;
mod views;

pub use admission::Admission;
pub use counter::{Counter, Reading};
pub use family::{Family, Kind, Sample, Value, exposition};
pub use gauge::{End, GaugeReading, Gauges, LastReload};
pub use handshakes::{Handshakes, Leg, TlsVersion, UnderWay};
pub use histogram::{EDGES_US, Histogram, Spread};
pub use mirror::Mirror;
pub use reload::Reload;
pub use server::Server;
pub use tls::Tls;
pub use views::Views;

use counter::Group;

/// All counters of one proxy.
#[derive(Debug, Default)]
pub struct Counters {
    /// Clients on their way in.
    pub admission: Admission,
    /// TLS on both legs, after the handshake.
    pub tls: Tls,
    /// The handshakes themselves.
    pub handshakes: Handshakes,
    /// Connections to servers.
    pub server: Server,
    /// Configurations that were read while the proxy ran.
    pub reload: Reload,
    /// Looks at what views depend on.
    pub views: Views,
}

impl Counters {
    /// Shows every counter, group by group, in the order of their definition.
    pub fn each(&self, mut visit: impl FnMut(Reading)) {
        let groups: [&dyn Group; 5] = [
            &self.admission,
            &self.tls,
            &self.server,
            &self.reload,
            &self.views,
        ];
        for group in groups {
            group.each(&mut visit);
        }
    }

    /// All of them as families.
    pub fn families(&self) -> Vec<Family> {
        let mut families = Vec::new();
        self.each(|Reading { name, help, value }| {
            // Exact up to 2^53, which is where Prometheus stops, too.
            families.push(Family::single(name, help, Kind::Counter, value as f64));
        });
        families.push(self.handshakes.family());
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_counter_has_a_name_of_its_own_and_a_meaning() {
        let mut names = HashSet::new();
        Counters::default().each(|reading| {
            assert!(names.insert(reading.name), "{} stands twice", reading.name);
            assert!(reading.help.ends_with('.'), "{}", reading.name);
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(reading.name.bytes().all(allowed), "{}", reading.name);
        });
        assert!(!names.is_empty());
    }

    #[test]
    fn what_is_counted_is_shown() {
        let counters = Counters::default();
        counters.tls.key_updates_sent.add(2);
        let mut shown = 0;
        counters.each(|reading| {
            if reading.name == "tls_key_updates_sent" {
                shown = reading.value;
            }
        });
        assert_eq!(shown, 2);
    }
}
