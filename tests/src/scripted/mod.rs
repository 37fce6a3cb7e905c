//! Sessions of scripted clients: logged in by hand, then free to send any bytes.

pub mod scram;

use std::sync::atomic::{AtomicU32, Ordering};

use testkit::peer::message;
use testkit::{Frame, Peer};

use crate::drivers::Endpoint;
use crate::stage::Stage;

/// A logged-in client.
pub struct Session {
    /// The connection.
    pub peer: Peer,
    /// BackendKeyData as it came, if it came.
    pub key: Option<Frame>,
    /// What else came between AuthenticationOk and ReadyForQuery.
    pub welcome: Vec<Frame>,
}

impl Session {
    /// Logs in to the proxy of this stage.
    #[track_caller]
    pub fn through(stage: &Stage, endpoint: &Endpoint) -> Self {
        let peer = Peer::tls(stage.proxy.address(), &stage.client_tls());
        Self::begin(peer, endpoint)
    }

    /// Logs in over this connection with SCRAM, protocol 3.0.
    #[track_caller]
    pub fn begin(mut peer: Peer, endpoint: &Endpoint) -> Self {
        peer.send(&startup(endpoint));
        prove(&mut peer, &endpoint.password);
        Self::settle(peer)
    }

    /// Reads from AuthenticationOk to ReadyForQuery.
    #[track_caller]
    pub fn settle(mut peer: Peer) -> Self {
        let ok = peer.frame();
        assert_eq!(ok.bytes(), message::AUTHENTICATION_OK, "{}", said(&ok));
        let mut welcome = peer.until_ready();
        let key = welcome.iter().position(|frame| frame.tag == b'K');
        let key = key.map(|at| welcome.remove(at));
        Self { peer, key, welcome }
    }

    /// Runs a query; panics on an ErrorResponse.
    #[track_caller]
    pub fn query(&mut self, text: &str) -> Vec<Frame> {
        self.peer.send(&message::query(text));
        self.peer.until_ready()
    }

    /// The single value that a query gives.
    #[track_caller]
    pub fn value(&mut self, text: &str) -> String {
        let frames = self.query(text);
        let row = frames.iter().find(|frame| frame.tag == b'D');
        // Count of columns, length of the first, its bytes.
        String::from_utf8_lossy(&row.expect("a row").body[6..]).into_owned()
    }

    /// The server's process id.
    #[track_caller]
    pub fn process_id(&mut self) -> u32 {
        let id = self.value("SELECT pg_backend_pid()");
        id.parse().expect("a process id")
    }
}

/// A session that must not notice what happens to others of the same proxy.
pub struct Bystander(Session);

impl Bystander {
    /// Logs in.
    #[track_caller]
    pub fn new(stage: &Stage, endpoint: &Endpoint) -> Self {
        Self(Session::through(stage, endpoint))
    }

    /// Fails the test unless the session still does its work, with its own answers.
    #[track_caller]
    pub fn is_well(&mut self) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        assert_eq!(self.0.value(&format!("SELECT {number}")), number);
    }
}

/// StartupMessage of protocol 3.0 for the endpoint's role and database.
pub fn startup(endpoint: &Endpoint) -> Vec<u8> {
    message::startup(&[("user", &endpoint.user), ("database", &endpoint.database)])
}

/// SCRAM from the server's offer to its final message.
#[track_caller]
pub fn prove(peer: &mut Peer, password: &str) {
    offer_proof(peer, password);
    let last = peer.expect_frame(b'R');
    assert_eq!(last.body[..4], [0, 0, 0, 12], "{}", said(&last));
}

/// SCRAM from the server's offer to the client's proof.
#[track_caller]
pub fn offer_proof(peer: &mut Peer, password: &str) {
    let offer = peer.frame();
    answer_offer(peer, &offer, password);
}

/// SCRAM from the client's first message to its proof, the server's offer having been read.
#[track_caller]
pub fn answer_offer(peer: &mut Peer, offer: &Frame, password: &str) {
    assert_eq!(offer.tag, b'R', "{}", said(offer));
    assert_eq!(offer.body[..4], [0, 0, 0, 10], "{}", said(offer));
    let first = scram::client_first();
    peer.send(&scram::initial_response(scram::MECHANISM, first.as_bytes()));
    let challenge = peer.expect_frame(b'R');
    assert_eq!(challenge.body[..4], [0, 0, 0, 11], "{}", said(&challenge));
    peer.send(&scram::client_final(&challenge.body[4..], password));
}

fn said(frame: &Frame) -> String {
    match frame.tag {
        b'E' => frame.error_text(),
        _ => frame.bytes().escape_ascii().to_string(),
    }
}

/// Frames out of bytes that were read to the end; panics where they break off.
#[track_caller]
pub fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Some((&tag, tail)) = rest.split_first() {
        let (len, tail) = tail.split_first_chunk().expect("a length field");
        let len = u32::from_be_bytes(*len) as usize - 4;
        assert!(len <= tail.len(), "a broken {:?}", char::from(tag));
        let (body, tail) = tail.split_at(len);
        frames.push(Frame {
            tag,
            body: body.to_vec(),
        });
        rest = tail;
    }
    frames
}
