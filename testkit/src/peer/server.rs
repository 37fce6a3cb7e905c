//! A server that plays a script: a closure that gets each accepted connection as a
//! [`Peer`] and may answer, lie, stall or hang up as it likes.

use std::any::Any;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::{Link, Peer};

type Panics = Arc<Mutex<Vec<Box<dyn Any + Send>>>>;

/// A listening server; each connection runs the script in its own thread.
pub struct ScriptedServer {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
    panics: Panics,
}

impl ScriptedServer {
    /// Listens on a free port of 127.0.0.1 and plays `script` with every client.
    #[track_caller]
    pub fn start(script: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the listener's address");
        let ending = Arc::new(AtomicBool::new(false));
        let panics = Panics::default();
        let stage = Stage {
            script: Arc::new(script),
            panics: Arc::clone(&panics),
        };
        let end = Arc::clone(&ending);
        let acceptor = thread::spawn(move || {
            let mut players = Vec::new();
            for stream in listener.incoming().flatten() {
                if end.load(Ordering::SeqCst) {
                    break;
                }
                players.push(stage.play(stream));
            }
            players
        });
        Self {
            address,
            ending,
            acceptor: Some(acceptor),
            panics,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, waits for the running scripts, and fails the test if one of them failed.
    #[track_caller]
    pub fn finish(mut self) {
        self.join();
        let first = self
            .panics
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(panic) = first {
            resume_unwind(panic);
        }
    }

    fn join(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        self.ending.store(true, Ordering::SeqCst);
        // `accept` has no timeout: one more connection makes it look at the flag.
        let _ = TcpStream::connect(self.address);
        for player in acceptor.join().expect("the acceptor") {
            let _ = player.join();
        }
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        // While the test itself fails, its scripts may hang until their deadlines: don't wait.
        if !thread::panicking() {
            self.join();
        }
    }
}

struct Stage<S> {
    script: Arc<S>,
    panics: Panics,
}

impl<S: Fn(Peer) + Send + Sync + 'static> Stage<S> {
    fn play(&self, stream: TcpStream) -> JoinHandle<()> {
        let (script, panics) = (Arc::clone(&self.script), Arc::clone(&self.panics));
        thread::spawn(move || {
            let _ = stream.set_nodelay(true);
            let play = AssertUnwindSafe(|| script(Peer::over(Link::Tcp(stream))));
            if let Err(panic) = catch_unwind(play) {
                panics
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(panic);
            }
        })
    }
}
