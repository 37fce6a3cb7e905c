//! Owns what stands now, in contrast to what has happened: numbers that go up and down.

use crate::family::{Family, Kind, Sample};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A gauge as it stands, with what it is called and means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GaugeReading<'a> {
    /// For example `certificate_days_left`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What it is the gauge of, where there are several: names and values of its labels.
    pub labels: &'a [(&'static str, &'a str)],
    /// Its value.
    pub value: i64,
}

/// All gauges of one proxy. Times are seconds since 1970; the clock is an argument.
#[derive(Debug, Default)]
pub struct Gauges(Mutex<Standing>);

#[derive(Debug, Default)]
struct Standing {
    certificates: Vec<End>,
    last_reload: Option<LastReload>,
}

/// A file and when it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Its path.
    pub file: String,
    /// What is in it, such as `certificate` or `staple`. One file may hold several kinds.
    pub kind: &'static str,
    /// The end of its validity.
    pub not_after_unix_s: i64,
}

/// How the last reload went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastReload {
    /// When it ended.
    pub at_unix_s: i64,
    /// Whether it came into force.
    pub came_into_force: bool,
}

impl Gauges {
    /// The certificates, revocation lists and staples in force, in place of those before.
    pub fn set_certificates(&self, certificates: Vec<End>) {
        self.lock().certificates = certificates;
    }

    /// Notes how a reload went.
    pub fn set_last_reload(&self, last: LastReload) {
        self.lock().last_reload = Some(last);
    }

    /// How the last reload went, if there was one.
    pub fn last_reload(&self) -> Option<LastReload> {
        self.lock().last_reload
    }

    /// Shows every gauge as it stands at `now_unix_s`.
    pub fn each(&self, now_unix_s: i64, mut visit: impl FnMut(GaugeReading<'_>)) {
        let standing = self.lock();
        for end in &standing.certificates {
            visit(GaugeReading {
                name: "certificate_days_left",
                help: "Days until a certificate, revocation list or staple expires, rounded down; negative afterwards.",
                labels: &[("file", &end.file), ("kind", end.kind)],
                value: end
                    .not_after_unix_s
                    .saturating_sub(now_unix_s)
                    .div_euclid(86_400),
            });
        }
        let Some(last) = standing.last_reload else {
            return;
        };
        visit(GaugeReading {
            name: "reload_last_in_force",
            help: "1 if the last reload came into force, 0 if it was refused.",
            labels: &[],
            value: i64::from(last.came_into_force),
        });
        visit(GaugeReading {
            name: "reload_last_unix_s",
            help: "When the last reload ended, in seconds since 1970.",
            labels: &[],
            value: last.at_unix_s,
        });
    }

    /// All of them as families.
    pub fn families(&self, now_unix_s: i64) -> Vec<Family> {
        let mut families: Vec<Family> = Vec::new();
        self.each(now_unix_s, |reading| {
            let sample = Sample {
                labels: reading
                    .labels
                    .iter()
                    .map(|(label, value)| (*label, (*value).to_owned()))
                    .collect(),
                value: (reading.value as f64).into(),
            };
            match families.last_mut() {
                Some(family) if family.name == reading.name => family.samples.push(sample),
                _ => families.push(Family {
                    name: reading.name.into(),
                    help: reading.help,
                    kind: Kind::Gauge,
                    samples: vec![sample],
                }),
            }
        });
        families
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(gauges: &Gauges, now_unix_s: i64) -> Vec<(String, i64)> {
        let mut shown = Vec::new();
        gauges.each(now_unix_s, |reading| {
            assert!(reading.help.ends_with('.'));
            let labels: Vec<_> = reading.labels.iter().map(|(_, value)| *value).collect();
            let of = format!("{} {}", reading.name, labels.join(" "));
            shown.push((of, reading.value));
        });
        shown
    }

    #[test]
    fn days_are_those_of_the_moment_and_of_the_certificates_in_force() {
        let gauges = Gauges::default();
        assert_eq!(shown(&gauges, 0), []);
        gauges.set_certificates(vec![End {
            file: "a.crt".to_owned(),
            kind: "certificate",
            not_after_unix_s: 86_400 * 3,
        }]);
        let days = |days| vec![("certificate_days_left a.crt certificate".to_owned(), days)];
        assert_eq!(shown(&gauges, 0), days(3));
        assert_eq!(shown(&gauges, 1), days(2));
        assert_eq!(shown(&gauges, 86_400 * 3 + 1), days(-1));
        gauges.set_certificates(Vec::new());
        assert_eq!(shown(&gauges, 0), []);
    }

    #[test]
    fn the_last_reload_is_shown() {
        let gauges = Gauges::default();
        for came_into_force in [true, false] {
            gauges.set_last_reload(LastReload {
                at_unix_s: 7,
                came_into_force,
            });
            let in_force = ("reload_last_in_force ".to_owned(), came_into_force.into());
            let at = ("reload_last_unix_s ".to_owned(), 7);
            assert_eq!(shown(&gauges, 9), [in_force, at]);
        }
    }
}
