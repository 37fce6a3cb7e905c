//! Owns metrics in OTLP's JSON: those of the stable conventions for databases ("Database client metrics"), and the
//! proxy's own, as `/metrics` has them.

use crate::Settings;
use crate::durations::{BOUNDS_S, Durations};
use crate::encode::{resource, scope, text};
use observe::{EDGES_US, Family, Kind, Sample, Spread, Value as Says};
use serde_json::{Value, json};

/// AGGREGATION_TEMPORALITY_CUMULATIVE.
const CUMULATIVE: u8 = 2;

/// One request, of what was counted from one time to another, in nanoseconds since 1970.
pub(crate) fn request(
    settings: &Settings,
    durations: &Durations,
    families: &[Family],
    span: (u64, u64),
) -> String {
    let mut metrics = vec![duration(durations, span), connections(families, span)];
    metrics.extend(families.iter().map(|it| own(it, span)));
    // A metric without points is none.
    metrics.retain(|it| {
        let points = ["histogram", "sum", "gauge"]
            .iter()
            .find_map(|kind| it[kind]["dataPoints"].as_array());
        points.is_some_and(|it| !it.is_empty())
    });
    json!({"resourceMetrics": [{
        "resource": resource(settings),
        "scopeMetrics": [{"scope": scope(), "metrics": metrics}],
    }]})
    .to_string()
}

/// A point with these attributes.
fn point((from, to): (u64, u64), attributes: Vec<Value>, says: Value) -> Value {
    let mut point = json!({
        "attributes": attributes,
        "startTimeUnixNano": from.to_string(),
        "timeUnixNano": to.to_string(),
    });
    if let (Some(point), Value::Object(says)) = (point.as_object_mut(), says) {
        point.extend(says);
    }
    point
}

/// Counts by bucket, the sum in seconds, and the buckets' upper edges.
fn buckets(counts: &[u64], sum_us: u64, bounds_s: &[f64]) -> Value {
    let texts: Vec<String> = counts.iter().map(u64::to_string).collect();
    json!({
        "count": counts.iter().sum::<u64>().to_string(),
        "sum": sum_us as f64 / 1e6,
        "bucketCounts": texts,
        "explicitBounds": bounds_s,
    })
}

fn duration(durations: &Durations, span: (u64, u64)) -> Value {
    let points: Vec<Value> = durations
        .iter()
        .map(|(set, histogram)| {
            let mut attributes = vec![text("db.system.name", "postgresql")];
            if set.is_overflow {
                attributes
                    .push(json!({"key": "otel.metric.overflow", "value": {"boolValue": true}}));
            } else {
                attributes.push(text("db.namespace", &set.database));
                attributes.push(text("db.operation.name", &set.operation));
            }
            if let Some(error) = &set.error {
                attributes.push(text("error.type", error));
            }
            point(
                span,
                attributes,
                buckets(&histogram.counts, histogram.sum_us, &BOUNDS_S),
            )
        })
        .collect();
    json!({
        "name": "db.client.operation.duration",
        "description": "Duration of database client operations.",
        "unit": "s",
        "histogram": {"aggregationTemporality": CUMULATIVE, "dataPoints": points},
    })
}

/// Server connections of each pool, by whether a client has them.
fn connections(families: &[Family], span: (u64, u64)) -> Value {
    let mut points = Vec::new();
    for (name, state) in [("pool_sv_active", "used"), ("pool_sv_idle", "idle")] {
        let of = families.iter().find(|it| it.name == name);
        for sample in of.iter().flat_map(|it| &it.samples) {
            let Says::Number(count) = sample.value else {
                continue;
            };
            let names: Vec<&str> = sample.labels.iter().map(|it| it.1.as_str()).collect();
            let attributes = vec![
                text("db.client.connection.pool.name", &names.join("/")),
                text("db.client.connection.state", state),
            ];
            points.push(point(
                span,
                attributes,
                json!({"asInt": (count as u64).to_string()}),
            ));
        }
    }
    json!({
        "name": "db.client.connection.count",
        "description": "The number of connections that are currently in state described by the state attribute.",
        "unit": "{connection}",
        "sum": {"aggregationTemporality": CUMULATIVE, "isMonotonic": false, "dataPoints": points},
    })
}

/// One of the proxy's own.
fn own(family: &Family, span: (u64, u64)) -> Value {
    let points: Vec<Value> = family
        .samples
        .iter()
        .map(|it| own_point(it, span))
        .collect();
    let data = match family.kind {
        Kind::Counter => (
            "sum",
            json!({"aggregationTemporality": CUMULATIVE, "isMonotonic": true, "dataPoints": points}),
        ),
        Kind::Gauge => ("gauge", json!({"dataPoints": points})),
        Kind::Histogram => (
            "histogram",
            json!({"aggregationTemporality": CUMULATIVE, "dataPoints": points}),
        ),
    };
    json!({
        "name": format!("portcullis.{}", family.name),
        "description": family.help,
        data.0: data.1,
    })
}

fn own_point(sample: &Sample, span: (u64, u64)) -> Value {
    let attributes = sample
        .labels
        .iter()
        .map(|(key, value)| text(key, value))
        .collect();
    let says = match &sample.value {
        Says::Number(number) => json!({"asDouble": number}),
        Says::Spread(spread) => {
            let spread: &Spread = spread;
            let bounds: Vec<f64> = EDGES_US.iter().map(|us| *us as f64 / 1e6).collect();
            buckets(&spread.counts, spread.sum_us, &bounds)
        }
    };
    point(span, attributes, says)
}
