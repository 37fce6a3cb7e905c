//! Owns a span in OTLP's JSON, by the stable conventions for databases (semantic conventions 1.33, "Database spans").

use crate::Settings;
use crate::encode::{hex, number, resource, scope, text};
use serde_json::{Value, json};
use trace::Span;

/// SPAN_KIND_CLIENT: the proxy is the server's client.
const CLIENT: u8 = 3;
/// STATUS_CODE_ERROR.
const ERROR: u8 = 2;
/// Targets in a summary.
const TARGETS_MAX: usize = 3;
/// Bytes of a summary.
const SUMMARY_MAX: usize = 255;

/// One request.
pub(crate) fn request(settings: &Settings, batch: &[Span]) -> String {
    let spans: Vec<Value> = batch.iter().map(|it| span(settings, it)).collect();
    json!({"resourceSpans": [{
        "resource": resource(settings),
        "scopeSpans": [{"scope": scope(), "spans": spans}],
    }]})
    .to_string()
}

fn span(settings: &Settings, span: &Span) -> Value {
    let operation = operation(span);
    let summary = summary(&operation, &span.pattern.text);
    let mut attributes = vec![
        text("db.system.name", "postgresql"),
        text("db.namespace", &span.who.database),
        text("db.query.summary", &summary),
        text("server.address", &span.place.host),
    ];
    attributes.extend(
        span.place
            .port
            .map(|port| number("server.port", port.into())),
    );
    if !operation.is_empty() {
        attributes.push(text("db.operation.name", &operation));
    }
    if settings.query_text {
        attributes.push(text("db.query.text", &span.pattern.text));
    }
    attributes.extend(
        span.returned_rows
            .map(|rows| number("db.response.returned_rows", rows)),
    );
    let error = error(span);
    if let Some(state) = span.sqlstate {
        attributes.push(text(
            "db.response.status_code",
            &String::from_utf8_lossy(&state),
        ));
    }
    if let Some(error) = &error {
        attributes.push(text("error.type", error));
    }
    let name = match summary.is_empty() {
        true => &*span.who.database,
        false => summary.as_str(),
    };
    json!({
        "traceId": hex(&span.trace_id),
        "spanId": hex(&span.span_id),
        "parentSpanId": span.parent.map_or_else(String::new, |it| hex(&it.span_id)),
        "name": name,
        "kind": CLIENT,
        "startTimeUnixNano": (span.began_us * 1000).to_string(),
        "endTimeUnixNano": (span.ended_us * 1000).to_string(),
        "attributes": attributes,
        "status": if error.is_some() { json!({"code": ERROR}) } else { json!({}) },
    })
}

/// What its error is called.
pub(crate) fn error(span: &Span) -> Option<String> {
    match span.sqlstate {
        Some(state) => Some(String::from_utf8_lossy(&state).into_owned()),
        None => span.is_lost.then(|| "connection_lost".to_owned()),
    }
}

/// The first word of the command tag; without one, that of the statement.
pub(crate) fn operation(span: &Span) -> String {
    if !span.operation.is_empty() {
        return span.operation.to_string();
    }
    let word = span.pattern.text.split(' ').next().unwrap_or_default();
    let is_word =
        !word.is_empty() && word.len() <= 16 && word.bytes().all(|it| it.is_ascii_lowercase());
    if is_word {
        word.to_ascii_uppercase()
    } else {
        String::new()
    }
}

/// The operation and the relations that stand behind the words which name them.
fn summary(operation: &str, pattern: &str) -> String {
    let mut summary = operation.to_owned();
    let mut words = pattern.split(' ').peekable();
    let mut targets = 0;
    while let Some(word) = words.next() {
        if !matches!(word, "from" | "into" | "update" | "join" | "table") || targets == TARGETS_MAX
        {
            continue;
        }
        let Some(target) = words.peek().map(|it| it.trim_end_matches([',', ';', ')'])) else {
            break;
        };
        let is_name = target
            .starts_with(|it: char| it.is_ascii_alphabetic() || matches!(it, '_' | '"'))
            && !target.contains('(')
            && !matches!(target, "select" | "lateral" | "only" | "values" | "set");
        if is_name && summary.len() + 1 + target.len() <= SUMMARY_MAX {
            if !summary.is_empty() {
                summary.push(' ');
            }
            summary.push_str(target);
            targets += 1;
        }
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_operations_and_targets() {
        for (operation, pattern, wanted) in [
            (
                "SELECT",
                "select * from orders where id = ?",
                "SELECT orders",
            ),
            (
                "SELECT",
                "select a from x join app.\"Y\" on ? = ?",
                "SELECT x app.\"Y\"",
            ),
            ("INSERT", "insert into t (a) values (?, ...)", "INSERT t"),
            ("UPDATE", "update t set a = ?", "UPDATE t"),
            ("DELETE", "delete from t where a = ?", "DELETE t"),
            ("SELECT", "select ?", "SELECT"),
            ("SELECT", "select * from (select ?) x", "SELECT"),
            ("SELECT", "select * from generate_series(?, ...)", "SELECT"),
            ("", "", ""),
        ] {
            assert_eq!(summary(operation, pattern), wanted, "{pattern}");
        }
        let many = "select * from a join b join c join d join e";
        assert_eq!(summary("SELECT", many), "SELECT a b c");
    }
}
