//! What the guard lets in, as tables.

use super::*;

const GET: Head<'_> = Head {
    method: "GET",
    path: "/metrics",
    host: Some("127.0.0.1:9127"),
    origin: None,
    fetch_site: None,
    authorization: None,
    logged_in: false,
};

fn open() -> Rules {
    Rules {
        encrypted: false,
        knows_clients: false,
        hosts: vec!["db.example".to_owned()],
        token: None,
    }
}

fn by_token() -> Rules {
    Rules {
        token: Some(Secret::new(b"t0ken")),
        ..open()
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
        let origin = (method == "POST").then_some(&b"http://127.0.0.1:9127"[..]);
        by_token().judge(Head {
            method,
            path,
            origin,
            logged_in: true,
            ..GET
        })
    };
    assert_eq!(judge("GET", "/metrics"), Ok(Page::Metrics));
    assert_eq!(judge("HEAD", "/livez"), Ok(Page::Live));
    assert_eq!(judge("GET", "/readyz"), Ok(Page::Ready));
    assert_eq!(judge("GET", "/overview"), Ok(Page::Overview));
    assert_eq!(judge("GET", "/times"), Ok(Page::PoolTimes));
    assert_eq!(judge("GET", "/times/00ff"), Ok(Page::PatternTimes(255)));
    assert_eq!(judge("GET", "/tables/pools"), Ok(Page::Table("pools")));
    assert_eq!(judge("GET", "/login"), Ok(Page::Login));
    assert_eq!(judge("POST", "/login"), Ok(Page::Login));
    assert_eq!(judge("POST", "/logout"), Ok(Page::Logout));
    assert!(matches!(judge("GET", "/"), Ok(Page::Asset(_))));
    for (method, path) in [
        ("POST", "/livez"),
        ("DELETE", "/login"),
        ("POST", "/tables/pools"),
        ("POST", "/"),
    ] {
        let verdict = judge(method, path);
        assert!(
            matches!(verdict, Err(Refused::Method(_) | Refused::FromAPage)),
            "{method} {path}: {verdict:?}"
        );
    }
    assert_eq!(judge("GET", "/logout"), Err(Refused::Method("POST")));
    for path in [
        "/metrics/",
        "/tables/",
        "/tables/config",
        "/tables/POOLS",
        "/times/",
        "/times/xyz",
        "/times/00112233445566778",
        "/../etc/passwd",
        "//",
    ] {
        assert_eq!(judge("GET", path), Err(Refused::NoSuchPage), "{path}");
    }
}

#[test]
fn pages_of_others_get_nothing() {
    let rules = by_token();
    let judge = |path, method, origin: Option<&str>, site: Option<&str>| {
        let head = Head {
            path,
            method,
            origin: origin.map(str::as_bytes),
            fetch_site: site.map(str::as_bytes),
            logged_in: true,
            ..GET
        };
        rules.judge(head) != Err(Refused::FromAPage)
    };
    let own = Some("http://127.0.0.1:9127");
    let other = Some("http://evil.example");
    let near = Some("http://127.0.0.1:80");
    for (path, method, origin, site, passes) in [
        ("/metrics", "GET", None, None, true),
        ("/metrics", "GET", own, None, false),
        ("/metrics", "GET", None, Some("none"), true),
        ("/metrics", "GET", None, Some("cross-site"), false),
        ("/activity", "GET", None, Some("same-site"), false),
        ("/overview", "GET", None, Some("same-origin"), true),
        ("/overview", "GET", own, Some("same-origin"), true),
        ("/overview", "GET", other, None, false),
        ("/overview", "GET", near, None, false),
        ("/overview", "GET", Some("null"), None, false),
        ("/tables/clients", "GET", None, Some("cross-site"), false),
        ("/", "GET", None, Some("cross-site"), true),
        ("/", "GET", other, None, false),
        ("/login", "POST", own, Some("same-origin"), true),
        ("/login", "POST", own, None, true),
        ("/login", "POST", None, None, false),
        ("/login", "POST", other, None, false),
        ("/login", "POST", own, Some("cross-site"), false),
        ("/logout", "POST", None, Some("same-origin"), false),
        ("/logout", "POST", own, Some("same-origin"), true),
        ("/nothing", "GET", other, None, false),
    ] {
        let verdict = judge(path, method, origin, site);
        assert_eq!(verdict, passes, "{method} {path} {origin:?} {site:?}");
    }
}

#[test]
fn a_page_in_the_clear_is_not_ours_where_there_is_tls() {
    let rules = Rules {
        encrypted: true,
        ..by_token()
    };
    for (origin, right) in [
        ("https://127.0.0.1:9127", true),
        ("http://127.0.0.1:9127", false),
    ] {
        let head = Head {
            method: "POST",
            path: "/login",
            origin: Some(origin.as_bytes()),
            ..GET
        };
        assert_eq!(rules.judge(head).is_ok(), right, "{origin}");
    }
}

#[test]
fn the_token_opens_metrics_and_health_needs_none() {
    let rules = by_token();
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
    for path in ["/livez", "/", "/login"] {
        assert!(rules.judge(Head { path, ..GET }).is_ok(), "{path}");
    }
}

#[test]
fn names_and_statements_are_for_those_who_proved_who_they_are() {
    for path in [
        "/activity",
        "/patterns",
        "/events",
        "/overview",
        "/times",
        "/times/1",
        "/tables/clients",
        "/tables/rules",
    ] {
        let head = Head { path, ..GET };
        assert_eq!(open().judge(head), Err(Refused::Unproved), "{path}");
        let in_vain = Head {
            logged_in: true,
            ..head
        };
        assert_eq!(open().judge(in_vain), Err(Refused::Unproved), "{path}");
        let by_certificate = Rules {
            knows_clients: true,
            ..open()
        };
        assert!(by_certificate.judge(head).is_ok(), "{path}");
        assert_eq!(by_token().judge(head), Err(Refused::Token), "{path}");
        let authorization = Some(&b"Bearer t0ken"[..]);
        let with_token = Head {
            authorization,
            ..head
        };
        assert!(by_token().judge(with_token).is_ok(), "{path}");
        assert!(by_token().judge(in_vain).is_ok(), "{path}");
    }
}

#[test]
fn nobody_has_the_token_where_there_is_none() {
    assert!(!open().is_token(b""));
    assert_eq!(open().way(), Way::None);
    assert!(by_token().is_token(b"t0ken"));
}
