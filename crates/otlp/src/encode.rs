//! Owns the pieces that spans and metrics have in common in OTLP's JSON: 64-bit numbers are texts, ids are in hex.

use crate::Settings;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// An attribute that is a text.
pub(crate) fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// An attribute that is a number.
pub(crate) fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String doesn't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What sends.
pub(crate) fn resource(settings: &Settings) -> Value {
    json!({"attributes": [
        text("service.name", &settings.service_name),
        text("service.version", env!("CARGO_PKG_VERSION")),
    ]})
}

/// What measures.
pub(crate) fn scope() -> Value {
    json!({"name": "portcullis", "version": env!("CARGO_PKG_VERSION")})
}
