//! A library's client that offers one thing at a time: what the listener takes is what it should.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslStream, SslVerifyMode, SslVersion,
};

use testkit::peer::message::SSL_REQUEST;

use crate::{Begin, address, beginnings, is_well};

/// The suites of TLS 1.2 that Mozilla's "intermediate" leaves, without finite-field Diffie-Hellman.
const SUITES: [&str; 6] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

/// A client that would agree to anything.
fn reckless() -> SslContextBuilder {
    let mut context = SslContext::builder(SslMethod::tls_client()).expect("a context");
    context.set_security_level(0);
    context.set_verify(SslVerifyMode::NONE);
    context
        .set_cipher_list("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
        .expect("all suites");
    context
}

/// Shakes hands; `None` if the listener would not.
fn shake(begin: Begin, mut context: SslContextBuilder) -> Option<SslStream<TcpStream>> {
    let mut stream = TcpStream::connect(address()).expect("a TCP connection");
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).expect("a deadline");
    match begin {
        Begin::Asked => {
            stream.write_all(&SSL_REQUEST).expect("SSLRequest");
            let mut answer = [0];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(answer, *b"S");
        }
        Begin::Direct => context.set_alpn_protos(b"\x0apostgresql").expect("ALPN"),
    }
    let ssl = Ssl::new(&context.build()).expect("a connection");
    ssl.connect(stream).ok()
}

/// Offers this version alone.
fn only(version: SslVersion) -> SslContextBuilder {
    let mut context = reckless();
    let lowest = context.set_min_proto_version(Some(version));
    lowest
        .and_then(|()| context.set_max_proto_version(Some(version)))
        .expect("a version");
    context
}

/// Names of all suites of TLS 1.2 and below that the library knows, null ones included.
fn known_suites() -> Vec<String> {
    let output = Command::new("openssl")
        .args(["ciphers", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"])
        .output()
        .expect("the openssl program");
    let text = String::from_utf8(output.stdout).expect("names");
    let names = text.trim().split(':').map(str::to_owned);
    names.filter(|it| !it.starts_with("TLS_")).collect()
}

#[test]
fn the_suites_of_tls_1_2_are_the_good_ones() {
    let known = known_suites();
    assert!(known.len() > 30 && known.iter().any(|it| it.contains("NULL")));
    for begin in beginnings() {
        let takes = |suite: &&String| {
            let mut context = only(SslVersion::TLS1_2);
            context
                .set_cipher_list(&format!("{suite}:@SECLEVEL=0"))
                .expect("a suite");
            shake(*begin, context).is_some()
        };
        let taken: BTreeSet<&str> = known.iter().filter(takes).map(String::as_str).collect();
        // The listener's key is of one kind, so half of them.
        let fitting: BTreeSet<&str> = SUITES
            .into_iter()
            .filter(|it| it.contains("-ECDSA-"))
            .collect();
        assert_eq!(taken, fitting, "{begin:?}");
    }
    is_well();
}

#[test]
fn the_suites_of_tls_1_3_are_the_three_of_the_profile() {
    for begin in beginnings() {
        for (suite, taken) in [
            ("TLS_AES_128_GCM_SHA256", true),
            ("TLS_AES_256_GCM_SHA384", true),
            ("TLS_CHACHA20_POLY1305_SHA256", true),
            ("TLS_AES_128_CCM_SHA256", false),
            ("TLS_AES_128_CCM_8_SHA256", false),
        ] {
            let mut context = only(SslVersion::TLS1_3);
            context.set_ciphersuites(suite).expect("a suite");
            let stream = shake(*begin, context);
            assert_eq!(stream.is_some(), taken, "{suite}");
            let cipher = stream.and_then(|it| it.ssl().current_cipher().map(|it| it.name()));
            assert_eq!(cipher, taken.then_some(suite));
        }
    }
}

/// The listener, not the client, chooses: a client that prefers the slowest still gets the first.
#[test]
fn the_listener_chooses_the_suite() {
    let mut context = only(SslVersion::TLS1_2);
    context
        .set_cipher_list("ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256")
        .expect("suites");
    let stream = shake(Begin::Asked, context).expect("a handshake");
    let cipher = stream.ssl().current_cipher().expect("a cipher");
    assert_eq!(cipher.name(), "ECDHE-ECDSA-AES128-GCM-SHA256");
}

#[test]
fn key_exchange_groups_are_strong() {
    const GOOD: [&str; 4] = ["X25519", "P-256", "P-384", "P-521"];
    const WEAK: [&str; 4] = ["secp224r1", "secp256k1", "brainpoolP256r1", "ffdhe2048"];
    let takes = |version, group| {
        let mut context = only(version);
        // What the library doesn't know it can't offer.
        context.set_groups_list(group).is_ok() && shake(Begin::Asked, context).is_some()
    };
    for group in GOOD {
        assert!(takes(SslVersion::TLS1_3, group), "{group}");
    }
    for group in WEAK {
        assert!(!takes(SslVersion::TLS1_3, group), "{group}");
        assert!(!takes(SslVersion::TLS1_2, group), "{group}");
    }
    // In TLS 1.2 the group of the certificate's key has to be offered, too.
    assert!(takes(SslVersion::TLS1_2, "P-256"));
}

/// SLOTH and friends: no signature over SHA-1 or MD5.
#[test]
fn no_signatures_over_broken_hashes() {
    for (signatures, taken) in [
        ("ECDSA+SHA256", true),
        ("ECDSA+SHA1", false),
        ("RSA+SHA1:ECDSA+SHA1", false),
    ] {
        let mut context = only(SslVersion::TLS1_2);
        context.set_sigalgs_list(signatures).expect("signatures");
        assert_eq!(
            shake(Begin::Asked, context).is_some(),
            taken,
            "{signatures}"
        );
    }
}

/// The `openssl` program as a client that says goodbye at once; what it printed.
fn s_client(arguments: &[&str]) -> String {
    let address = address().to_string();
    let output = Command::new("openssl")
        .args(["s_client", "-starttls", "postgres", "-connect", &address])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the openssl program");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Neither tickets nor kept sessions: a stolen ticket key would open recorded traffic.
#[test]
fn nothing_to_resume() {
    let directory = tempfile::tempdir().expect("a directory");
    let kept = directory.path().join("session.pem");
    let kept = kept.to_str().expect("a path of text");
    for version in ["-tls1_2", "-tls1_3"] {
        let first = s_client(&[version, "-sess_out", kept]);
        assert!(first.contains("New, TLSv1."), "{version}");
        assert!(!first.contains("TLS session ticket:"), "{version}");
        // TLS 1.2 has a session even where the server will not know it again.
        if std::fs::exists(kept).expect("a directory") {
            let second = s_client(&[version, "-sess_in", kept]);
            assert!(second.contains("New, TLSv1."), "{version}");
            std::fs::remove_file(kept).expect("the session's file");
        }
    }
}

/// RFC 5746 is spoken, RFC 7627 is used, nothing is compressed, no early data is invited.
#[test]
fn what_a_scanner_reads_of_the_handshake() {
    let old = s_client(&["-tls1_2"]);
    for line in [
        "Secure Renegotiation IS supported",
        "Compression: NONE",
        "Expansion: NONE",
        "Extended master secret: yes",
    ] {
        assert!(old.contains(line), "{line}");
    }
    let new = s_client(&["-tls1_3"]);
    assert!(new.contains("Early data was not sent"));
}
