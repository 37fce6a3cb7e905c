//! Owns the shape in which numbers leave the proxy, and their text for Prometheus.
//! Source: Prometheus, "Exposition formats", text format 0.0.4.

use crate::histogram::{EDGES_US, Spread};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Numbers of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Without the program's name in front and without `_total` behind.
    pub name: Cow<'static, str>,
    /// One sentence.
    pub help: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Its numbers: one without labels, or one for each set of labels.
    pub samples: Vec<Sample>,
}

/// How a number moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Durations in buckets, in seconds.
    Histogram,
}

/// One number, or one spread.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What tells it from its siblings, bounded in number: names of what the operator configured, and of
    /// databases and users that a server let in.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: Value,
}

/// What a sample says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// Durations.
    Spread(Box<Spread>),
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

impl Family {
    /// One number without labels.
    pub fn single(name: &'static str, help: &'static str, kind: Kind, value: f64) -> Family {
        let (labels, value) = (Vec::new(), value.into());
        Family {
            name: name.into(),
            help,
            kind,
            samples: vec![Sample { labels, value }],
        }
    }
}

/// The families as Prometheus reads them, each with `portcullis_` in front of its name.
pub fn exposition(families: &[Family]) -> String {
    let mut text = String::new();
    for Family {
        name,
        help,
        kind,
        samples,
    } in families
    {
        let (word, suffix) = match kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Histogram => ("histogram", ""),
        };
        let help = escaped(help, false);
        // Writing to a String doesn't fail.
        let _ = writeln!(text, "# HELP portcullis_{name}{suffix} {help}");
        let _ = writeln!(text, "# TYPE portcullis_{name}{suffix} {word}");
        for Sample { labels, value } in samples {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value, true)))
                .collect();
            let labels = labels.join(",");
            match value {
                Value::Number(value) => {
                    line(&mut text, &format!("{name}{suffix}"), &labels, *value);
                }
                Value::Spread(spread) => put_spread(&mut text, name, &labels, spread),
            }
        }
    }
    text
}

/// One line; nothing stands in braces if there are no labels.
fn line(text: &mut String, name: &str, labels: &str, value: f64) {
    let _ = match labels.is_empty() {
        true => writeln!(text, "portcullis_{name} {value}"),
        false => writeln!(text, "portcullis_{name}{{{labels}}} {value}"),
    };
}

/// The buckets, each with all that are shorter, then sum and count.
fn put_spread(text: &mut String, name: &str, labels: &str, spread: &Spread) {
    const US_PER_S: f64 = 1e6;
    let comma = if labels.is_empty() { "" } else { "," };
    let bucket = format!("{name}_bucket");
    let mut below = 0;
    let edges = EDGES_US
        .iter()
        .map(|us| (*us as f64 / US_PER_S).to_string());
    let edges = edges.chain(["+Inf".to_owned()]);
    for (edge, count) in edges.zip(spread.counts) {
        below += count;
        let labels = format!("{labels}{comma}le=\"{edge}\"");
        line(text, &bucket, &labels, below as f64);
    }
    let sum = spread.sum_us as f64 / US_PER_S;
    line(text, &format!("{name}_sum"), labels, sum);
    line(text, &format!("{name}_count"), labels, below as f64);
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    match quoted {
        true => text.replace('"', "\\\""),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let days = Family {
            name: "certificate_expiry_days".into(),
            help: "Days left.",
            kind: Kind::Gauge,
            samples: vec![
                Sample {
                    labels: vec![("file", "a\"b\\c\n".to_owned()), ("role", "x".to_owned())],
                    value: 12.5.into(),
                },
                Sample {
                    labels: vec![("file", "d".to_owned())],
                    value: (-3.0).into(),
                },
            ],
        };
        let count = Family::single("tls_key_updates_sent", "Sent.", Kind::Counter, 7.0);
        let wanted = "\
            # HELP portcullis_certificate_expiry_days Days left.\n\
            # TYPE portcullis_certificate_expiry_days gauge\n\
            portcullis_certificate_expiry_days{file=\"a\\\"b\\\\c\\n\",role=\"x\"} 12.5\n\
            portcullis_certificate_expiry_days{file=\"d\"} -3\n\
            # HELP portcullis_tls_key_updates_sent_total Sent.\n\
            # TYPE portcullis_tls_key_updates_sent_total counter\n\
            portcullis_tls_key_updates_sent_total 7\n";
        assert_eq!(exposition(&[days, count]), wanted);
    }

    #[test]
    fn a_spread_is_a_histogram() {
        let mut spread = Spread::default();
        spread.counts[0] = 2;
        spread.counts[4] = 1;
        spread.counts[EDGES_US.len()] = 1;
        spread.sum_us = 61_000_000;
        let family = |labels| Family {
            name: "pool_wait_seconds".into(),
            help: "Waits.",
            kind: Kind::Histogram,
            samples: vec![Sample {
                labels,
                value: Value::Spread(Box::new(spread)),
            }],
        };
        let labels = vec![("database", "a\",le=\"9".to_owned())];
        let text = exposition(&[family(labels)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2 + EDGES_US.len() + 1 + 2);
        assert_eq!(lines[1], "# TYPE portcullis_pool_wait_seconds histogram");
        let of = r#"database="a\",le=\"9""#;
        for (at, rest) in [
            (2, r#",le="0.00005"} 2"#),
            (5, r#",le="0.0005"} 2"#),
            (6, r#",le="0.001"} 3"#),
            (20, r#",le="60"} 3"#),
            (21, r#",le="+Inf"} 4"#),
        ] {
            let wanted = format!("portcullis_pool_wait_seconds_bucket{{{of}{rest}");
            assert_eq!(lines[at], wanted);
        }
        assert_eq!(
            lines[22],
            format!("portcullis_pool_wait_seconds_sum{{{of}}} 61")
        );
        assert_eq!(
            lines[23],
            format!("portcullis_pool_wait_seconds_count{{{of}}} 4")
        );
        let text = exposition(&[family(Vec::new())]);
        assert!(text.contains("\nportcullis_pool_wait_seconds_bucket{le=\"+Inf\"} 4\n"));
        assert!(text.ends_with("\nportcullis_pool_wait_seconds_count 4\n"));
    }
}
