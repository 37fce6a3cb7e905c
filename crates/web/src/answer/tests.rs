//! Logging in, and what stands above every answer.

use super::*;
use hyper::Method;

struct Scenery;

impl View for Scenery {
    fn metrics(&self) -> Vec<observe::Family> {
        Vec::new()
    }
    fn activity(&self) -> String {
        "[]".to_owned()
    }
    fn patterns(&self) -> String {
        "[]".to_owned()
    }

    fn events(&self) -> String {
        "[]".to_owned()
    }
    fn overview(&self) -> String {
        "{}".to_owned()
    }
    fn pool_times(&self) -> String {
        "[]".to_owned()
    }
    fn pattern_times(&self, pattern: u64) -> Option<String> {
        (pattern == 7).then(|| "{}".to_owned())
    }
    fn table(&self, name: &str, wanted: &str) -> Option<String> {
        (name == "pools").then(|| format!("{{\"wanted\":\"{wanted}\"}}"))
    }
    fn liveness(&self) -> Liveness {
        Liveness::Stuck("worker-7".to_owned())
    }
    fn readiness(&self) -> Readiness {
        Readiness::NotReady("it is a scenery")
    }
}

const OWN: &str = "http://localhost:9127";

fn desk(token: Option<&str>, encrypted: bool) -> Desk {
    let rules = Rules {
        hosts: Vec::new(),
        encrypted,
        knows_clients: false,
        token: token.map(|it| Secret::new(it.as_bytes())),
    };
    Desk::new(
        rules,
        crate::login::cookie_name(encrypted, 9127),
        Duration::from_secs(3600),
        Arc::new(Scenery),
    )
}

fn ask(desk: &Desk, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("Host", "localhost:9127");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned())));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let peer = "192.0.2.7".parse().expect("an address");
    runtime.block_on(answer(request.expect("a request"), peer, desk))
}

fn text(answer: Answer) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let body = runtime.expect("a runtime").block_on(answer.collect());
    String::from_utf8(body.expect("a body").to_bytes().to_vec()).expect("text")
}

fn get(desk: &Desk, path: &str, cookie: &str) -> StatusCode {
    ask(desk, Method::GET, path, &[("Cookie", cookie)], "").status()
}

fn log_in(desk: &Desk, token: &str) -> Answer {
    ask(desk, Method::POST, "/login", &[("Origin", OWN)], token)
}

/// What a browser sends back.
fn given(answer: &Answer) -> String {
    let text = answer.headers()[SET_COOKIE].to_str().expect("a cookie");
    text.split(';').next().expect("a cookie").to_owned()
}

#[test]
fn the_right_token_gives_a_cookie_that_opens_everything_until_the_logout() {
    let desk = desk(Some("t0ken"), false);
    assert_eq!(get(&desk, "/overview", ""), StatusCode::UNAUTHORIZED);
    let answer = log_in(&desk, "t0ken");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let cookie = given(&answer);
    assert!(!cookie.contains("t0ken"));
    for path in ["/overview", "/tables/pools", "/times/7", "/metrics"] {
        assert_eq!(get(&desk, path, &cookie), StatusCode::OK, "{path}");
    }
    assert_eq!(get(&desk, "/times/8", &cookie), StatusCode::NOT_FOUND);
    let forged = cookie.replace('=', "=0");
    assert_eq!(get(&desk, "/overview", &forged), StatusCode::UNAUTHORIZED);
    let headers = [("Origin", OWN), ("Cookie", cookie.as_str())];
    let left = ask(&desk, Method::POST, "/logout", &headers, "");
    assert_eq!(left.status(), StatusCode::NO_CONTENT);
    assert!(given(&left).ends_with('='));
    assert_eq!(get(&desk, "/overview", &cookie), StatusCode::UNAUTHORIZED);
}

#[test]
fn no_two_logins_have_one_cookie() {
    let desk = desk(Some("t0ken"), false);
    let (one, two) = (log_in(&desk, "t0ken"), log_in(&desk, "t0ken"));
    assert_ne!(given(&one), given(&two));
}

#[test]
fn wrong_tokens_give_nothing_and_too_many_close_the_door() {
    let desk = desk(Some("t0ken"), false);
    for token in ["", "t0ke", "t0kenn", "T0ken", &"t".repeat(TOKEN_BYTES_MAX)] {
        let answer = log_in(&desk, token);
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{token}");
        assert!(!answer.headers().contains_key(SET_COOKIE));
    }
    let answer = log_in(&desk, &"t".repeat(TOKEN_BYTES_MAX + 1));
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    // A browser without a login is no failure; a program with a wrong token is.
    let cookie = given(&log_in(&desk, "t0ken"));
    assert_eq!(get(&desk, "/overview", "x=y"), StatusCode::UNAUTHORIZED);
    let bearer = [("Authorization", "Bearer wrong")];
    for _ in 0..5 {
        let answer = ask(&desk, Method::GET, "/metrics", &bearer, "");
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    }
    let answer = log_in(&desk, "t0ken");
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers().contains_key(RETRY_AFTER));
    let answer = ask(&desk, Method::GET, "/metrics", &bearer, "");
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    // Who is in already stays in.
    assert_eq!(get(&desk, "/overview", &cookie), StatusCode::OK);
}

#[test]
fn another_page_can_neither_log_in_nor_out() {
    let desk = desk(Some("t0ken"), false);
    let cookie = given(&log_in(&desk, "t0ken"));
    for headers in [
        &[("Origin", "http://evil.example")][..],
        &[("Origin", OWN), ("Sec-Fetch-Site", "cross-site")],
        &[],
    ] {
        for path in ["/login", "/logout"] {
            let headers = [headers, &[("Cookie", cookie.as_str())]].concat();
            let answer = ask(&desk, Method::POST, path, &headers, "t0ken");
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} {headers:?}");
        }
    }
    assert_eq!(get(&desk, "/overview", &cookie), StatusCode::OK);
}

#[test]
fn without_a_token_nobody_logs_in() {
    let desk = desk(None, false);
    assert_eq!(log_in(&desk, "").status(), StatusCode::FORBIDDEN);
    assert_eq!(get(&desk, "/overview", ""), StatusCode::FORBIDDEN);
    assert_eq!(get(&desk, "/metrics", ""), StatusCode::OK);
}

#[test]
fn over_tls_the_cookie_never_leaves_it() {
    let desk = desk(Some("t0ken"), true);
    let headers = [("Origin", "https://localhost:9127")];
    let answer = ask(&desk, Method::POST, "/login", &headers, "t0ken");
    let text = answer.headers()[SET_COOKIE].to_str().expect("a cookie");
    assert!(text.starts_with("__Host-portcullis-9127="), "{text}");
    for part in ["; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/;"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn whoever_asks_for_life_hears_what_is_stuck() {
    let desk = desk(None, false);
    let answer = ask(&desk, Method::GET, "/livez", &[], "");
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(answer), "stuck: worker-7\n");
}

#[test]
fn every_answer_says_what_browsers_must_not_do() {
    let desk = desk(Some("t0ken"), false);
    let cookie = given(&log_in(&desk, "t0ken"));
    for path in ["/", "/main.js", "/overview", "/livez", "/nothing"] {
        let answer = ask(&desk, Method::GET, path, &[("Cookie", &cookie)], "");
        let header = |name: &str| answer.headers().get(name).and_then(|it| it.to_str().ok());
        assert_eq!(header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(header("cross-origin-resource-policy"), Some("same-origin"));
    }
    let answer = ask(&desk, Method::GET, "/", &[], "");
    let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str();
    let policy = policy.expect("a policy");
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
}

#[test]
fn the_page_is_told_how_to_log_in() {
    let body = |desk: &Desk, cookie: &str| {
        text(ask(desk, Method::GET, "/login", &[("Cookie", cookie)], ""))
    };
    let by_token = desk(Some("t0ken"), false);
    assert_eq!(body(&by_token, ""), r#"{"way":"token","in":false}"#);
    let cookie = given(&log_in(&by_token, "t0ken"));
    assert_eq!(body(&by_token, &cookie), r#"{"way":"token","in":true}"#);
    assert_eq!(body(&desk(None, false), ""), r#"{"way":"none","in":false}"#);
}

#[test]
fn rows_are_asked_for_by_what_they_contain() {
    let desk = desk(Some("t0ken"), false);
    let bearer = [("Authorization", "Bearer t0ken")];
    let ask = |path| ask(&desk, Method::GET, path, &bearer, "");
    let answer = ask("/tables/pools?filter=a%20%C3%A4");
    assert_eq!(text(answer), "{\"wanted\":\"a ä\"}");
    let answer = ask("/tables/pools?filter=%ff");
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}
