//! Owns what stands in a cell: the text, what it is sorted by, how much it asks for a look; and how values of the
//! console become that.

use crate::figures;
use crate::table::Row;

/// What a cell is sorted by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Weight {
    Number(f64),
    Text(String),
}

/// How much a cell asks for a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Faint,
    Good,
    Warn,
    Bad,
}

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) weight: Weight,
    pub(crate) tone: Tone,
}

impl Cell {
    pub(crate) fn text(text: &str) -> Cell {
        Cell {
            text: text.to_owned(),
            weight: Weight::Text(text.to_lowercase()),
            tone: Tone::Plain,
        }
    }

    pub(crate) fn number(number: f64, shown: String) -> Cell {
        Cell {
            text: shown,
            weight: Weight::Number(number),
            tone: if number == 0.0 {
                Tone::Faint
            } else {
                Tone::Plain
            },
        }
    }

    pub(crate) fn toned(mut self, tone: Tone) -> Cell {
        self.tone = tone;
        self
    }
}

pub(crate) fn id(text: &str) -> Cell {
    Cell::number(text.parse().unwrap_or(0.0), text.to_owned()).toned(Tone::Plain)
}

pub(crate) fn counted(row: Row<'_>, column: &str) -> Cell {
    let number = row.number(column);
    Cell::number(number, figures::count(number))
}

pub(crate) fn sized(row: Row<'_>, column: &str) -> Cell {
    let number = row.number(column);
    Cell::number(number, figures::bytes(number))
}

pub(crate) fn took(row: Row<'_>, column: &str) -> Cell {
    let us = row.number(column);
    Cell::number(us, figures::duration(us))
}

/// How long something goes on by now.
pub(crate) fn age(us: f64) -> Cell {
    let tone = match us {
        _ if us >= 60e6 => Tone::Bad,
        _ if us >= 5e6 => Tone::Warn,
        _ if us > 0.0 => Tone::Plain,
        _ => Tone::Faint,
    };
    Cell::number(us, figures::duration(us)).toned(tone)
}

/// Microseconds of a wait, which PgBouncer's tables have in two columns.
pub(crate) fn waited(row: Row<'_>, column: &str) -> f64 {
    row.number(column) * 1e6 + row.number(&format!("{column}_us"))
}

pub(crate) fn state(text: &str) -> Cell {
    let tone = match text {
        "waiting for a server" | "waiting" | "connecting" => Tone::Warn,
        "idle in transaction" => Tone::Bad,
        "executing" | "streaming" | "sending" | "active" => Tone::Good,
        _ => Tone::Faint,
    };
    Cell::text(text).toned(tone)
}

pub(crate) fn statement(row: Row<'_>) -> Cell {
    match row.text("query") {
        "" => Cell::text("-").toned(Tone::Faint),
        query => Cell::text(query),
    }
}

/// Version and cipher without what is the same in all of them.
pub(crate) fn tls(text: &str) -> Cell {
    if text.is_empty() {
        return Cell::text("none").toned(Tone::Bad);
    }
    let mut parts = text.split('/');
    let version = parts.next().unwrap_or_default();
    let cipher = parts.next().unwrap_or_default();
    let cipher = cipher.trim_start_matches("TLS_");
    let cipher = cipher.rsplit_once("_SHA").map_or(cipher, |(name, _)| name);
    Cell::text(format!("{version} {cipher}").trim_end())
}

/// Both legs in few columns: `1.3 → 1.2`.
pub(crate) fn legs(client: &str, server: Option<&str>) -> Cell {
    let short = |text: &str| match text.split('/').next() {
        None | Some("") => "none".to_owned(),
        Some(version) => version.trim_start_matches("TLSv").to_owned(),
    };
    let server_short = server.map_or_else(|| "-".to_owned(), short);
    let is_clear = client.is_empty() || server.is_some_and(str::is_empty);
    let tone = if is_clear { Tone::Bad } else { Tone::Plain };
    Cell::text(&format!("{} → {server_short}", short(client))).toned(tone)
}

pub(crate) fn address(row: Row<'_>) -> String {
    match (row.text("addr"), row.text("port")) {
        (addr, "" | "0") => addr.to_owned(),
        (addr, port) if addr.contains(':') => format!("[{addr}]:{port}"),
        (addr, port) => format!("{addr}:{port}"),
    }
}

/// Columns of a bar.
const BAR: usize = 12;

pub(crate) fn in_use(active: f64, size: f64) -> Cell {
    if size <= 0.0 {
        return Cell::number(0.0, "-".to_owned());
    }
    let share = active / size;
    let full = ((share.min(1.0) * BAR as f64).round() as usize).min(BAR);
    let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
    let tone = match share {
        _ if share >= 1.0 => Tone::Bad,
        _ if share >= 0.8 => Tone::Warn,
        _ if share > 0.0 => Tone::Good,
        _ => Tone::Faint,
    };
    let (active, size) = (figures::count(active), figures::count(size));
    Cell::number(share, format!("{bar} {active}/{size}")).toned(tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_are_short_and_clear_text_shows() {
        let full = "TLSv1.3/TLS_AES_128_GCM_SHA256/X25519";
        assert_eq!(tls(full).text, "TLSv1.3 AES_128_GCM");
        assert_eq!(
            tls("TLSv1.2/ECDHE-RSA-AES256").text,
            "TLSv1.2 ECDHE-RSA-AES256"
        );
        assert_eq!((tls("").text.as_str(), tls("").tone), ("none", Tone::Bad));
        assert_eq!(legs(full, Some(full)).text, "1.3 → 1.3");
        assert_eq!(legs(full, None).text, "1.3 → -");
        assert_eq!(legs(full, Some("")).tone, Tone::Bad);
    }

    #[test]
    fn a_pool_in_use_is_a_bar() {
        assert_eq!(in_use(5.0, 20.0).text, "███░░░░░░░░░ 5/20");
        assert_eq!(in_use(25.0, 20.0).text, "████████████ 25/20");
        assert_eq!(in_use(1.0, 0.0).text, "-");
    }
}
