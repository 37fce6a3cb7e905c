//! Owns what the console tells of mirrors: `SHOW MIRRORS`, and their numbers for `/metrics`.

use super::show::count;
use crate::context::Context;
use crate::mirror::Mirror;
use observe::{Family, Kind, Sample, Spread, Value};
use std::sync::Arc;

/// The mirrors that databases have.
pub(super) fn mirrors(context: &Context) -> Vec<admin::Mirror> {
    let all = context.mirrors.all();
    all.iter().map(|it| row(it)).collect()
}

fn row(it: &Mirror) -> admin::Mirror {
    let (client, mirror) = it.times();
    admin::Mirror {
        database: it.of.clone(),
        mirror: it.to.clone(),
        share: it.share(),
        connections: count(it.connections()),
        waiting: count(it.waiting()),
        compared: it.counts.compared.total(),
        dropped: it.counts.dropped.total(),
        failed: it.counts.failed.total(),
        rows_differ: it.counts.rows_differ.total(),
        errors_differ: it.counts.errors_differ.total(),
        client_us: average(&client),
        mirror_us: average(&mirror),
        trouble: it.trouble(),
    }
}

fn average(times: &Spread) -> u64 {
    times.sum_us.checked_div(times.count()).unwrap_or(0)
}

/// Their numbers; none without mirrors.
pub(super) fn families(context: &Context) -> Vec<Family> {
    let all = context.mirrors.all();
    let mut families: Vec<Family> = Vec::new();
    for it in &all {
        let mut at = 0;
        it.counts.each(|reading| {
            if families.len() == at {
                families.push(Family {
                    name: reading.name.into(),
                    help: reading.help,
                    kind: Kind::Counter,
                    samples: Vec::new(),
                });
            }
            families[at].samples.push(Sample {
                labels: labels(it),
                value: (reading.value as f64).into(),
            });
            at += 1;
        });
    }
    if all.is_empty() {
        return families;
    }
    let gauge = |name: &'static str, help, of: fn(&Mirror) -> usize| {
        let sample = |it: &Arc<Mirror>| Sample {
            labels: labels(it),
            value: (of(it) as f64).into(),
        };
        Family {
            name: name.into(),
            help,
            kind: Kind::Gauge,
            samples: all.iter().map(sample).collect(),
        }
    };
    let times = |name: &'static str, help, of: fn(&Mirror) -> Spread| {
        let sample = |it: &Arc<Mirror>| Sample {
            labels: labels(it),
            value: Value::Spread(Box::new(of(it))),
        };
        Family {
            name: name.into(),
            help,
            kind: Kind::Histogram,
            samples: all.iter().map(sample).collect(),
        }
    };
    families.extend([
        gauge(
            "mirror_waiting",
            "Copies that wait for a connection.",
            |it| it.waiting(),
        ),
        gauge("mirror_connections", "Connections to a mirror.", |it| {
            it.connections()
        }),
        times(
            "mirror_client_seconds",
            "How long the clients' servers took for what was compared.",
            |it| it.times().0,
        ),
        times(
            "mirror_answer_seconds",
            "How long a mirror took for the same.",
            |it| it.times().1,
        ),
    ]);
    families
}

fn labels(it: &Mirror) -> Vec<(&'static str, String)> {
    vec![("database", it.of.clone()), ("mirror", it.to.clone())]
}
