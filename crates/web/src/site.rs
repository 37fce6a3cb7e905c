//! Owns what there is to ask for: every path, and how it is guarded.

use crate::assets::{self, Asset};

/// The console's tables that the page shows, as they are called in a path. A table that isn't here can't be
/// asked for.
pub const TABLES: &[&str] = &[
    "activity",
    "certificates",
    "clients",
    "clusters",
    "counters",
    "hosts",
    "patterns",
    "pools",
    "rules",
    "servers",
    "throttles",
];

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Metrics,
    Activity,
    Patterns,
    Events,
    Live,
    Ready,
    /// A file of the page for people.
    Asset(&'static Asset),
    /// GET: how to log in; POST: do so.
    Login,
    Logout,
    /// Numbers of the whole proxy.
    Overview,
    /// Histograms of each pool.
    PoolTimes,
    /// Histograms of a pattern, by its number.
    PatternTimes(u64),
    /// A table of the console.
    Table(&'static str),
}

/// How a page is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Everybody may have it.
    Open,
    /// Numbers for programs: for those with the token, if there is one.
    Numbers,
    /// Names and statements for programs: for those who proved that they may.
    Names,
    /// The same for our own page.
    Shown,
    /// Everybody may try, from our own page.
    Login,
    /// Only POST, from our own page.
    Changing,
}

impl Page {
    /// The page at this path.
    pub(crate) fn of(path: &str) -> Option<Page> {
        Some(match path {
            "/metrics" => Page::Metrics,
            "/activity" => Page::Activity,
            "/patterns" => Page::Patterns,
            "/events" => Page::Events,
            "/livez" => Page::Live,
            "/readyz" => Page::Ready,
            "/login" => Page::Login,
            "/logout" => Page::Logout,
            "/overview" => Page::Overview,
            "/times" => Page::PoolTimes,
            _ => return Page::below(path).or_else(|| assets::find(path).map(Page::Asset)),
        })
    }

    fn below(path: &str) -> Option<Page> {
        if let Some(name) = path.strip_prefix("/tables/") {
            let known = TABLES.iter().find(|it| **it == name);
            return known.map(|name| Page::Table(name));
        }
        let number = path.strip_prefix("/times/")?;
        let is_hex = number.len() <= 16 && number.bytes().all(|it| it.is_ascii_hexdigit());
        let number = u64::from_str_radix(number, 16).ok().filter(|_| is_hex)?;
        Some(Page::PatternTimes(number))
    }

    pub(crate) fn door(self) -> Door {
        match self {
            Page::Live | Page::Ready | Page::Asset(_) => Door::Open,
            Page::Metrics => Door::Numbers,
            Page::Activity | Page::Patterns | Page::Events => Door::Names,
            Page::Overview | Page::PoolTimes | Page::PatternTimes(_) | Page::Table(_) => {
                Door::Shown
            }
            Page::Login => Door::Login,
            Page::Logout => Door::Changing,
        }
    }
}

/// Bytes of what rows are to contain.
const WANTED_BYTES_MAX: usize = 200;

/// What rows are to contain, as `filter=` of a query says it, percent-encoded (RFC 3986 section 2.1): nothing
/// without one. `None` if it is too long or no text.
pub(crate) fn wanted(query: Option<&str>) -> Option<String> {
    let parts = query.unwrap_or_default().split('&');
    let encoded = parts.filter_map(|it| it.strip_prefix("filter=")).next();
    let mut rest = encoded.unwrap_or_default().as_bytes();
    let mut bytes = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                let digits = std::str::from_utf8(digits).ok()?;
                let is_hex = digits.bytes().all(|it| it.is_ascii_hexdigit());
                bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| is_hex)?);
                rest = after;
            }
            plain => bytes.push(*plain),
        }
    }
    let is_short = bytes.len() <= WANTED_BYTES_MAX;
    String::from_utf8(bytes).ok().filter(|_| is_short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_text_of_some_length() {
        let long = format!("filter={}", "a".repeat(WANTED_BYTES_MAX + 1));
        for (query, text) in [
            (None, Some("")),
            (Some(""), Some("")),
            (Some("x=1&filter=ann&y=2"), Some("ann")),
            (Some("filter=a+b%26%3D%25"), Some("a+b&=%")),
            (Some("filter=%C3%A4"), Some("ä")),
            (Some("filter=%C3"), None),
            (Some("filter=%"), None),
            (Some("filter=%+1"), None),
            (Some("filter=%zz"), None),
            (Some(long.as_str()), None),
            (
                Some(&long[..long.len() - 1]),
                Some(&long[7..long.len() - 1]),
            ),
        ] {
            assert_eq!(wanted(query).as_deref(), text, "{query:?}");
        }
    }
}
