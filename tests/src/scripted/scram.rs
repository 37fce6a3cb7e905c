//! SCRAM-SHA-256 (RFC 5802) in both roles, with OpenSSL's primitives alone: tests
//! must not judge the proxy by its own code, and must be able to lie.

use openssl::base64::{decode_block, encode_block};
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::sha::sha256;
use openssl::sign::Signer;
use testkit::Peer;
use testkit::peer::message;

/// The mechanism without channel binding.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// A nonce is only to be unlike others of the same login; these scripts make one login each.
const CLIENT_NONCE: &str = "nonce-of-a-scripted-client";

/// client-first-message, which claims no channel binding.
pub fn client_first() -> String {
    format!("n,,{}", client_first_bare())
}

fn client_first_bare() -> String {
    format!("n=,r={CLIENT_NONCE}")
}

/// SASLInitialResponse.
pub fn initial_response(mechanism: &str, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).expect("a short message");
    let body = [mechanism.as_bytes(), b"\0", &len.to_be_bytes(), data].concat();
    message::frame(b'p', &body)
}

/// client-final-message for this password, as SASLResponse.
#[track_caller]
pub fn client_final(server_first: &[u8], password: &str) -> Vec<u8> {
    let server_first = std::str::from_utf8(server_first).expect("text");
    let nonce = attribute(server_first, 'r');
    let salted = salted(
        password,
        &decode_block(&attribute(server_first, 's')).expect("base64 of a salt"),
        attribute(server_first, 'i')
            .parse()
            .expect("a count of iterations"),
    );
    let client_key = hmac(&salted, b"Client Key");
    let without_proof = format!("c=biws,r={nonce}");
    let exchange = format!("{},{server_first},{without_proof}", client_first_bare());
    let signature = hmac(&sha256(&client_key), exchange.as_bytes());
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(key, mask)| key ^ mask)
        .collect();
    let text = format!("{without_proof},p={}", encode_block(&proof));
    message::frame(b'p', text.as_bytes())
}

/// The verifier of a password, as `pg_authid.rolpassword` has it.
pub fn verifier(password: &str, salt: &[u8], iterations: u32) -> String {
    let salted = salted(password, salt, iterations);
    let stored = encode_block(&sha256(&hmac(&salted, b"Client Key")));
    let server = encode_block(&hmac(&salted, b"Server Key"));
    let salt = encode_block(salt);
    format!("SCRAM-SHA-256${iterations}:{salt}${stored}:{server}")
}

/// What a server does with a login; the variants other than `Honest` are attacks on the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Plays by the rules.
    Honest,
    /// Its nonce doesn't begin with the client's.
    ForeignNonce,
    /// Asks for so many iterations of PBKDF2.
    Iterations(u32),
    /// Its signature isn't made with the password.
    WrongSignature,
    /// AuthenticationOk before it proved that it knows the password.
    OkBeforeFinal,
}

/// Plays the server's part up to AuthenticationOk. A server that lies waits for its client to
/// leave, and gives `None`.
#[track_caller]
pub fn serve(peer: &mut Peer, password: &str, server: Server) -> Option<()> {
    peer.send(&request(10, b"SCRAM-SHA-256\0\0"));
    let initial = peer.expect_frame(b'p');
    // The client may say that it could bind the channel: "y,,".
    let first = text_after(&initial.body, b",,");
    let nonce = match server {
        Server::ForeignNonce => "another-nonce".to_owned(),
        _ => format!("{}-and-the-servers", attribute(&first, 'r')),
    };
    let iterations = match server {
        Server::Iterations(count) => count,
        _ => 4096,
    };
    let salt = b"sixteen bytes...";
    let server_first = format!("r={nonce},s={},i={iterations}", encode_block(salt));
    peer.send(&request(11, server_first.as_bytes()));
    if matches!(server, Server::ForeignNonce | Server::Iterations(_)) {
        peer.drain();
        return None;
    }
    let last = peer.expect_frame(b'p');
    let last = String::from_utf8_lossy(&last.body).into_owned();
    let (without_proof, _) = last.rsplit_once(",p=").expect("a proof");
    let exchange = format!("{first},{server_first},{without_proof}");
    let key = hmac(&salted(password, salt, iterations), b"Server Key");
    let verifier = |key: &[u8]| {
        let signature = hmac(key, exchange.as_bytes());
        request(12, format!("v={}", encode_block(&signature)).as_bytes())
    };
    match server {
        Server::WrongSignature => peer.send(&verifier(&[0; 32])),
        Server::OkBeforeFinal => {}
        _ => peer.send(&verifier(&key)),
    }
    let ok = peer.try_send(&message::AUTHENTICATION_OK);
    if server != Server::Honest {
        peer.drain();
        return None;
    }
    ok.ok()
}

/// An Authentication message of this kind.
pub fn request(kind: u32, data: &[u8]) -> Vec<u8> {
    message::frame(b'R', &[&kind.to_be_bytes(), data].concat())
}

fn text_after(bytes: &[u8], mark: &[u8]) -> String {
    let at = bytes.windows(mark.len()).position(|found| found == mark);
    let start = at.expect("a gs2 header") + mark.len();
    String::from_utf8_lossy(&bytes[start..]).into_owned()
}

#[track_caller]
fn attribute(text: &str, name: char) -> String {
    let found = text.split(',').find_map(|part| {
        let value = part.strip_prefix(name)?;
        value.strip_prefix('=')
    });
    found
        .unwrap_or_else(|| panic!("no {name}= in {text:?}"))
        .to_owned()
}

fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    let mut key = [0; 32];
    pbkdf2_hmac(
        password.as_bytes(),
        salt,
        iterations as usize,
        MessageDigest::sha256(),
        &mut key,
    )
    .expect("PBKDF2");
    key
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let key = PKey::hmac(key).expect("a key");
    let mut signer = Signer::new(MessageDigest::sha256(), &key).expect("HMAC");
    signer.sign_oneshot_to_vec(text).expect("HMAC")
}
