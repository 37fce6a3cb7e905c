//! Owns the shape in which numbers leave the proxy, and their text for Prometheus.
//! Source: Prometheus, "Exposition formats", text format 0.0.4.

use std::fmt::Write as _;

/// Numbers of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// Without the program's name in front and without `_total` behind.
    pub name: &'static str,
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
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What tells it from its siblings: names of things that the operator configured, never what a
    /// client sent.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: f64,
}

impl Family {
    /// One number without labels.
    pub fn single(name: &'static str, help: &'static str, kind: Kind, value: f64) -> Family {
        let labels = Vec::new();
        Family {
            name,
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
            let _ = match labels.is_empty() {
                true => writeln!(text, "portcullis_{name}{suffix} {value}"),
                false => writeln!(
                    text,
                    "portcullis_{name}{suffix}{{{}}} {value}",
                    labels.join(",")
                ),
            };
        }
    }
    text
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
            name: "certificate_expiry_days",
            help: "Days left.",
            kind: Kind::Gauge,
            samples: vec![
                Sample {
                    labels: vec![("file", "a\"b\\c\n".to_owned()), ("role", "x".to_owned())],
                    value: 12.5,
                },
                Sample {
                    labels: vec![("file", "d".to_owned())],
                    value: -3.0,
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
}
