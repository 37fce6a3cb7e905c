//! Owns the settings of OpenTelemetry.

use super::{HOUR, SECOND};
use crate::setting::Fallback::{Unset, Value};
use crate::setting::{Bounds, section};
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Spans and metrics for OpenTelemetry, by OTLP over HTTP as JSON. Where it is on, statements are looked at as with
    /// inspection.statements.
    OpenTelemetry = "opentelemetry", Once {
        /// The collector; /v1/traces and /v1/metrics are put behind it.
        endpoint: Option<String> {
            fallback: Unset("nothing is exported"),
            bounds: Bounds::new(1, 2048),
            sample: "\"https://collector.example.com:4318\"",
        }
        /// Whether it may begin with http://, so that everybody on the way reads and changes what is sent.
        plain_http: bool { fallback: Value("false") }
        /// PEM file with the authorities that sign the collector's certificate.
        ca_file: Option<PathBuf> { fallback: Unset("the system's"), sample: "\"collector-ca.crt\"" }
        /// File whose first line is a header that goes with every request, as "Authorization: Bearer …"; only its owner may
        /// read it.
        header_file: Option<PathBuf> { fallback: Unset("no such header"), sample: "\"collector.header\"" }
        /// What this proxy is called (service.name).
        service_name: String { fallback: Value("\"portcullis\""), bounds: Bounds::new(1, 255) }
        /// Of a million statements whose comments name no trace, so many have a span.
        sample_per_million: u32 { fallback: Value("1000000"), bounds: Bounds::new(0, 1_000_000) }
        /// Whether statements have a span too whose comments name a trace that is not recorded.
        unsampled: bool { fallback: Value("false") }
        /// Whether spans have the statement's text without its literals.
        query_text: bool { fallback: Value("true") }
        /// Spans in a request.
        batch_max: u32 { fallback: Value("512"), bounds: Bounds::new(1, 10_000) }
        /// Spans that may wait for one; what comes beyond is dropped and counted.
        queue_max: u32 { fallback: Value("8192"), bounds: Bounds::new(1, 1_000_000) }
        /// How long spans wait at most until they are sent, and metrics always.
        interval: Duration { fallback: Value("\"10s\""), bounds: Bounds::new(100, HOUR) }
        /// How long one request may take.
        timeout: Duration { fallback: Value("\"10s\""), bounds: Bounds::new(100, 10 * 60 * SECOND) }
    }
}
