//! Owns where log events go: lines on standard error, for people or as JSON, ranked where the journal reads
//! them. `RUST_LOG` narrows or widens what is written, for debugging.

use config::{Log, LogFormat, LogLevel};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Begins to write log lines.
pub(crate) fn start(log: &Log) {
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = fmt::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter);
    match (log.format, goes_to_journal()) {
        (LogFormat::Human, false) => lines.with_ansi(false).init(),
        (LogFormat::Human, true) => lines
            .with_ansi(false)
            .without_time()
            .map_event_format(Ranked)
            .init(),
        (LogFormat::Json, false) => lines.json().flatten_event(true).init(),
        (LogFormat::Json, true) => lines
            .json()
            .flatten_event(true)
            .map_event_format(Ranked)
            .init(),
    }
}

/// True if standard error is a stream to systemd's journal (systemd.exec(5), `JOURNAL_STREAM`), which knows
/// what time it is.
fn goes_to_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").ok();
    let own = std::io::stderr().as_fd().try_clone_to_owned();
    let own = own.and_then(|file| File::from(file).metadata());
    match (named, own) {
        (Some(named), Ok(own)) => named == format!("{}:{}", own.dev(), own.ino()),
        _ => false,
    }
}

/// Lines that begin with what the journal is to file them under (sd-daemon(3)), and go on as they would.
struct Ranked<F>(F);

impl<S, N, F> FormatEvent<S, N> for Ranked<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        line.write_str(rank(*event.metadata().level()))?;
        self.0.format_event(context, line, event)
    }
}

/// The prefix of a line of this importance.
fn rank(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}
