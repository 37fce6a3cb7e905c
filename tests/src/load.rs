//! Clients that work without a pause while something happens to the proxy or its servers, and say what
//! each request came to.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use testkit::peer::message::{self, frame};
use testkit::{Frame, Peer, wait};

use crate::drivers::Endpoint;
use crate::scripted::{answer_offer, startup};
use crate::stage::Stage;

/// How long progress may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the clients have come to so far.
pub struct Meter {
    served: Vec<AtomicUsize>,
    /// SQLSTATE, or what went wrong beyond one, and how often.
    errors: Mutex<BTreeMap<String, usize>>,
    over: AtomicBool,
}

impl Meter {
    /// Waits until each client has been served so often again.
    #[track_caller]
    pub fn await_progress(&self, times: usize) {
        let begun: Vec<usize> = self.counts();
        let progress = wait::within(PATIENCE, || {
            let moved = self.counts();
            let mut pairs = moved.iter().zip(&begun);
            pairs.all(|(now, then)| now - then >= times).then_some(())
        });
        let now = self.counts();
        assert!(
            progress.is_some(),
            "from {begun:?} only to {now:?}; errors {:?}",
            self.errors.lock().expect("errors")
        );
    }

    fn counts(&self) -> Vec<usize> {
        let counts = self.served.iter();
        counts.map(|it| it.load(Ordering::Relaxed)).collect()
    }

    fn note(&self, error: String) {
        let mut errors = self.errors.lock().expect("errors");
        *errors.entry(error).or_default() += 1;
    }
}

/// Runs so many clients during `event`; gives their errors, by SQLSTATE.
#[track_caller]
pub fn during(
    stage: &Stage,
    endpoint: &Endpoint,
    clients: usize,
    event: impl FnOnce(&Meter),
) -> BTreeMap<String, usize> {
    let meter = Meter {
        served: (0..clients).map(|_| AtomicUsize::new(0)).collect(),
        errors: Mutex::default(),
        over: AtomicBool::new(false),
    };
    let tls = stage.client_tls();
    let address = stage.proxy.address();
    thread::scope(|scope| {
        for number in 0..clients {
            let (meter, tls) = (&meter, &tls);
            scope.spawn(move || {
                let connect = || Peer::tls(address, tls).with_limit(PATIENCE);
                let work = || work(number, endpoint, meter, connect);
                if catch_unwind(AssertUnwindSafe(work)).is_err() {
                    meter.note("a panic".to_owned());
                }
            });
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| event(&meter)));
        meter.over.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    meter.errors.into_inner().expect("errors")
}

fn work(number: usize, endpoint: &Endpoint, meter: &Meter, connect: impl Fn() -> Peer) {
    let mut session = None;
    let mut round = 0;
    while !meter.over.load(Ordering::Relaxed) {
        let outcome = match &mut session {
            None => log_in(connect(), endpoint).map(|peer| session = Some(peer)),
            Some(peer) => {
                round += 1;
                one(peer, number, round)
            }
        };
        match outcome {
            Ok(()) => {
                meter.served[number].fetch_add(1, Ordering::Relaxed);
            }
            Err(Fault { said, ended }) => {
                meter.note(said);
                if ended {
                    session = None;
                }
            }
        }
    }
}

/// Why a request came to nothing.
struct Fault {
    said: String,
    ended: bool,
}

fn gone(what: &str) -> Fault {
    Fault {
        said: format!("no error, but the end, {what}"),
        ended: true,
    }
}

fn log_in(mut peer: Peer, endpoint: &Endpoint) -> Result<Peer, Fault> {
    peer.send(&startup(endpoint));
    let refused = |frame: &Frame| Fault {
        said: sqlstate(frame),
        ended: true,
    };
    let offer = read(&mut peer).ok_or_else(|| gone("at the login"))?;
    if offer.tag == b'E' {
        return Err(refused(&offer));
    }
    answer_offer(&mut peer, &offer, &endpoint.password);
    loop {
        let frame = read(&mut peer).ok_or_else(|| gone("at the login"))?;
        match frame.tag {
            b'E' => return Err(refused(&frame)),
            b'Z' => return Ok(peer),
            _ => {}
        }
    }
}

/// One piece of work, each time of another kind.
fn one(peer: &mut Peer, number: usize, round: usize) -> Result<(), Fault> {
    let marker = format!("{number}-{round}");
    let select = message::query(&format!("SELECT '{marker}'"));
    match round % 4 {
        0 => ask(peer, &[select], &marker),
        1 => ask(
            peer,
            &[
                message::query("BEGIN"),
                select.clone(),
                select,
                message::query("COMMIT"),
            ],
            &marker,
        ),
        2 => {
            let parse = b"mine\0SELECT $1::text\0\0\0";
            let len = (marker.len() as u32).to_be_bytes();
            let bind = [&b"\0mine\0\0\0\0\x01"[..], &len, marker.as_bytes(), &[0, 0]].concat();
            let batch = [
                frame(b'P', parse),
                frame(b'B', &bind),
                frame(b'E', &[0; 5]),
                frame(b'C', b"Smine\0"),
                message::SYNC.to_vec(),
            ];
            ask(peer, &[batch.concat()], &marker)
        }
        _ => {
            let name = message::query(&format!("SET application_name = 'load {marker}'"));
            let show = message::query("SHOW application_name");
            ask(peer, &[name, show], &format!("load {marker}"))
        }
    }
}

/// Sends each part when the one before is answered; rows must hold the marker and nothing else.
fn ask(peer: &mut Peer, parts: &[Vec<u8>], marker: &str) -> Result<(), Fault> {
    let mut fault = None;
    for part in parts {
        // A server connection that is gone is told of by what is left to read.
        let sent = peer.try_send(part);
        loop {
            let Some(frame) = read(peer) else {
                return Err(
                    fault.map_or_else(|| gone("of a request"), |said| Fault { said, ended: true })
                );
            };
            match frame.tag {
                b'D' if frame.body[6..] != *marker.as_bytes() => {
                    let seen = frame.body.escape_ascii();
                    return Err(Fault {
                        said: format!("{seen} instead of {marker}"),
                        ended: true,
                    });
                }
                b'E' => fault = Some(sqlstate(&frame)),
                b'Z' => break,
                _ => {}
            }
        }
        if sent.is_err() {
            return Err(gone("of sending"));
        }
    }
    match fault {
        None => Ok(()),
        Some(said) => Err(Fault { said, ended: false }),
    }
}

fn sqlstate(frame: &Frame) -> String {
    frame.field(b'C').unwrap_or_default()
}

fn read(peer: &mut Peer) -> Option<Frame> {
    let head = peer.bytes_or_end(5)?;
    let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let body = peer.bytes(len - 4);
    Some(Frame { tag: head[0], body })
}
