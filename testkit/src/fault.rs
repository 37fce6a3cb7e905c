//! A TCP relay that misbehaves on command: between client and proxy, or between
//! proxy and server. It carries ciphertext like any network does.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

/// How often a blocked write looks whether its connection was broken meanwhile.
const WRITE_TURN: Duration = Duration::from_millis(50);

/// What happens to the bytes of one direction. Counts are per connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: bytes pass.
    None,
    /// Bytes leave in writes of at most this size.
    Chop(usize),
    /// After so many bytes the rest waits until [`FaultPipe::release`].
    HoldAfter(u64),
    /// After so many bytes both sides see FIN.
    CutAfter(u64),
    /// After so many bytes both sides see RST.
    ResetAfter(u64),
}

impl Fault {
    /// How many of `ready` bytes may leave now in one write, `passed` having left before.
    fn allowance(self, passed: u64, ready: usize) -> usize {
        match self {
            Self::None => ready,
            Self::Chop(size) => ready.min(size.max(1)),
            Self::HoldAfter(limit) | Self::CutAfter(limit) | Self::ResetAfter(limit) => {
                let left = limit.saturating_sub(passed);
                ready.min(usize::try_from(left).unwrap_or(ready))
            }
        }
    }
}

/// The relay. Everything it carries ends when it is dropped.
pub struct FaultPipe {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    released: Mutex<bool>,
    /// Nothing passes at all. Changed under the lock of `released`.
    parted: AtomicBool,
    change: Condvar,
    ending: AtomicBool,
    connections: Mutex<Vec<Weak<Connection>>>,
    /// Where later connections lead, if not where they did from the start.
    led_to: Mutex<Option<SocketAddr>>,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

impl FaultPipe {
    /// Listens on a free port of 127.0.0.1 and relays every connection to `target`.
    #[track_caller]
    pub fn start(target: SocketAddr, to_server: Fault, to_client: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the listener's address");
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.ending.load(Ordering::SeqCst) {
                    return;
                }
                // A target that refuses shows as a closed connection, as it would without us.
                let target = lock(&shared.led_to).unwrap_or(target);
                if let Ok(server) = TcpStream::connect(target) {
                    join(
                        &shared,
                        Connection::new(client, server),
                        to_server,
                        to_client,
                    );
                }
            }
        });
        Self { address, state }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads later connections elsewhere; those of this moment stay.
    pub fn lead_to(&self, target: SocketAddr) {
        *lock(&self.state.led_to) = Some(target);
    }

    /// Lets held bytes pass, now and from now on.
    pub fn release(&self) {
        *lock(&self.state.released) = true;
        self.state.change.notify_all();
    }

    /// Lets nothing pass any more, neither bytes nor the end of a connection, and tells nobody: as a network that
    /// loses everything. New connections are taken, and nothing passes over them.
    pub fn part(&self) {
        self.state.parted.store(true, Ordering::SeqCst);
    }

    /// Lets everything pass again, also what was sent meanwhile, as TCP sends it again. What belongs to a connection
    /// that one side has aborted is lost: nobody sends that again.
    pub fn mend(&self) {
        let _held = lock(&self.state.released);
        self.state.parted.store(false, Ordering::SeqCst);
        self.state.change.notify_all();
    }

    /// Bytes that went towards the server so far, over all connections.
    pub fn to_server(&self) -> u64 {
        self.state.to_server.load(Ordering::SeqCst)
    }

    /// Bytes that went towards the client so far, over all connections.
    pub fn to_client(&self) -> u64 {
        self.state.to_client.load(Ordering::SeqCst)
    }

    /// Ends all connections of this moment with FIN; later ones are relayed.
    pub fn cut(&self) {
        self.each(|connection| connection.cut(&self.state));
    }

    /// Ends all connections of this moment with RST; later ones are relayed.
    pub fn reset(&self) {
        self.each(|connection| connection.reset(&self.state));
    }

    fn each(&self, act: impl Fn(&Connection)) {
        let connections: Vec<_> = lock(&self.state.connections).drain(..).collect();
        connections
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|connection| act(&connection));
    }
}

impl Drop for FaultPipe {
    fn drop(&mut self) {
        self.state.ending.store(true, Ordering::SeqCst);
        self.cut();
        // `accept` has no timeout: one more connection makes it look at the flag.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn join(state: &Arc<State>, connection: Connection, up: Fault, down: Fault) {
    let connection = Arc::new(connection);
    lock(&state.connections).push(Arc::downgrade(&connection));
    for (way, fault) in [(Way::ToServer, up), (Way::ToClient, down)] {
        let lane = Lane {
            connection: Arc::clone(&connection),
            way,
            fault,
            passed: 0,
        };
        let state = Arc::clone(state);
        thread::spawn(move || lane.carry(&state));
    }
}

/// Two sockets; both close when the last lane has ended.
struct Connection {
    client: TcpStream,
    server: TcpStream,
    broken: AtomicBool,
}

impl Connection {
    fn new(client: TcpStream, server: TcpStream) -> Self {
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
            let _ = stream.set_write_timeout(Some(WRITE_TURN));
        }
        Self {
            client,
            server,
            broken: AtomicBool::new(false),
        }
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    fn cut(&self, state: &State) {
        self.end(state, Shutdown::Both);
    }

    /// With zero linger the close sends RST; until then nothing may send FIN, so only
    /// the reading sides are shut, which wakes the lanes.
    fn reset(&self, state: &State) {
        for stream in [&self.client, &self.server] {
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
        self.end(state, Shutdown::Read);
    }

    fn end(&self, state: &State, how: Shutdown) {
        {
            // Under the lock, so that a lane about to wait for the release sees it.
            let _held = lock(&state.released);
            self.broken.store(true, Ordering::SeqCst);
            state.change.notify_all();
        }
        let _ = self.client.shutdown(how);
        let _ = self.server.shutdown(how);
    }
}

/// Whether the peer has ended the connection by RST. What a read would say is another thing: it gives first what
/// came before.
fn is_aborted(stream: &TcpStream) -> bool {
    stream.take_error().is_ok_and(|error| error.is_some())
}

#[derive(Clone, Copy)]
enum Way {
    ToServer,
    ToClient,
}

struct Lane {
    connection: Arc<Connection>,
    way: Way,
    fault: Fault,
    passed: u64,
}

impl Lane {
    fn carry(mut self, state: &State) {
        let connection = Arc::clone(&self.connection);
        let (mut from, to) = match self.way {
            Way::ToServer => (&connection.client, &connection.server),
            Way::ToClient => (&connection.server, &connection.client),
        };
        let mut chunk = vec![0; 65_536];
        loop {
            match from.read(&mut chunk) {
                Ok(0) | Err(_) => {
                    self.await_way(state);
                    break;
                }
                Ok(ready) if self.pass(&chunk[..ready], to, state) => {}
                Ok(_) => break,
            }
        }
        if !connection.is_broken() {
            // FIN passes in this direction only: the other may still have bytes to carry.
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// False: the connection is over.
    fn pass(&mut self, mut rest: &[u8], mut to: &TcpStream, state: &State) -> bool {
        let count = match self.way {
            Way::ToServer => &state.to_server,
            Way::ToClient => &state.to_client,
        };
        while !rest.is_empty() {
            let allowed = self.fault.allowance(self.passed, rest.len());
            if allowed == 0 {
                self.strike(state);
            }
            self.await_way(state);
            if self.connection.is_broken() {
                return false;
            }
            match to.write(&rest[..allowed]) {
                Ok(written) => {
                    rest = &rest[written..];
                    self.passed += written as u64;
                    count.fetch_add(written as u64, Ordering::SeqCst);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Waits until something may pass.
    fn await_way(&self, state: &State) {
        if !state.parted.load(Ordering::SeqCst) {
            return;
        }
        let connection = &self.connection;
        let held = |_: &mut bool| state.parted.load(Ordering::SeqCst) && !connection.is_broken();
        drop(state.change.wait_while(lock(&state.released), held));
        let from = match self.way {
            Way::ToServer => &connection.client,
            Way::ToClient => &connection.server,
        };
        if is_aborted(from) {
            connection.reset(state);
        }
    }

    /// The limit of this lane's fault is reached.
    fn strike(&mut self, state: &State) {
        match self.fault {
            Fault::HoldAfter(_) => {
                let connection = &self.connection;
                let held = |released: &mut bool| !*released && !connection.is_broken();
                let _released = state.change.wait_while(lock(&state.released), held);
                self.fault = Fault::None;
            }
            Fault::ResetAfter(_) => self.connection.reset(state),
            Fault::CutAfter(_) => self.connection.cut(state),
            Fault::None | Fault::Chop(_) => {}
        }
    }
}
