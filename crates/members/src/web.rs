//! Owns requests to a service with several servers: one after the other, beginning with the one that worked last.

use crate::fault::ServiceFault;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use buf::Secret;
use fetch::{Answer, Bounds, Request, Trust, Url, fetch, header};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// Bytes of an answer's body: a cluster of a thousand members has less.
pub(crate) const BODY_MAX: usize = 1 << 20;
/// Characters of what a server says that are shown.
const WORDS_MAX: usize = 300;

/// Who we are to a service.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// A service's servers, and how each is asked.
#[derive(Clone)]
pub struct Servers {
    /// Scheme, host and port of each; what path they have does not matter.
    pub urls: Vec<Url>,
    /// Whom their certificates have to be from, and who we are.
    pub trust: Trust,
    /// User and password, if they want one.
    pub login: Option<Login>,
    /// How long one request may take.
    pub timeout: Duration,
}

impl fmt::Debug for Servers {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<String> = self.urls.iter().map(ToString::to_string).collect();
        to.debug_struct("Servers")
            .field("urls", &urls)
            .field("login", &self.login)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Servers {
    /// Asks one; gives whatever it answered.
    pub(crate) async fn ask(
        &self,
        url: &Url,
        path: &str,
        request: Request,
    ) -> Result<Answer, fetch::Fault> {
        let bounds = Bounds {
            deadline: self.timeout,
            body_max: BODY_MAX,
        };
        fetch(&url.at(path), &self.trust, request, bounds).await
    }

    /// Asks one for lines without end, and waits for one of them. Without a deadline.
    pub(crate) async fn await_line(
        &self,
        url: &Url,
        path: &str,
        request: Request,
        is_it: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), fetch::Fault> {
        fetch::await_line(&url.at(path), &self.trust, request, BODY_MAX, is_it).await
    }

    /// All of them with their places, beginning with this one.
    pub(crate) fn from(&self, first: usize) -> impl Iterator<Item = (usize, &Url)> {
        let places = self.urls.iter().enumerate();
        places.clone().skip(first).chain(places.take(first))
    }
}

impl Login {
    /// The same request with user and password as of HTTP (RFC 7617).
    pub(crate) fn basic(&self, request: Request) -> Result<Request, ServiceFault> {
        if self.user.contains(':') {
            return Err(ServiceFault::BadLogin("the user has a colon in it"));
        }
        let mut pair = Zeroizing::new(self.user.clone().into_bytes());
        // Room for all of it at once, so that no part is left behind in memory.
        pair.reserve_exact(self.password.len() + 1);
        pair.push(b':');
        pair.extend_from_slice(self.password.expose());
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(&*pair));
        let value = Zeroizing::new(format!("Basic {}", *encoded));
        request
            .with(header::AUTHORIZATION, value.as_bytes(), true)
            .ok_or(ServiceFault::BadLogin("they are none for a header"))
    }
}

/// What a server that doesn't give 200 is told as.
pub(crate) fn refused(answer: &Answer, words: String) -> ServiceFault {
    let status = answer.status;
    match status {
        401 | 403 => ServiceFault::Denied { status, words },
        _ => ServiceFault::Refused { status, words },
    }
}

/// What a server said, fit for a line of a log.
pub(crate) fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return "(nothing said)".to_owned();
    }
    let plain = |it: char| match it.is_control() {
        true => ' ',
        false => it,
    };
    let mut words: String = text.chars().take(WORDS_MAX).map(plain).collect();
    if text.chars().nth(WORDS_MAX).is_some() {
        words.push_str("...");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_fits_a_line() {
        assert_eq!(words(b" no\r\n such\x1b[0m "), "no   such [0m");
        assert_eq!(words(b"\n"), "(nothing said)");
        assert_eq!(words("\u{e9}".repeat(301).as_bytes()).chars().count(), 303);
        assert_eq!(words(b"\xff"), "\u{fffd}");
    }

    #[test]
    fn the_one_that_worked_is_asked_first_and_the_others_after_it() {
        let urls = ["https://a", "https://b", "https://c"];
        let servers = Servers {
            urls: urls.iter().map(|it| it.parse().unwrap()).collect(),
            trust: Trust::new(None, None).unwrap(),
            login: None,
            timeout: Duration::from_secs(1),
        };
        let order = |first| -> Vec<usize> { servers.from(first).map(|(it, _)| it).collect() };
        assert_eq!(order(0), [0, 1, 2]);
        assert_eq!(order(2), [2, 0, 1]);
    }

    #[test]
    fn user_and_password_show_nowhere() {
        let login = Login {
            user: "admin".to_owned(),
            password: Secret::new(b"s3cret"),
        };
        let request = login.basic(Request::get()).unwrap();
        let (_, value) = &request.headers[0];
        assert_eq!(value.as_bytes(), b"Basic YWRtaW46czNjcmV0");
        let servers = Servers {
            urls: vec!["https://a.example/t0ken".parse().unwrap()],
            trust: Trust::new(None, None).unwrap(),
            login: Some(login),
            timeout: Duration::from_secs(1),
        };
        let shown = format!("{servers:?} {request:?}");
        for secret in ["s3cret", "czNjcmV0", "t0ken"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let bad = Login {
            user: "a:b".to_owned(),
            password: Secret::new(b""),
        };
        assert!(bad.basic(Request::get()).is_err());
    }
}
