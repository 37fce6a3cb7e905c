//! Owns who may ask for which page: a pure judgement of a request's head.
//!
//! A browser on the operator's machine can be made to ask any address it reaches (DNS rebinding,
//! cross-site requests). So a request must be addressed to an IP address, `localhost` or a
//! configured name, and must not come from somebody else's page: what has an `Origin` or a
//! `Sec-Fetch-Site` of another one is refused. The pages for programs refuse every `Origin`.

use crate::site::{Door, Page};
use buf::Secret;
use std::net::IpAddr;

/// What the operator allows.
pub(crate) struct Rules {
    /// Names that requests may be addressed to.
    pub(crate) hosts: Vec<String>,
    /// The listener has TLS.
    pub(crate) encrypted: bool,
    /// Clients have shown a certificate.
    pub(crate) knows_clients: bool,
    /// What all pages but those of health demand.
    pub(crate) token: Option<Secret>,
}

/// The head of a request, as far as it decides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The Host header, or the authority of an absolute request.
    pub(crate) host: Option<&'a str>,
    /// The page that a browser sends it for.
    pub(crate) origin: Option<&'a [u8]>,
    /// How that page is related to us, as the browser says (Fetch Metadata).
    pub(crate) fetch_site: Option<&'a [u8]>,
    pub(crate) authorization: Option<&'a [u8]>,
    /// Its cookie is that of a login in force.
    pub(crate) logged_in: bool,
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
    /// 405: these are allowed.
    Method(&'static str),
    /// 403: names of clients and statements are for those who have proved who they are, and nobody can.
    Unproved,
    /// 401: the token is missing or wrong.
    Token,
}

/// How a person comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// With the token.
    Token,
    /// With the certificate that was shown already.
    Certificate,
    /// Not at all.
    None,
}

impl Rules {
    pub(crate) fn judge(&self, head: Head<'_>) -> Result<Page, Refused> {
        let host = head.host.filter(|host| self.is_ours(host));
        let host = host.ok_or(Refused::Misdirected)?;
        let door = Page::of(head.path).map(Page::door);
        self.came_from_us(head, host, door)?;
        let page = Page::of(head.path).ok_or(Refused::NoSuchPage)?;
        let (right, allowed) = match page.door() {
            Door::Changing => (head.method == "POST", "POST"),
            Door::Login => (
                matches!(head.method, "GET" | "HEAD" | "POST"),
                "GET, HEAD, POST",
            ),
            _ => (matches!(head.method, "GET" | "HEAD"), "GET, HEAD"),
        };
        if !right {
            return Err(Refused::Method(allowed));
        }
        match page.door() {
            Door::Open | Door::Login | Door::Changing => Ok(page),
            Door::Numbers if self.way() == Way::None => Ok(page),
            Door::Numbers | Door::Names | Door::Shown => self.proved(head).map(|()| page),
        }
    }

    /// How a person comes in.
    pub(crate) fn way(&self) -> Way {
        match (&self.token, self.knows_clients) {
            (Some(_), _) => Way::Token,
            (None, true) => Way::Certificate,
            (None, false) => Way::None,
        }
    }

    /// True if `given` is the token. Compared in a time that says nothing about where it differs.
    pub(crate) fn is_token(&self, given: &[u8]) -> bool {
        let Some(token) = &self.token else {
            return false;
        };
        let token = token.expose();
        given.len() == token.len() && openssl::memcmp::eq(given, token)
    }

    fn proved(&self, head: Head<'_>) -> Result<(), Refused> {
        match self.way() {
            Way::Certificate => Ok(()),
            Way::None => Err(Refused::Unproved),
            Way::Token if head.logged_in => Ok(()),
            Way::Token => match head.authorization.and_then(bearer) {
                Some(given) if self.is_token(given) => Ok(()),
                _ => Err(Refused::Token),
            },
        }
    }

    fn came_from_us(&self, head: Head<'_>, host: &str, door: Option<Door>) -> Result<(), Refused> {
        let own = head.origin.map(|origin| self.is_own(origin, host));
        let method = !matches!(head.method, "GET" | "HEAD");
        let right = match door {
            // What changes something needs a browser that says where it comes from.
            Some(Door::Changing | Door::Login) if method => own == Some(true),
            Some(Door::Open | Door::Shown | Door::Login | Door::Changing) => own != Some(false),
            Some(Door::Numbers | Door::Names) | None => own.is_none(),
        };
        // What has no secret may be linked to.
        let linked = matches!(door, Some(Door::Open));
        let here = matches!(head.fetch_site, None | Some(b"same-origin" | b"none"));
        match right && (linked || here) {
            true => Ok(()),
            false => Err(Refused::FromAPage),
        }
    }

    /// True if `origin` is the page's at this host. A proxy that has the TLS may stand in front of a listener
    /// without it.
    fn is_own(&self, origin: &[u8], host: &str) -> bool {
        let Ok(origin) = std::str::from_utf8(origin) else {
            return false;
        };
        let authority = origin.strip_prefix("https://").or_else(|| {
            let plain = origin.strip_prefix("http://");
            plain.filter(|_| !self.encrypted)
        });
        authority.is_some_and(|it| it.eq_ignore_ascii_case(host))
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

/// RFC 6750 section 2.1.
fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, given) = authorization.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(given)
}

#[cfg(test)]
mod tests;
