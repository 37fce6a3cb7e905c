//! Owns who may ask for which page: a pure judgement of a request's head.
//!
//! A browser on the operator's machine can be made to ask any address it reaches (DNS rebinding,
//! cross-site requests). So a request must be addressed to an IP address, `localhost` or a
//! configured name, and must not come from a page: whatever has an `Origin` is refused.

use buf::Secret;
use std::net::IpAddr;

/// What the operator allows.
pub(crate) struct Rules {
    /// Names that requests may be addressed to.
    pub(crate) hosts: Vec<String>,
    /// What `/metrics` demands.
    pub(crate) token: Option<Secret>,
}

/// The head of a request, as far as it decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The Host header, or the authority of an absolute request.
    pub(crate) host: Option<&'a str>,
    /// An Origin header is there.
    pub(crate) from_a_page: bool,
    pub(crate) authorization: Option<&'a [u8]>,
}

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Metrics,
    Live,
    Ready,
}

/// Why a request gets no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 421: it was meant for another host.
    Misdirected,
    /// 403: a browser's page sent it.
    FromAPage,
    /// 404
    NoSuchPage,
    /// 405
    Method,
    /// 401: the token is missing or wrong.
    Token,
}

impl Rules {
    pub(crate) fn judge(&self, head: Head<'_>) -> Result<Page, Refused> {
        if !head.host.is_some_and(|host| self.is_ours(host)) {
            return Err(Refused::Misdirected);
        }
        if head.from_a_page {
            return Err(Refused::FromAPage);
        }
        let page = match head.path {
            "/metrics" => Page::Metrics,
            "/livez" => Page::Live,
            "/readyz" => Page::Ready,
            _ => return Err(Refused::NoSuchPage),
        };
        if !matches!(head.method, "GET" | "HEAD") {
            return Err(Refused::Method);
        }
        match (&self.token, page) {
            (Some(token), Page::Metrics) if !bears(head.authorization, token) => {
                Err(Refused::Token)
            }
            _ => Ok(page),
        }
    }

    /// True if `host`, which may have a port, is an address or one of our names.
    fn is_ours(&self, host: &str) -> bool {
        if let Some(rest) = host.strip_prefix('[') {
            let address = rest.split_once(']').map(|(address, _)| address);
            return address.is_some_and(|it| it.parse::<IpAddr>().is_ok());
        }
        let name = host.split_once(':').map_or(host, |(name, _)| name);
        let named = |ours: &str| ours.eq_ignore_ascii_case(name);
        name.parse::<IpAddr>().is_ok()
            || named("localhost")
            || self.hosts.iter().any(|ours| named(ours))
    }
}

/// RFC 6750 section 2.1. Compared in a time that says nothing about where it differs.
fn bears(authorization: Option<&[u8]>, token: &Secret) -> bool {
    let Some((scheme, given)) = authorization.and_then(|it| it.split_at_checked(7)) else {
        return false;
    };
    let token = token.expose();
    scheme.eq_ignore_ascii_case(b"Bearer ")
        && given.len() == token.len()
        && openssl::memcmp::eq(given, token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Head<'_> = Head {
        method: "GET",
        path: "/metrics",
        host: Some("127.0.0.1:9127"),
        from_a_page: false,
        authorization: None,
    };

    fn open() -> Rules {
        Rules {
            hosts: vec!["db.example".to_owned()],
            token: None,
        }
    }

    #[test]
    fn a_request_must_be_meant_for_this_host() {
        for (host, ours) in [
            (Some("127.0.0.1:9127"), true),
            (Some("10.1.2.3"), true),
            (Some("[::1]:9127"), true),
            (Some("localhost"), true),
            (Some("DB.example:9127"), true),
            (Some("evil.example"), false),
            (Some("db.example.evil.example"), false),
            (Some("localhost.evil.example:9127"), false),
            (Some("[evil.example]"), false),
            (Some(""), false),
            (None, false),
        ] {
            let verdict = open().judge(Head { host, ..GET });
            assert_eq!(verdict.is_ok(), ours, "{host:?}");
        }
    }

    #[test]
    fn pages_and_methods() {
        let judge = |method, path| {
            open().judge(Head {
                method,
                path,
                ..GET
            })
        };
        assert_eq!(judge("GET", "/metrics"), Ok(Page::Metrics));
        assert_eq!(judge("HEAD", "/livez"), Ok(Page::Live));
        assert_eq!(judge("GET", "/readyz"), Ok(Page::Ready));
        assert_eq!(judge("POST", "/metrics"), Err(Refused::Method));
        assert_eq!(judge("GET", "/metrics/"), Err(Refused::NoSuchPage));
        assert_eq!(judge("GET", "/"), Err(Refused::NoSuchPage));
    }

    #[test]
    fn pages_of_browsers_get_nothing() {
        let head = Head {
            from_a_page: true,
            ..GET
        };
        assert_eq!(open().judge(head), Err(Refused::FromAPage));
    }

    #[test]
    fn the_token_opens_metrics_and_health_needs_none() {
        let rules = Rules {
            token: Some(Secret::new(b"t0ken")),
            ..open()
        };
        for (authorization, right) in [
            (Some(&b"Bearer t0ken"[..]), true),
            (Some(b"bearer t0ken"), true),
            (Some(b"Bearer t0keN"), false),
            (Some(b"Bearer t0ke"), false),
            (Some(b"Bearer t0kenn"), false),
            (Some(b"Basic t0ken"), false),
            (Some(b"Bearer"), false),
            (None, false),
        ] {
            let metrics = rules.judge(Head {
                authorization,
                ..GET
            });
            assert_eq!(metrics.is_ok(), right, "{authorization:?}");
        }
        let path = "/livez";
        assert_eq!(rules.judge(Head { path, ..GET }), Ok(Page::Live));
    }
}
