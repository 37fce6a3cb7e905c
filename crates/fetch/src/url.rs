//! Owns where a request goes: a URL of `http` or `https`, without user or password.

use hyper::Uri;
use std::fmt;
use std::str::FromStr;

/// Whether the way is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// By verified TLS.
    Https,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    scheme: Scheme,
    /// As it stands in the Host header: with the port where one is written.
    authority: String,
    /// Without brackets.
    host: String,
    port: u16,
    /// With the query.
    path: String,
}

/// Why a text is no URL that requests go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// It is none at all.
    #[error("it is no URL, as https://host/path")]
    Malformed,
    /// It has another scheme, or none.
    #[error("it must begin with https:// or http://")]
    Scheme,
    /// It has a name or password in front of the host.
    #[error("a user or password in it would be shown with it; leave it out")]
    User,
    /// It has a fragment, which goes to no server.
    #[error("what stands behind # goes to no server; leave it out")]
    Fragment,
}

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Url, BadUrl> {
        if text.contains('#') {
            return Err(BadUrl::Fragment);
        }
        let uri: Uri = text.parse().map_err(|_| BadUrl::Malformed)?;
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(BadUrl::Scheme),
        };
        let authority = uri.authority().ok_or(BadUrl::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(BadUrl::User);
        }
        let host = authority.host();
        // Without a user, what stands behind the host is the port: a number that `http` itself may not know.
        let written = authority.as_str().get(host.len()..).unwrap_or_default();
        let port = match (written.strip_prefix(':'), scheme) {
            (Some(written), _) => written.parse().map_err(|_| BadUrl::Malformed)?,
            (None, Scheme::Https) => 443,
            (None, Scheme::Http) => 80,
        };
        let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        if host.is_empty() || port == 0 {
            return Err(BadUrl::Malformed);
        }
        Ok(Url {
            scheme,
            authority: authority.as_str().to_owned(),
            host: host.to_owned(),
            port,
            path: uri
                .path_and_query()
                .map_or("/", |it| it.as_str())
                .to_owned(),
        })
    }
}

impl Url {
    /// Whether the way is encrypted.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host as the Host header has it.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host: a name, or an address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query. Either may hold a token.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The same server, another path.
    #[must_use]
    pub fn at(&self, path: &str) -> Url {
        Url {
            path: path.to_owned(),
            ..self.clone()
        }
    }
}

/// Scheme and host. The path may be all the secret that some services have, and is not shown.
impl fmt::Display for Url {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(to, "{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_or_refused() {
        for (text, wanted) in [
            (
                "https://a.example/x?y=1",
                Ok((Scheme::Https, "a.example", 443, "/x?y=1")),
            ),
            (
                "http://127.0.0.1:8008",
                Ok((Scheme::Http, "127.0.0.1", 8008, "/")),
            ),
            ("https://[::1]:8443/", Ok((Scheme::Https, "::1", 8443, "/"))),
            ("https://a:b@c/", Err(BadUrl::User)),
            ("https://a/#b", Err(BadUrl::Fragment)),
            ("ftp://a/", Err(BadUrl::Scheme)),
            ("a.example/x", Err(BadUrl::Malformed)),
            ("/x", Err(BadUrl::Scheme)),
            ("https://", Err(BadUrl::Malformed)),
            ("https://a:99999/", Err(BadUrl::Malformed)),
            ("https://a:0/", Err(BadUrl::Malformed)),
            ("https://a b/", Err(BadUrl::Malformed)),
            ("", Err(BadUrl::Malformed)),
        ] {
            let url: Result<Url, BadUrl> = text.parse();
            let parts = url
                .as_ref()
                .map(|it| (it.scheme(), it.host(), it.port(), it.path()));
            assert_eq!(parts.map_err(|it| *it), wanted, "{text}");
        }
    }

    #[test]
    fn what_may_be_a_token_is_not_shown() {
        let url: Url = "https://hooks.example:8443/t0ken".parse().unwrap();
        assert_eq!(url.to_string(), "https://hooks.example:8443");
        assert_eq!(url.at("/health").path(), "/health");
    }
}
