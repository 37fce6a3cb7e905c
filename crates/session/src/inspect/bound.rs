//! Owns what is known of the values that are bound to a statement: kept as they came, and read when somebody asks.

use super::types::Types;
use super::values;
use buf::Secret;
use std::fmt::Write as _;
use std::sync::Arc;
use wire::Message;
use wire::from_client::Bind;

/// The values of a portal, as far as they are kept.
#[derive(Debug, Clone, Default)]
pub enum Bound {
    /// There are none, or nobody asked for them.
    #[default]
    None,
    /// The body of the Bind.
    Kept(Arc<Secret>),
    /// More bytes than are kept.
    TooLong,
}

/// How far values are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Types, formats and lengths.
    Types,
    /// The values, too.
    Values,
}

impl Bound {
    /// Of a Bind's body, if it is here; at most so many bytes are kept.
    pub(crate) fn of(body: Option<&[u8]>, keep: usize) -> Bound {
        match body {
            _ if keep == 0 => Bound::None,
            Some(body) if body.len() <= keep => Bound::Kept(Arc::new(Secret::new(body))),
            _ => Bound::TooLong,
        }
    }

    /// Bytes that are kept.
    pub fn kept(&self) -> usize {
        match self {
            Bound::Kept(body) => body.len(),
            Bound::None | Bound::TooLong => 0,
        }
    }

    /// Appends the values as an array of JSON, and says that there is something to show. What a value has beyond `cut`
    /// bytes is left out.
    pub fn write(
        &self,
        types: Option<&Types>,
        (shown, cut): (Shown, usize),
        to: &mut String,
    ) -> bool {
        let body = match self {
            Bound::None => return false,
            Bound::TooLong => {
                to.push_str("\"(too long to be kept)\"");
                return true;
            }
            Bound::Kept(body) => body,
        };
        let Ok(bind) = Bind::decode(body.expose()) else {
            return false;
        };
        to.push('[');
        for (index, value) in bind.values.iter().enumerate() {
            let oid = types.map_or(0, |it| it.of(index));
            let is_binary = format(&bind, index) != 0;
            if index > 0 {
                to.push(',');
            }
            to.push('{');
            if oid != 0 {
                let _ = match values::type_name(oid) {
                    Some(name) => write!(to, "\"type\":\"{name}\","),
                    None => write!(to, "\"type\":\"{oid}\","),
                };
            }
            match (value, shown) {
                (None, _) => to.push_str("\"value\":null"),
                (Some(value), Shown::Types) => {
                    let format = if is_binary { "binary" } else { "text" };
                    let _ = write!(to, "\"format\":\"{format}\",\"bytes\":{}", value.len());
                }
                (Some(value), Shown::Values) => {
                    to.push_str("\"value\":\"");
                    values::write(oid, is_binary, &value[..value.len().min(cut)], to);
                    to.push('"');
                    if value.len() > cut {
                        let _ = write!(to, ",\"bytes\":{}", value.len());
                    }
                }
            }
            to.push('}');
        }
        to.push(']');
        true
    }
}

fn format(bind: &Bind<'_>, index: usize) -> i16 {
    let mut formats = bind.formats.iter();
    match bind.formats.len() {
        0 => 0,
        1 => formats.next().unwrap_or(0),
        _ => formats.nth(index).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(formats: &[i16], values: &[Option<&[u8]>]) -> Bound {
        let mut body = b"\0s\0".to_vec();
        body.extend((formats.len() as u16).to_be_bytes());
        formats.iter().for_each(|it| body.extend(it.to_be_bytes()));
        body.extend((values.len() as u16).to_be_bytes());
        for value in values {
            let len = value.map_or(-1, |it| it.len() as i32);
            body.extend(len.to_be_bytes());
            body.extend(value.unwrap_or_default());
        }
        body.extend([0, 0]);
        Bound::of(Some(&body), 1000)
    }

    #[test]
    fn values_are_shown_as_far_as_is_wanted() {
        let bound = bind(
            &[1, 0, 0],
            &[Some(&[0, 0, 0, 7]), Some(b"it's \"so\""), None],
        );
        for (shown, wanted) in [
            (
                Shown::Values,
                r#"[{"type":"int4","value":"7"},{"type":"99999","value":"it's \"so\""},{"value":null}]"#,
            ),
            (
                Shown::Types,
                r#"[{"type":"int4","format":"binary","bytes":4},{"type":"99999","format":"text","bytes":9},{"value":null}]"#,
            ),
        ] {
            let mut text = String::new();
            let types = Types::said([23, 99_999].into_iter());
            assert!(bound.write(Some(&types), (shown, 100), &mut text));
            assert_eq!(text, wanted);
        }
        let mut text = String::new();
        let types = Types::said([25].into_iter());
        let bound = bind(&[], &[Some(b"abcdef")]);
        assert!(bound.write(Some(&types), (Shown::Values, 3), &mut text));
        assert_eq!(text, r#"[{"type":"text","value":"abc","bytes":6}]"#);
    }

    #[test]
    fn what_is_not_kept_is_not_shown() {
        let mut text = String::new();
        assert!(!Bound::of(Some(b"x"), 0).write(None, (Shown::Values, 9), &mut text));
        assert!(!Bound::of(Some(b"x"), 9).write(None, (Shown::Values, 9), &mut text));
        assert!(text.is_empty());
        for long in [Bound::of(Some(b"1234"), 3), Bound::of(None, 3)] {
            assert!(matches!(long, Bound::TooLong));
        }
    }
}
