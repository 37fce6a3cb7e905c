//! Owns the shape of what is checked of OpenTelemetry.

use crate::error::Place;
use std::path::PathBuf;
use std::time::Duration;

/// Where spans and metrics go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTelemetry {
    /// The collector.
    pub endpoint: String,
    /// Where that stands.
    pub place: Place,
    /// Who signs its certificate; `None`: an authority of the system.
    pub ca_file: Option<PathBuf>,
    /// The file with a header.
    pub header_file: Option<PathBuf>,
    /// What this proxy is called.
    pub service_name: String,
    /// Of a million traces that begin here, so many are sent.
    pub sample_per_million: u32,
    /// Spans of traces that aren't recorded are sent, too.
    pub unsampled: bool,
    /// With patterns.
    pub query_text: bool,
    /// Spans in a request.
    pub batch_max: usize,
    /// Spans that may wait.
    pub queue_max: usize,
    /// How long they do at most.
    pub interval: Duration,
    /// How long one request may take.
    pub timeout: Duration,
}
