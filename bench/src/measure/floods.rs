//! What a bystander on the same worker waits for its answers while clients flood the proxy with what
//! costs much and says nothing.
//!
//! Portcullis has one worker here, as PgBouncer has one process. Floods come from clients of the same
//! machine, so that a part of what the bystander waits is the floods' own work.

use super::order;
use crate::contender::{BOTH, Contender, Instrument, Upstream};
use crate::load::pause;
use crate::options::Options;
use crate::report::{Report, Table, Target};
use crate::scene::Scene;
use crate::stats::percentile;
use e2e::storm::{self, PASSWORD, ROLE};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use testkit::ClientTls;
use testkit::peer::message;
use testkit::peer::records::{ALERT, APPLICATION_DATA, ClientSecret, USER_CANCELED};

/// Flooding clients at once; one that is cut comes back.
const FLOODERS: usize = 2;
/// Pause between two questions of the bystander.
const PAUSE: Duration = Duration::from_millis(1);

/// What floods.
struct Flood {
    name: &'static str,
    /// One client's flood, to its end; the flag says when that is due.
    rage: fn(SocketAddr, &AtomicBool),
}

const FLOODS: [Flood; 7] = [
    Flood {
        name: "quiet",
        rage: |_, _| thread::park_timeout(PAUSE),
    },
    Flood {
        name: "records of one byte",
        rage: tiny_records,
    },
    Flood {
        name: "empty records",
        rage: |address, over| spaced(address, over, (30, APPLICATION_DATA, &[])),
    },
    Flood {
        name: "warning alerts",
        rage: |address, over| spaced(address, over, (4, ALERT, &USER_CANCELED)),
    },
    Flood {
        name: "KeyUpdates",
        rage: |address, _| s_client(address, "-tls1_3", "k\n"),
    },
    Flood {
        name: "refused renegotiations",
        rage: |address, _| s_client(address, "-tls1_2", "R\n"),
    },
    Flood {
        name: "half handshakes",
        rage: half_handshake,
    },
];

/// Interleaved rounds of both proxies.
pub fn run(scene: &Scene, options: &Options, report: &mut Report) {
    let server = storm::server();
    let upstream = Upstream {
        workers: Some(1),
        ..Upstream::script(&server)
    };
    let tls = ClientTls::verified(&scene.authority, "localhost");
    let time = Duration::from_secs(options.size(2, 5));
    let mut table = Table::new("A bystander beside floods, one worker".to_owned(), &BOTH);
    for round in 0..options.rounds() {
        for place in order(BOTH.len(), round) {
            let kind = (Instrument::None, BOTH[place]);
            let contender = Contender::start_before(&upstream, kind, scene);
            let address = SocketAddr::from(([127, 0, 0, 1], contender.port()));
            for flood in &FLOODS {
                let waits = beside(flood, address, &tls, time);
                for (figure, share) in [("p50", 0.50), ("p99", 0.99)] {
                    let name = format!("{}, {figure}, ms", flood.name);
                    table.add(place, &name, Target::None, percentile(&waits, share));
                }
            }
        }
    }
    report.add(&table);
}

/// What the bystander waits for each answer while the flood is on, ms.
fn beside(flood: &Flood, address: SocketAddr, tls: &ClientTls, time: Duration) -> Vec<f64> {
    let mut bystander = storm::client(address, tls);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..FLOODERS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    (flood.rage)(address, &over);
                }
            });
        }
        pause(Duration::from_millis(200));
        let mut waits = Vec::new();
        let end = Instant::now() + time;
        while Instant::now() < end {
            let from = Instant::now();
            storm::ask(&mut bystander);
            waits.push(from.elapsed().as_secs_f64() * 1e3);
            thread::park_timeout(PAUSE);
        }
        over.store(true, Ordering::Relaxed);
        waits
    })
}

/// Writes in large pieces, whatever is written to it; ends reading after so many bytes.
struct Bulk {
    stream: TcpStream,
    out: Vec<u8>,
    readable: usize,
}

impl Read for Bulk {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        let most = into.len().min(self.readable);
        let count = self.stream.read(&mut into[..most])?;
        self.readable -= count;
        Ok(count)
    }
}

impl Write for Bulk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len() >= 64 * 1024 {
            self.stream.write_all(&self.out)?;
            self.out.clear();
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A TLS client that trusts anybody, up to where it is cut off.
fn connect(address: SocketAddr, readable: usize) -> io::Result<SslStream<Bulk>> {
    let context = SslContext::builder(SslMethod::tls_client())?.build();
    connect_by(&context, address, readable)
}

fn connect_by(
    context: &SslContext,
    address: SocketAddr,
    readable: usize,
) -> io::Result<SslStream<Bulk>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(&message::SSL_REQUEST)?;
    stream.read_exact(&mut [0])?;
    let bulk = Bulk {
        stream,
        out: Vec::new(),
        readable,
    };
    let connected = Ssl::new(context)?.connect(bulk);
    connected.map_err(|_| io::Error::from(ErrorKind::ConnectionAborted))
}

/// A query without end, one byte in each record. The proxy cuts it off once it is too much.
fn tiny_records(address: SocketAddr, over: &AtomicBool) {
    let Ok(mut stream) = connect(address, usize::MAX) else {
        return;
    };
    let flooded = log_in(&mut stream).and_then(|()| {
        stream.write_all(&[b'Q', 0x3f, 0xff, 0xff, 0xff])?;
        while !over.load(Ordering::Relaxed) {
            for _ in 0..1_000 {
                stream.write_all(b"x")?;
            }
        }
        Ok(())
    });
    // Being cut off is what a flood is for.
    drop(flooded);
}

/// A query without end, one byte at a time, with as many records of another kind in between as libssl
/// lets pass in a row.
fn spaced(
    address: SocketAddr,
    over: &AtomicBool,
    (count, content_type, content): (u32, u8, &[u8]),
) {
    let flooded = || -> io::Result<()> {
        let mut context = SslContext::builder(SslMethod::tls_client())?;
        let secret = ClientSecret::of(&mut context)?;
        let mut stream = connect_by(&context.build(), address, usize::MAX)?;
        log_in(&mut stream)?;
        // Three messages to log in.
        let mut protection = secret.after(3)?;
        let bulk = stream.get_mut();
        let head = [b'Q', 0x3f, 0xff, 0xff, 0xff];
        bulk.write_all(&protection.record(APPLICATION_DATA, &head)?)?;
        while !over.load(Ordering::Relaxed) {
            for _ in 0..count {
                bulk.write_all(&protection.record(content_type, content)?)?;
            }
            bulk.write_all(&protection.record(APPLICATION_DATA, b"x")?)?;
        }
        Ok(())
    };
    // Being cut off is what a flood is for.
    drop(flooded());
}

fn log_in(stream: &mut SslStream<Bulk>) -> io::Result<()> {
    use e2e::scripted::scram;
    stream.write_all(&message::startup(&[("user", ROLE), ("database", ROLE)]))?;
    frame(stream)?;
    let first = scram::client_first();
    stream.write_all(&scram::initial_response(scram::MECHANISM, first.as_bytes()))?;
    let (_, challenge) = frame(stream)?;
    stream.write_all(&scram::client_final(&challenge[4..], PASSWORD))?;
    while frame(stream)?.0 != b'Z' {}
    Ok(())
}

fn frame(stream: &mut SslStream<Bulk>) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut body = vec![0; len.saturating_sub(4)];
    stream.read_exact(&mut body)?;
    match head[0] {
        b'E' => Err(ErrorKind::ConnectionRefused.into()),
        tag => Ok((tag, body)),
    }
}

/// A ClientHello, and the first bytes of what the proxy has worked for.
fn half_handshake(address: SocketAddr, _: &AtomicBool) {
    drop(connect(address, 100));
}

/// `openssl s_client` that has this typed into it many times.
fn s_client(address: SocketAddr, version: &str, typed: &str) {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-starttls", "postgres", version, "-connect"]);
    command.arg(address.to_string());
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("openssl to run");
    if let Some(mut stdin) = child.stdin.take() {
        for _ in 0..600 {
            if stdin.write_all(typed.as_bytes()).is_err() {
                break;
            }
        }
    }
    let _ = child.wait();
}
