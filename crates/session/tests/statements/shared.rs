//! Owns clients and servers with the relay between them, as a worker has it: a client gets a server
//! connection when it has something to say and loses it when nothing is under way.

use crate::model::{Model, frames};
use buf::Plain;
use session::relay::{Relayed, to_client, to_server};
use session::statements::{CacheLimits, Interner, Mode, Pooled, StatementLimits};
use session::{ClientStream, Reported, Server};
use wire::ProtocolVersion;

const CAPACITY: usize = 8192;

/// Choices, the same for the same bytes.
pub struct Schedule<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, u16>>,
    salt: u64,
}

/// What a client sends at once, and whether it waits for the answers.
#[derive(Clone, Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub waits: bool,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (tag, body) in frames(&mut self.bytes.clone()) {
            let body = String::from_utf8_lossy(&body).replace('\0', ".");
            write!(f, "{}({body}) ", tag as char)?;
        }
        f.write_str(if self.waits { "wait" } else { "" })
    }
}

impl<'a> Schedule<'a> {
    pub fn new(choices: &'a [u16]) -> Schedule<'a> {
        Schedule {
            choices: choices.iter().cycle(),
            salt: 0,
        }
    }

    /// A number below `below`.
    fn choose(&mut self, below: usize) -> usize {
        let choice = u64::from(*self.choices.next().expect("an endless cycle"));
        let salt = self.salt.wrapping_add(choice).wrapping_add(1);
        self.salt = salt.wrapping_mul(6_364_136_223_846_793_005).rotate_left(29);
        (self.salt >> 20) as usize % below.max(1)
    }
}

struct Client {
    /// What it is still to send, and whether it waits for all answers before.
    script: Vec<Batch>,
    waits: bool,
    stream: ClientStream,
    unsent: Vec<u8>,
    input: Plain,
    /// What it has read.
    read: Vec<u8>,
    server: Option<usize>,
}

pub struct Backend {
    pub link: Server,
    pub model: Model,
    /// On its way to the server.
    sent: Vec<u8>,
    input: Plain,
}

/// Clients and servers.
pub struct Rig {
    clients: Vec<Client>,
    pub backends: Vec<Backend>,
    output: Plain,
    /// Statements that a server may have when nothing is under way.
    statements_max: usize,
    /// Servers lose their statements now and then, when nobody has them.
    pub forgetful: bool,
}

pub fn pooled(interner: &Interner, limits: StatementLimits, mode: Mode) -> ClientStream {
    ClientStream::pooled(0, Pooled::new(interner.clone(), limits, mode))
}

impl Rig {
    pub fn new(scripts: &[Vec<Batch>], servers: usize, limits: StatementLimits, mode: Mode) -> Rig {
        // What an eviction in one batch rests on may fail in another that is under way, so then the
        // bound holds only later.
        let pipelines = scripts.iter().flatten().any(|batch| !batch.waits);
        let statements_max = match pipelines {
            true => usize::MAX,
            false => limits.server_max,
        };
        let interner = Interner::new([9; 32], CacheLimits::default());
        let clients = scripts.iter().map(|script| Client {
            script: script.iter().rev().cloned().collect(),
            waits: false,
            stream: pooled(&interner, limits, mode),
            unsent: vec![],
            input: Plain::with_capacity(CAPACITY),
            read: vec![],
            server: None,
        });
        let backends = (0..servers).map(|_| Backend {
            link: Server::new(ProtocolVersion::V3_0, None, Reported::default()),
            model: Model::default(),
            sent: vec![],
            input: Plain::with_capacity(CAPACITY),
        });
        Rig {
            clients: clients.collect(),
            backends: backends.collect(),
            output: Plain::with_capacity(CAPACITY),
            statements_max,
            forgetful: false,
        }
    }

    /// What a client has read.
    pub fn read(&self, client: usize) -> &[u8] {
        &self.clients[client].read
    }

    /// Runs until all clients have sent everything and read the answers.
    pub fn run(&mut self, schedule: &mut Schedule<'_>) {
        let mut idle = 0;
        while self.clients.iter().any(|it| !it.is_done()) {
            let client = schedule.choose(self.clients.len());
            let moved = self.step(client, schedule);
            idle = if moved { 0 } else { idle + 1 };
            assert!(idle < 500, "nothing moves any more");
        }
        for client in 0..self.clients.len() {
            self.release(client);
        }
    }

    fn step(&mut self, client: usize, schedule: &mut Schedule<'_>) -> bool {
        match schedule.choose(6) {
            0 => self.write(client, schedule),
            1 => self.link(client, schedule),
            2 => self.upstream(client, schedule),
            3 => self.serve(client, schedule),
            4 => self.downstream(client, schedule),
            _ => self.release(client),
        }
    }

    /// The client writes its next batch.
    fn write(&mut self, client: usize, schedule: &mut Schedule<'_>) -> bool {
        let it = &mut self.clients[client];
        let quiet = it.unsent.is_empty() && it.input.is_empty() && it.server.is_none();
        if it.waits && !quiet {
            // It has read all answers if nothing is under way.
            let settled = it.server.is_none_or(|at| self.backends[at].is_quiet());
            if !settled || !it.unsent.is_empty() || !it.input.is_empty() {
                return false;
            }
        }
        if it.unsent.len() > 2000 && schedule.choose(4) > 0 {
            return false;
        }
        let Some(batch) = it.script.pop() else {
            return false;
        };
        it.unsent.extend(batch.bytes);
        it.waits = batch.waits;
        true
    }

    fn link(&mut self, client: usize, schedule: &mut Schedule<'_>) -> bool {
        let wants = {
            let it = &self.clients[client];
            it.server.is_none() && !(it.unsent.is_empty() && it.input.is_empty())
        };
        let lent = |at: usize| self.clients.iter().any(|it| it.server == Some(at));
        let free: Vec<_> = (0..self.backends.len()).filter(|at| !lent(*at)).collect();
        if !wants || free.is_empty() {
            return false;
        }
        let at = free[schedule.choose(free.len())];
        if self.forgetful && schedule.choose(3) == 0 {
            self.backends[at].model.lose_all();
        }
        let it = &mut self.clients[client];
        it.server = Some(at);
        it.stream.link(&mut self.backends[at].link);
        true
    }

    /// Bytes of the client's pass to the server.
    fn upstream(&mut self, client: usize, schedule: &mut Schedule<'_>) -> bool {
        let it = &mut self.clients[client];
        let Some(at) = it.server else { return false };
        let backend = &mut self.backends[at];
        // Only a batch that comes at once is kept to be sent again.
        let some = match self.forgetful {
            true => usize::MAX,
            false => schedule.choose(300),
        };
        let count = some.min(it.unsent.len()).min(it.input.room());
        it.input.push(&it.unsent[..count]).expect("room");
        it.unsent.drain(..count);
        let before = it.input.len();
        let relayed = to_server(
            &mut it.stream,
            &mut backend.link,
            &mut it.input,
            &mut self.output,
        );
        assert_eq!(relayed, Ok(Relayed::Open));
        backend.sent.extend_from_slice(self.output.bytes());
        let moved = count > 0 || before != it.input.len() || !self.output.is_empty();
        self.output.clear();
        moved
    }

    /// The server takes what was sent to it.
    fn serve(&mut self, client: usize, schedule: &mut Schedule<'_>) -> bool {
        let Some(at) = self.clients[client].server else {
            return false;
        };
        let backend = &mut self.backends[at];
        let count = (1 + schedule.choose(300)).min(backend.sent.len());
        backend.model.take(&backend.sent[..count]);
        backend.sent.drain(..count);
        count > 0
    }

    /// Bytes of the server's pass to the client.
    fn downstream(&mut self, client: usize, schedule: &mut Schedule<'_>) -> bool {
        let it = &mut self.clients[client];
        let Some(at) = it.server else { return false };
        let backend = &mut self.backends[at];
        let count = (1 + schedule.choose(300))
            .min(backend.model.output.len())
            .min(backend.input.room());
        let output = &backend.model.output[..count];
        backend.input.push(output).expect("room");
        backend.model.output.drain(..count);
        let before = backend.input.len();
        let relayed = to_client(
            &mut it.stream,
            &mut backend.link,
            &mut backend.input,
            &mut self.output,
        );
        assert_eq!(relayed, Ok(Relayed::Open));
        it.read.extend_from_slice(self.output.bytes());
        let moved = count > 0 || before != backend.input.len() || !self.output.is_empty();
        self.output.clear();
        moved
    }

    /// The client's server connection goes back, if nothing is under way.
    fn release(&mut self, client: usize) -> bool {
        let it = &mut self.clients[client];
        let Some(at) = it.server else { return false };
        let backend = &self.backends[at];
        let may = backend.is_quiet() && backend.link.is_idle() && it.stream.between_frames();
        if !may {
            return false;
        }
        it.server = None;
        if !self.forgetful {
            backend.check(self.statements_max);
        }
        true
    }
}

impl Client {
    fn is_done(&self) -> bool {
        self.script.is_empty()
            && self.unsent.is_empty()
            && self.input.is_empty()
            && self.server.is_none()
    }
}

impl Backend {
    /// True if nothing is owed and nothing on its way.
    fn is_quiet(&self) -> bool {
        self.link.ledger.is_closed()
            && self.sent.is_empty()
            && self.input.is_empty()
            && self.model.output.is_empty()
    }

    /// What is believed of the server is so.
    fn check(&self, max: usize) {
        assert!(self.link.statements.is_settled());
        let names: Vec<_> = self.model.names().map(String::from_utf8_lossy).collect();
        assert_eq!(self.link.statements.len(), names.len(), "{names:?}");
        assert!(names.len() <= max, "{names:?}");
        assert!(
            names
                .iter()
                .all(|name| name.starts_with("pc_") && name.len() == 35)
        );
    }
}
