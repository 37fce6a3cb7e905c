//! Owns the answer to a request: what the guard decides, and the page or the refusal that follows.

use crate::assets::{Asset, POLICY};
use crate::guard::{Head, Refused, Rules, Way};
use crate::login::{Failures, Id, Logins, cookie, set_cookie};
use crate::site::{self, Page};
use crate::{Liveness, Readiness, View};
use buf::Secret;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST,
    HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{HeaderMap, Request, Response, StatusCode};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a token that somebody logs in with.
const TOKEN_BYTES_MAX: usize = 4096;
/// How long it may take to come.
const TOKEN_TIME_MAX: Duration = Duration::from_secs(20);

/// Fetch Metadata: how the page that asks is related to this one.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Which pages may load what is answered, and share a process with it.
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// What all answers are made from.
pub(crate) struct Desk {
    rules: Rules,
    /// What the cookie of a login is called.
    cookie: String,
    logins: Mutex<Logins>,
    failures: Mutex<Failures>,
    view: Arc<dyn View>,
}

pub(crate) type Answer = Response<Full<Bytes>>;

impl Desk {
    pub(crate) fn new(
        rules: Rules,
        cookie: String,
        login_lifetime: Duration,
        view: Arc<dyn View>,
    ) -> Desk {
        Desk {
            rules,
            cookie,
            logins: Mutex::new(Logins::new(login_lifetime)),
            failures: Mutex::default(),
            view,
        }
    }

    fn logins(&self) -> MutexGuard<'_, Logins> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of our cookie.
    fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let texts = headers.get_all(COOKIE).into_iter();
        texts
            .filter_map(|it| it.to_str().ok())
            .find_map(|it| cookie(it, &self.cookie))
    }
}

/// The answer to a request from this address.
pub(crate) async fn answer<B>(request: Request<B>, peer: IpAddr, desk: &Desk) -> Answer
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let now = Instant::now();
    let header = |name| request.headers().get(name);
    let bytes = |name| header(name).map(HeaderValue::as_bytes);
    let authority = request.uri().authority().map(|it| it.as_str());
    let host = header(HOST).and_then(|it| it.to_str().ok());
    let cookie = desk.cookie(request.headers()).map(str::to_owned);
    let is_known = |it: &String| desk.logins().knows(it, now);
    let head = Head {
        method: request.method().as_str(),
        path: request.uri().path(),
        host: authority.or(host),
        origin: bytes(ORIGIN),
        fetch_site: bytes(SEC_FETCH_SITE),
        authorization: bytes(AUTHORIZATION),
        logged_in: cookie.as_ref().is_some_and(is_known),
    };
    let tries = head.authorization.is_some() && !head.logged_in;
    if let (true, Err(left)) = (tries, desk.failures().may_try(peer, now)) {
        return later(left);
    }
    let is_post = head.method == "POST";
    let is_in = head.logged_in || desk.rules.way() == Way::Certificate;
    let verdict = desk.rules.judge(head);
    if verdict == Err(Refused::Token) && tries {
        desk.failures().note(peer, now);
    }
    match verdict {
        Ok(Page::Login) if is_post => log_in(request, peer, desk, now).await,
        Ok(Page::Login) => json(way(desk.rules.way(), is_in)),
        Ok(Page::Logout) => log_out(cookie.as_deref(), desk),
        Ok(page) => show(page, request.uri().query(), &*desk.view),
        Err(refused) => refusal(refused),
    }
}

/// Whoever sends the token gets a cookie that stands for it.
async fn log_in<B>(request: Request<B>, peer: IpAddr, desk: &Desk, now: Instant) -> Answer
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if desk.rules.way() != Way::Token {
        return refusal(Refused::Unproved);
    }
    if let Err(left) = desk.failures().may_try(peer, now) {
        return later(left);
    }
    let body = Limited::new(request.into_body(), TOKEN_BYTES_MAX).collect();
    let Ok(Ok(body)) = tokio::time::timeout(TOKEN_TIME_MAX, body).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "that is no token\n");
    };
    let given = Secret::from_vec(body.to_bytes().to_vec());
    if !desk.rules.is_token(given.expose()) {
        desk.failures().note(peer, now);
        tracing::warn!(target: "portcullis::page", %peer, "a login on the page was refused: the token is wrong");
        return plain(StatusCode::UNAUTHORIZED, "the token is wrong\n");
    }
    let mut id: Id = [0; 32];
    if openssl::rand::rand_bytes(&mut id).is_err() {
        return plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "there is no randomness\n",
        );
    }
    let mut logins = desk.logins();
    let value = logins.begin(&id, now);
    let lifetime = logins.lifetime();
    drop(logins);
    tracing::info!(target: "portcullis::page", %peer, "somebody logged in on the page");
    with_cookie(desk, &value, lifetime)
}

fn log_out(cookie: Option<&str>, desk: &Desk) -> Answer {
    if let Some(value) = cookie {
        desk.logins().end(value);
    }
    with_cookie(desk, "", Duration::ZERO)
}

fn with_cookie(desk: &Desk, value: &str, left: Duration) -> Answer {
    let text = set_cookie(&desk.cookie, value, left, desk.rules.encrypted);
    let mut answer = plain(StatusCode::NO_CONTENT, "");
    if let Ok(text) = HeaderValue::from_str(&text) {
        answer.headers_mut().insert(SET_COOKIE, text);
    }
    answer
}

fn way(way: Way, is_in: bool) -> String {
    let word = match way {
        Way::Token => "token",
        Way::Certificate => "certificate",
        Way::None => "none",
    };
    format!("{{\"way\":\"{word}\",\"in\":{is_in}}}")
}

fn show(page: Page, query: Option<&str>, view: &dyn View) -> Answer {
    match page {
        Page::Metrics => of_kind(
            "text/plain; version=0.0.4; charset=utf-8",
            observe::exposition(&view.metrics()),
        ),
        Page::Activity => json(view.activity()),
        Page::Patterns => json(view.patterns()),
        Page::Events => json(view.events()),
        Page::Overview => json(view.overview()),
        Page::PoolTimes => json(view.pool_times()),
        Page::PatternTimes(pattern) => some_json(view.pattern_times(pattern)),
        Page::Table(name) => match site::wanted(query) {
            Some(wanted) => some_json(view.table(name, &wanted)),
            None => plain(StatusCode::BAD_REQUEST, "that is no filter\n"),
        },
        Page::Asset(asset) => file(asset),
        // They are no pages, and were answered before.
        Page::Login | Page::Logout => refusal(Refused::NoSuchPage),
        Page::Live => match view.liveness() {
            Liveness::Alive => plain(StatusCode::OK, "alive\n"),
            Liveness::Stuck(why) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, format!("stuck: {why}\n"))
            }
        },
        Page::Ready => match view.readiness() {
            Readiness::Ready => plain(StatusCode::OK, "ready\n"),
            Readiness::NotReady(why) => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not ready: {why}\n"),
            ),
        },
    }
}

fn refusal(refused: Refused) -> Answer {
    match refused {
        Refused::Misdirected => plain(
            StatusCode::MISDIRECTED_REQUEST,
            "this listener answers to IP addresses, localhost and the names in metrics.hosts\n",
        ),
        Refused::FromAPage => plain(
            StatusCode::FORBIDDEN,
            "requests of other web pages are not answered\n",
        ),
        Refused::NoSuchPage => plain(
            StatusCode::NOT_FOUND,
            "there are /, /metrics, /activity, /patterns, /events, /livez and /readyz\n",
        ),
        Refused::Unproved => plain(
            StatusCode::FORBIDDEN,
            "this page needs metrics.token_file or metrics.client_ca\n",
        ),
        Refused::Method(allowed) => {
            let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, format!("{allowed}\n"));
            let allowed = HeaderValue::from_static(allowed);
            answer.headers_mut().insert(ALLOW, allowed);
            answer
        }
        Refused::Token => {
            let mut answer = plain(StatusCode::UNAUTHORIZED, "a bearer token is needed\n");
            let scheme = HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
            answer
        }
    }
}

/// This address has been wrong too often.
fn later(left: Duration) -> Answer {
    let mut answer = plain(
        StatusCode::TOO_MANY_REQUESTS,
        "too many wrong tokens from this address: wait a minute\n",
    );
    let seconds = HeaderValue::from(left.as_secs() + 1);
    answer.headers_mut().insert(RETRY_AFTER, seconds);
    answer
}

fn json(text: String) -> Answer {
    of_kind("application/json", text)
}

fn some_json(text: Option<String>) -> Answer {
    let gone = || plain(StatusCode::NOT_FOUND, "there is no such thing any more\n");
    text.map_or_else(gone, json)
}

/// A file of the page, with what it may do.
fn file(asset: &'static Asset) -> Answer {
    let mut answer = of_kind(asset.kind, asset.bytes);
    let headers = answer.headers_mut();
    let policy = HeaderValue::from_static(POLICY);
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    answer
}

fn of_kind(kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = plain(StatusCode::OK, body);
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests;
