//! libssl on both ends, in memory.

mod certificates;
mod data;
mod handshakes;
mod hostile;
mod hygiene;
mod matrix;
mod rehearsals;
mod revocation;
mod upkeep;
mod verification;

use crate::context::{
    ClientCertificates, Clock, Identity, KeySource, ListenerContext, ListenerSettings, Roots,
    ServerContext, ServerMode, ServerSettings, Source,
};
use crate::engine::{Engine, Handshake, Received};
use crate::fault::TlsFault;
use crate::mint::{Authority, KeyKind, Leaf, Minted, Usage, Validity};
use crate::name::ServerName;
use crate::profile::{MaximumVersion, Profile};
use buf::{Cipher, Plain};
use std::time::{SystemTime, UNIX_EPOCH};

pub const DAY_S: i64 = 86_400;

/// libssl judges certificates by its own clock, so these tests have to begin with it.
pub fn now_unix_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// A client that we did not configure.
pub fn foreign(change: impl FnOnce(&mut openssl::ssl::SslContextBuilder)) -> ServerContext {
    let method = openssl::ssl::SslMethod::tls_client();
    let mut builder = openssl::ssl::SslContextBuilder::new(method).unwrap();
    builder.set_security_level(0);
    change(&mut builder);
    let mut context = server(ServerMode::Require, None, false);
    context.context = builder.build();
    context
}

pub fn clock() -> Clock {
    Clock::new(now_unix_s)
}

pub fn days(from: i64, until: i64) -> Validity {
    Validity {
        not_before_unix_s: now_unix_s() + from * DAY_S,
        not_after_unix_s: now_unix_s() + until * DAY_S,
    }
}

pub fn authority(key: KeyKind) -> Authority {
    Authority::create("Test authority", days(-1, 100), key).unwrap()
}

pub fn issue(authority: &Authority, key: KeyKind, usage: Usage) -> Minted {
    let leaf = Leaf {
        common_name: "db.example",
        dns: &["db.example", "*.wild.example"],
        ip: &["127.0.0.1".parse().unwrap()],
        usage,
        validity: days(-1, 60),
        key,
    };
    authority.issue(&leaf).unwrap()
}

pub fn identity(minted: &Minted) -> Identity {
    Identity::new(
        Source::Pem(minted.certificate.clone()),
        KeySource::Pem(minted.private_key.clone()),
    )
}

pub fn roots(authority: &Authority) -> Roots {
    Roots::Given(vec![root(authority)])
}

pub fn root(authority: &Authority) -> Source {
    Source::Pem(authority.minted().certificate.clone())
}

pub fn listener(minted: &Minted, clients: ClientCertificates) -> ListenerContext {
    let settings = ListenerSettings {
        clients,
        ..ListenerSettings::new(identity(minted), clock())
    };
    ListenerContext::build(&settings, now_unix_s()).unwrap()
}

pub fn server(mode: ServerMode, client: Option<&Minted>, tls12: bool) -> ServerContext {
    let mut profile = Profile::default();
    if tls12 {
        profile.maximum = MaximumVersion::Tls12;
    }
    let settings = ServerSettings {
        mode,
        crl: None,
        identity: client.map(identity),
        profile,
    };
    ServerContext::build(&settings, now_unix_s()).unwrap()
}

/// One end: an engine with its buffers.
pub struct End {
    pub engine: Engine,
    pub input: Cipher,
    pub output: Cipher,
    pub plain_in: Plain,
    pub plain_out: Plain,
}

impl End {
    pub fn new(engine: Engine) -> End {
        End {
            engine,
            input: Cipher::with_capacity(64 * 1024),
            output: Cipher::with_capacity(64 * 1024),
            plain_in: Plain::with_capacity(64 * 1024),
            plain_out: Plain::with_capacity(64 * 1024),
        }
    }

    pub fn shake(&mut self) -> Result<Handshake, TlsFault> {
        self.engine.handshake(&mut self.input, &mut self.output)
    }

    pub fn receive(&mut self) -> Result<Received, TlsFault> {
        self.engine
            .receive(&mut self.input, &mut self.plain_in, &mut self.output)
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<(), TlsFault> {
        self.plain_out.push(bytes).unwrap();
        self.engine.send(&mut self.plain_out, &mut self.output)
    }

    /// Everything that has arrived, decrypted.
    #[track_caller]
    pub fn take(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let received = self.receive().unwrap();
            all.extend_from_slice(self.plain_in.bytes());
            self.plain_in.clear();
            if received != Received::More {
                return all;
            }
        }
    }
}

pub struct Pair {
    pub client: End,
    pub server: End,
}

/// What each side said in the end.
#[derive(Debug)]
pub struct Outcome {
    pub client: Result<(), TlsFault>,
    pub server: Result<(), TlsFault>,
}

impl Pair {
    pub fn new(listener: &ListenerContext, context: &ServerContext, host: &str) -> Pair {
        let host = ServerName::parse(host).unwrap();
        Pair {
            client: End::new(Engine::connect(context, &host).unwrap()),
            server: End::new(Engine::accept(listener).unwrap()),
        }
    }

    /// Carries up to `count` bytes each way.
    pub fn carry(&mut self, count: usize) -> usize {
        let to_server = self.client.output.pour(count, &mut self.server.input);
        let to_client = self.server.output.pour(count, &mut self.client.input);
        to_server + to_client
    }

    /// Shakes hands, carrying up to `chop` bytes at a time, until both are done or failed.
    pub fn handshake(&mut self, chop: usize) -> Outcome {
        let mut outcome = [None, None];
        loop {
            for (end, outcome) in [&mut self.client, &mut self.server]
                .into_iter()
                .zip(&mut outcome)
            {
                if outcome.is_none() {
                    match end.shake() {
                        Ok(Handshake::Reading) => {}
                        Ok(Handshake::Done) => *outcome = Some(Ok(())),
                        Err(fault) => *outcome = Some(Err(fault)),
                    }
                }
            }
            if self.carry(chop) == 0 {
                let [client, server] = outcome;
                let stuck = Err(TlsFault::Truncated);
                return Outcome {
                    client: client.unwrap_or(stuck.clone()),
                    server: server.unwrap_or(stuck),
                };
            }
        }
    }

    /// A pair that trusts each other and has shaken hands.
    pub fn ready(tls12: bool) -> Pair {
        let authority = authority(KeyKind::EcdsaP256);
        let minted = issue(&authority, KeyKind::EcdsaP256, Usage::Server);
        let listener = listener(&minted, ClientCertificates::Off);
        let context = server(ServerMode::VerifyFull(roots(&authority)), None, tls12);
        let mut pair = Pair::new(&listener, &context, "db.example");
        let outcome = pair.handshake(usize::MAX);
        assert!(
            outcome.client.is_ok() && outcome.server.is_ok(),
            "{outcome:?}"
        );
        pair
    }
}
