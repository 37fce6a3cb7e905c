//! Owns the choice of a certificate by the name that a client asks for (SNI, RFC 6066 section 3).
//! The name is the client's word: it is looked up, never trusted.

use crate::name::ServerName;
use openssl::ssl::SslContext;
use std::collections::HashMap;

/// What a client that asked for a name is shown.
pub(super) enum Chosen<'a> {
    /// The certificate for this name.
    Named(&'a SslContext),
    /// The default certificate.
    Default,
    /// Nothing: the name is unknown, and such clients are refused.
    Refused,
}

/// Contexts by the names that they are for.
#[derive(Default)]
pub(super) struct Names {
    exact: HashMap<String, SslContext>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, SslContext>,
    /// Names of the default certificate, which are never unknown.
    own: Vec<String>,
    refuse_unknown: bool,
}

impl Names {
    /// No names yet. `own`: the names of the default certificate, for listeners that refuse
    /// unknown ones.
    pub(super) fn new(own: Vec<String>, refuse_unknown: bool) -> Names {
        Names {
            own,
            refuse_unknown,
            ..Names::default()
        }
    }

    /// Shows this certificate to those who ask for `name`, which may begin with `*.`.
    pub(super) fn insert(&mut self, name: &str, context: &SslContext) {
        let name = name.to_ascii_lowercase();
        match name.strip_prefix("*.") {
            Some(parent) => self.wildcard.insert(parent.to_owned(), context.clone()),
            None => self.exact.insert(name, context.clone()),
        };
    }

    /// What to show to a client. An exact name goes before a wildcard; who asks for nothing gets
    /// the default.
    pub(super) fn choose(&self, asked: Option<&[u8]>) -> Chosen<'_> {
        let Some(asked) = asked else {
            return Chosen::Default;
        };
        let Some(name) = host_name(asked) else {
            return self.unknown();
        };
        let parent = name.split_once('.').map_or("", |(_, parent)| parent);
        let named = self.exact.get(&name).or_else(|| self.wildcard.get(parent));
        match named {
            Some(context) => Chosen::Named(context),
            None if self.own.iter().any(|own| covers(own, &name)) => Chosen::Default,
            None => self.unknown(),
        }
    }

    fn unknown(&self) -> Chosen<'_> {
        match self.refuse_unknown {
            true => Chosen::Refused,
            false => Chosen::Default,
        }
    }
}

/// Whether a name of a certificate stands for a host; `*` stands for one label.
pub(super) fn covers(of_certificate: &str, name: &str) -> bool {
    match of_certificate.strip_prefix("*.") {
        Some(parent) => name.split_once('.').is_some_and(|(_, it)| it == parent),
        None => of_certificate == name,
    }
}

/// A host name in lower case, if it is one.
fn host_name(asked: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(asked).ok()?;
    match ServerName::parse(text).ok()? {
        ServerName::Name(name) => Some(name.to_ascii_lowercase()),
        ServerName::Ip(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::ssl::{SslContextBuilder, SslMethod};

    #[test]
    fn names_choose_exactly_then_by_wildcard() {
        let context = || {
            SslContextBuilder::new(SslMethod::tls_server())
                .unwrap()
                .build()
        };
        let (exact, wild) = (context(), context());
        let names = |refuse| {
            let mut names = Names::new(vec!["own.example".into(), "*.own.example".into()], refuse);
            names.insert("A.wild.example", &exact);
            names.insert("*.wild.example", &wild);
            names
        };
        let long = "a".repeat(300);
        let said = |names: &Names, asked: Option<&[u8]>| match names.choose(asked) {
            Chosen::Named(context) if std::ptr::eq(&**context, &*exact) => "exact",
            Chosen::Named(_) => "wild",
            Chosen::Default => "default",
            Chosen::Refused => "refused",
        };
        for (asked, chosen) in [
            ("a.wild.example", "exact"),
            ("A.Wild.Example", "exact"),
            ("a.wild.example.", "exact"),
            ("b.wild.example", "wild"),
            ("b.c.wild.example", "refused"),
            ("wild.example", "refused"),
            (".wild.example", "wild"),
            ("own.example", "default"),
            ("x.own.example", "default"),
            ("x.y.own.example", "refused"),
            ("127.0.0.1", "refused"),
            ("", "refused"),
            ("a\0.wild.example", "refused"),
            ("*.wild.example", "refused"),
            ("../../etc/passwd", "refused"),
            (long.as_str(), "refused"),
        ] {
            assert_eq!(
                said(&names(true), Some(asked.as_bytes())),
                chosen,
                "{asked:?}"
            );
            let lenient = if chosen == "refused" {
                "default"
            } else {
                chosen
            };
            assert_eq!(
                said(&names(false), Some(asked.as_bytes())),
                lenient,
                "{asked:?}"
            );
        }
        assert_eq!(said(&names(true), Some(b"\xff.wild.example")), "refused");
        assert_eq!(said(&names(true), None), "default");
    }
}
