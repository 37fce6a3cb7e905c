//! Requests to a server that answers by script: what comes back, and what doesn't.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

use fetch::{Answer, Bounds, Fault, Identity, Request, Trust, Url, fetch, header};
use std::time::Duration;
use testkit::{Authority, Identity as Named, Peer, ScriptedServer, ServerTls};

const BOUNDS: Bounds = Bounds {
    deadline: Duration::from_secs(20),
    body_max: 1000,
};

fn ask(url: &str, trust: &Trust, request: Request, bounds: Bounds) -> Result<Answer, Fault> {
    let url: Url = url.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(fetch(&url, trust, request, bounds))
}

/// Reads a request of so many bytes behind its head; gives the head.
fn request(peer: &mut Peer, body: usize) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.extend(peer.bytes(1));
    }
    peer.bytes(body);
    String::from_utf8(read).unwrap()
}

/// A server behind a certificate of this authority for localhost, that says this to everybody.
fn server(authority: &Authority, answer: &'static [u8]) -> ScriptedServer {
    let tls = ServerTls::new(&authority.issue(&Named::localhost()));
    ScriptedServer::start(move |peer: Peer| {
        if let Ok(mut peer) = peer.try_accept(&tls) {
            request(&mut peer, 0);
            let _ = peer.try_send(answer);
            peer.close();
        }
    })
}

#[test]
fn answers_are_taken_within_their_bounds() {
    let authority = Authority::new("Fetched");
    let trust = Trust::new(Some(authority.pem()), None).unwrap();
    let long: &'static [u8] = Box::leak(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{}",
            "x".repeat(1001)
        )
        .into_bytes()
        .into_boxed_slice(),
    );
    let head: &'static [u8] = Box::leak(
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20))
            .into_bytes()
            .into_boxed_slice(),
    );
    for (answer, wanted) in [
        (
            &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"[..],
            Some((200, "hi")),
        ),
        (
            b"HTTP/1.1 200 OK\r\n\r\nto the end",
            Some((200, "to the end")),
        ),
        (
            b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            Some((503, "abc")),
        ),
        // A redirect is an answer like others: nobody goes there.
        (
            b"HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n",
            Some((302, "")),
        ),
        (long, None),
        (head, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", None),
        (b"220 mail.example ESMTP\r\n\r\n", None),
        (b"", None),
    ] {
        let server = server(&authority, answer);
        let url = format!("https://localhost:{}/x", server.address().port());
        let found = ask(&url, &trust, Request::get(), BOUNDS);
        let parts = found.as_ref().ok();
        let parts = parts.map(|it| (it.status, std::str::from_utf8(&it.body).unwrap()));
        let said = String::from_utf8_lossy(&answer[..answer.len().min(60)]);
        assert_eq!(parts, wanted, "{said}: {found:?}");
        if answer.len() == long.len() {
            assert!(
                matches!(found, Err(Fault::TooLong { most: 1000, .. })),
                "{found:?}"
            );
        }
    }
}

#[test]
fn a_server_has_to_prove_who_it_is() {
    let (authority, other) = (Authority::new("Right"), Authority::new("Wrong"));
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let right = Trust::new(Some(authority.pem()), None).unwrap();
    let wrong = Trust::new(Some(other.pem()), None).unwrap();
    let server = server(&authority, ok);
    let port = server.address().port();
    let url = |host: &str| format!("https://{host}:{port}/");
    assert!(
        ask(&url("localhost"), &right, Request::get(), BOUNDS)
            .unwrap()
            .is_success()
    );
    assert!(
        ask(&url("127.0.0.1"), &right, Request::get(), BOUNDS)
            .unwrap()
            .is_success()
    );
    for (host, trust) in [
        ("localhost", &wrong),
        ("localhost", &Trust::new(None, None).unwrap()),
    ] {
        let fault = ask(&url(host), trust, Request::get(), BOUNDS).unwrap_err();
        assert!(
            fault.to_string().contains("its certificate is not good"),
            "{fault}"
        );
    }
    // Another name than those of the certificate, at the same address.
    let named = Authority::new("Named");
    let tls = ServerTls::new(&named.issue(&Named::server(&["other.example"])));
    let server = ScriptedServer::start(move |peer: Peer| drop(peer.try_accept(&tls)));
    let trust = Trust::new(Some(named.pem()), None).unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let url = format!("https://{host}:{}/", server.address().port());
        let fault = ask(&url, &trust, Request::get(), BOUNDS).unwrap_err();
        assert!(fault.to_string().contains("mismatch"), "{fault}");
    }
    // No TLS at all.
    let server = ScriptedServer::start(move |mut peer: Peer| {
        let _ = peer.try_send(ok);
        peer.close();
    });
    let url = format!("https://localhost:{}/", server.address().port());
    let fault = ask(&url, &right, Request::get(), BOUNDS).unwrap_err();
    assert!(matches!(fault, Fault::Tls { .. }), "{fault}");
}

#[test]
fn a_request_is_what_it_was_told_and_shows_no_secret() {
    let authority = Authority::new("Asked");
    let tls = ServerTls::new(&authority.issue(&Named::localhost()));
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let server = ScriptedServer::start(move |peer: Peer| {
        let mut peer = peer.accept(&tls);
        let head = request(&mut peer, 5);
        tell.lock().unwrap().send(head).unwrap();
        peer.send(b"HTTP/1.1 204 Done\r\n\r\n");
        peer.close();
    });
    let trust = Trust::new(Some(authority.pem()), None).unwrap();
    let request = Request::post("hello")
        .with(header::AUTHORIZATION, b"Bearer s3cret", true)
        .unwrap();
    assert!(!format!("{request:?}").contains("s3cret"));
    assert!(
        Request::get()
            .with(header::ACCEPT, b"a\nb", false)
            .is_none()
    );
    let port = server.address().port();
    let url = format!("https://localhost:{port}/hook?a=b");
    assert_eq!(ask(&url, &trust, request, BOUNDS).unwrap().status, 204);
    let head = told.recv_timeout(BOUNDS.deadline).unwrap();
    assert!(head.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{head}");
    for line in [
        format!("host: localhost:{port}"),
        "authorization: Bearer s3cret".to_owned(),
        "content-length: 5".to_owned(),
        "connection: close".to_owned(),
    ] {
        assert!(head.lines().any(|it| it == line), "{line}: {head}");
    }
}

#[test]
fn nobody_waits_longer_than_the_deadline() {
    let authority = Authority::new("Late");
    let trust = Trust::new(Some(authority.pem()), None).unwrap();
    let bounds = Bounds {
        deadline: Duration::from_millis(200),
        ..BOUNDS
    };
    let server = ScriptedServer::start(|mut peer: Peer| {
        peer.end();
    });
    let url = format!("https://localhost:{}/", server.address().port());
    let fault = ask(&url, &trust, Request::get(), bounds).unwrap_err();
    assert!(matches!(fault, Fault::Late { .. }), "{fault}");
    let fault = ask("https://localhost:1/", &trust, Request::get(), BOUNDS).unwrap_err();
    assert!(matches!(fault, Fault::Connect { port: 1, .. }), "{fault}");
    let fault = ask("https://nowhere.invalid/", &trust, Request::get(), BOUNDS).unwrap_err();
    assert!(matches!(fault, Fault::LookUp { .. }), "{fault}");
}

#[test]
fn files_that_are_no_trust_are_refused() {
    assert!(Trust::new(Some(b"no certificate"), None).is_err());
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (Authority::new("One"), Authority::new("Other"));
    let files = one.issue_client("app", &[]).write(directory.path(), "one");
    let others = other
        .issue_client("app", &[])
        .write(directory.path(), "other");
    let pair = |certificate, private_key| Identity {
        certificate,
        private_key,
    };
    assert!(Trust::new(None, Some(pair(&files.certificate, &files.private_key))).is_ok());
    assert!(Trust::new(None, Some(pair(&files.certificate, &others.private_key))).is_err());
}
