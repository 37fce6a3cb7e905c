//! Lies before the server has proved anything, and silence.

use super::*;

#[test]
fn lies_before_tls() {
    let no_tls: Script = |_, mut peer| {
        peer.expect(&message::SSL_REQUEST);
        peer.send(b"N");
        until_left(peer);
    };
    let refused = || Client::Refused("57P03", "the server refused TLS");
    let cases = [
        case(
            "no-tls",
            no_tls,
            refused(),
            "server: the server refused TLS",
        ),
        Case {
            mode: "require",
            ..case(
                "no-tls-require",
                no_tls,
                refused(),
                "server: the server refused TLS",
            )
        },
        case(
            "injected",
            |_, mut peer| {
                peer.expect(&message::SSL_REQUEST);
                peer.send(&[b"S", &message::error("FATAL", "28000", INJECTED)[..]].concat());
                until_left(peer);
            },
            Client::Refused("57P03", "unencrypted bytes"),
            "server: the server sent unencrypted bytes",
        ),
        case(
            "error-before-tls",
            |_, mut peer| {
                peer.expect(&message::SSL_REQUEST);
                peer.send(&message::error("FATAL", "28000", INJECTED));
                until_left(peer);
            },
            refused(),
            "server: the server refused TLS",
        ),
        case(
            "neither-s-nor-n",
            |_, mut peer| {
                peer.expect(&message::SSL_REQUEST);
                peer.send(b"G");
                until_left(peer);
            },
            refused(),
            "server: the server refused TLS",
        ),
        case(
            "closes-at-once",
            |_, peer| peer.cut(),
            Client::Refused("57P03", "can't reach the server"),
            "server: ",
        ),
        case(
            "no-tls-behind-s",
            |_, mut peer| {
                peer.expect(&message::SSL_REQUEST);
                peer.send(b"S");
                peer.bytes(1);
                peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                until_left(peer);
            },
            Client::Refused("57P03", "TLS"),
            "server: connecting: TLS: the peer does not speak TLS here",
        ),
    ];
    play(&cases);
}

#[test]
fn wrong_certificates() {
    fn present(certificate: &Certificate, peer: Peer) {
        let mut peer = peer;
        peer.expect(&message::SSL_REQUEST);
        peer.send(b"S");
        // TLS 1.3 ends for the server before the client has judged its certificate.
        if let Ok(peer) = peer.try_accept(&ServerTls::new(certificate)) {
            until_left(peer);
        }
    }
    let foreign: Script = |_, peer| {
        let authority = Authority::new("hostile servers");
        present(&authority.issue(&Identity::localhost()), peer);
    };
    let elsewhere: Script = |props, peer| {
        let identity = Identity::server(&["elsewhere.example"]);
        present(&props.authority.issue(&identity), peer);
    };
    let expired: Script = |props, peer| {
        let identity = Identity::localhost();
        let expired = Lifetime::Expired;
        present(
            &props
                .authority
                .issue_with(&identity, KeyKind::EcdsaP256, expired),
            peer,
        );
    };
    let refused = || Client::Refused("57P03", "TLS");
    let log = "server: connecting: TLS: the peer's certificate was refused";
    let cases = [
        case("foreign", foreign, refused(), log),
        case(
            "elsewhere",
            elsewhere,
            refused(),
            "the certificate is for: elsewhere.example",
        ),
        case("expired", expired, refused(), log),
        Case {
            mode: "verify-ca",
            ..case("foreign-verify-ca", foreign, refused(), log)
        },
    ];
    play(&cases);
}

#[test]
fn servers_that_say_nothing() {
    let refused = || Client::Refused("57P03", "server_connect_timeout");
    let log = "server: server_connect_timeout passed";
    let cases = [
        case("silent", |_, peer| until_left(peer), refused(), log),
        case(
            "silent-behind-s",
            |_, mut peer| {
                peer.expect(&message::SSL_REQUEST);
                peer.send(b"S");
                until_left(peer);
            },
            refused(),
            log,
        ),
        case(
            "silent-inside-tls",
            |props, peer| until_left(props.secured(peer)),
            refused(),
            log,
        ),
        case(
            "silent-behind-ok",
            |props, peer| {
                let mut peer = props.secured(peer);
                peer.send(&message::AUTHENTICATION_OK);
                until_left(peer);
            },
            refused(),
            log,
        ),
        case(
            "half-a-message",
            |props, peer| {
                let mut peer = props.secured(peer);
                peer.send(b"R\0\0\0");
                until_left(peer);
            },
            refused(),
            log,
        ),
    ];
    play(&cases);
}
