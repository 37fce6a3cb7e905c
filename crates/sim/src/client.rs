//! Owns a client as a program sees it: it sends units, reads answers, and compares each with what a
//! server of its own would have said.

use crate::backend::Model;
use crate::chance::Chance;
use crate::frames::{cut, frame, frames, owners};
use crate::script::{Resets, Script, Unit};
use crate::shared::Shared;
use std::collections::{BTreeMap, VecDeque};

/// Units that may be under way at once.
const PIPELINE: usize = 3;

/// How far a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits for its welcome.
    LogsIn,
    /// It asks and reads.
    Works,
    /// It has nothing more to ask.
    Leaves,
    /// It is gone.
    Gone,
}

/// One client.
pub struct Client {
    /// Its number.
    pub index: usize,
    /// How far it is.
    pub stage: Stage,
    script: Script,
    cancels_nothing: bool,
    units_left: usize,
    unsent: Vec<u8>,
    under_way: VecDeque<Unit>,
    /// A server of its own, which is told the same.
    alone: Model,
    /// The same before the unit that is being answered.
    before: Model,
    current: Option<Unit>,
    expected: VecDeque<(u8, Vec<u8>)>,
    so_far: Vec<(u8, Vec<u8>)>,
    unread: Vec<u8>,
    reported: BTreeMap<String, String>,
    /// Does nothing until then.
    pub stalls_until: u64,
    /// Cancels it has sent, and those that have hit it.
    pub cancels: (usize, usize),
    /// It went without a word.
    pub vanished: bool,
    /// It was told why its session ends.
    told: bool,
    /// Units that were answered.
    pub answered: u64,
}

impl Client {
    /// A client whose startup packet sets these.
    pub fn new(index: usize, chance: &mut Chance, base: BTreeMap<String, String>) -> Client {
        let resets = match (base.is_empty(), chance.one_in(2)) {
            (true, _) => Resets::Anytime,
            (false, true) => Resets::Alone,
            (false, false) => Resets::Never,
        };
        let may_pin = resets != Resets::Alone && chance.one_in(3);
        let mut alone = Model::new(base);
        alone.output.clear();
        Client {
            index,
            stage: Stage::LogsIn,
            script: Script::new(index, may_pin, resets),
            cancels_nothing: resets == Resets::Alone,
            units_left: 2 + chance.size(12),
            unsent: vec![],
            under_way: VecDeque::new(),
            before: alone.clone(),
            alone,
            current: None,
            expected: VecDeque::new(),
            so_far: vec![],
            unread: vec![],
            reported: BTreeMap::new(),
            stalls_until: chance.below(20_000),
            cancels: (0, 0),
            vanished: false,
            told: false,
            answered: 0,
        }
    }

    /// True if it may cancel something now.
    pub fn may_cancel(&self) -> bool {
        self.stage == Stage::Works && self.is_asking() && !self.cancels_nothing
    }

    /// True if it waits for an answer.
    pub fn is_asking(&self) -> bool {
        self.current.is_some() || !self.under_way.is_empty()
    }

    /// One step; true if something moved. `ended`: its session is over, for a reason that was judged.
    pub fn step(&mut self, world: &mut Shared, ended: bool, rests: bool) -> bool {
        if self.stage == Stage::Gone || self.stalls_until > world.now {
            return false;
        }
        if self.stage == Stage::Works && world.chance.one_in(60) {
            self.stalls_until = world.now + world.chance.below(30_000);
        }
        let moved = self.read(world, ended);
        if self.stage == Stage::Gone {
            return true;
        }
        self.write(world, rests) || moved
    }

    /// It goes without a word.
    pub fn vanish(&mut self, world: &mut Shared) {
        world.note(format_args!("client {} vanishes", self.index));
        world.wires[self.index].0.closed = true;
        world.wires[self.index].1.cut(0);
        self.vanished = true;
        self.stage = Stage::Gone;
    }

    fn write(&mut self, world: &mut Shared, rests: bool) -> bool {
        if self.stage == Stage::LogsIn {
            return false;
        }
        let all = self.unsent.len();
        if all > 0 {
            let pipe = &mut world.wires[self.index].0;
            let count = world.chance.chunk(all.min(pipe.room()));
            pipe.write(&self.unsent[..count]);
            self.unsent.drain(..count);
            return count > 0;
        }
        let waits = self.is_asking();
        let mut open = self.under_way.iter().chain(&self.current);
        if open.any(|it| it.waits) {
            return false;
        }
        if self.stage != Stage::Works
            || (waits && (self.under_way.len() >= PIPELINE || !world.chance.one_in(8)))
        {
            return false;
        }
        let heard = world.wires[self.index].1.is_empty() && self.unread.is_empty();
        if !waits && rests && heard {
            self.compare_reports(world);
        }
        if self.units_left == 0 {
            if waits {
                return false;
            }
            self.unsent.extend(frame(b'X', b""));
            self.stage = Stage::Leaves;
            return true;
        }
        self.units_left -= 1;
        let unit = match self.units_left {
            0 if !world.chance.one_in(3) => self.script.last(),
            _ => self.script.next(&mut world.chance),
        };
        world.note(format_args!("client {} asks {}", self.index, unit.label));
        self.unsent.extend(&unit.bytes);
        self.under_way.push_back(unit);
        true
    }

    /// Everything is quiet: what it knows of parameters is what they are.
    fn compare_reports(&self, world: &mut Shared) {
        for (name, value) in &self.reported {
            let wanted = self.alone.settings.value(name);
            if *value != wanted {
                world.violate(format!(
                    "client {} was told that {name} is {value:?}; it is {wanted:?}",
                    self.index
                ));
            }
        }
    }

    fn read(&mut self, world: &mut Shared, ended: bool) -> bool {
        let pipe = &mut world.wires[self.index].1;
        let count = world.chance.chunk(pipe.len());
        let bytes = pipe.read(count);
        self.unread.extend(bytes);
        for (tag, body) in frames(&mut self.unread) {
            if world.violation.is_none() {
                self.message(world, tag, body, ended);
            }
        }
        let pipe = &world.wires[self.index].1;
        if pipe.closed && pipe.is_empty() {
            self.gone(world, ended);
            return true;
        }
        count > 0
    }

    fn gone(&mut self, world: &mut Shared, ended: bool) {
        let by_itself = self.stage == Stage::Leaves;
        world.note(format_args!("client {} sees its session end", self.index));
        world.wires[self.index].0.closed = true;
        self.stage = Stage::Gone;
        if !by_itself && !ended {
            world.violate(format!(
                "client {}: its session ended for nothing",
                self.index
            ));
        }
    }

    fn message(&mut self, world: &mut Shared, tag: u8, body: Vec<u8>, ended: bool) {
        let index = self.index;
        if let Some(strange) = owners(&body).into_iter().find(|it| *it != index) {
            let tag = tag as char;
            return world.violate(format!(
                "client {index} reads '{tag}' with bytes of client {strange}"
            ));
        }
        match tag {
            b'S' => {
                let (name, rest) = cut(&body);
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                self.reported.insert(text(name), text(cut(rest).0));
                return;
            }
            b'N' => return,
            b'Z' if self.stage == Stage::LogsIn => {
                self.stage = Stage::Works;
                return;
            }
            b'E' if body.windows(7).any(|it| it == b"VFATAL\0") => {
                self.told = true;
                if !ended {
                    world.violate(format!("client {index} is told of an end that is none"));
                }
                return;
            }
            _ => {}
        }
        if self.told {
            return world.violate(format!("client {index} reads on behind its end"));
        }
        self.compare(world, tag, body);
    }

    /// What a server of its own would answer to the unit in front.
    fn expect(&mut self, cancel_at: Option<u64>) -> bool {
        let Some(unit) = &self.current else {
            return false;
        };
        self.alone = self.before.clone();
        self.alone
            .take(&unit.bytes, cancel_at.map(|it| self.before.begun + it));
        let mut output = std::mem::take(&mut self.alone.output);
        let answers = frames(&mut output)
            .into_iter()
            .filter(|(tag, _)| *tag != b'S');
        self.expected = answers.collect();
        let begins = |(at, it): (usize, &(u8, Vec<u8>))| {
            self.expected
                .get(at)
                .is_some_and(|wanted| is_same(wanted, it))
        };
        self.so_far.iter().enumerate().all(begins)
    }

    fn compare(&mut self, world: &mut Shared, tag: u8, body: Vec<u8>) {
        let index = self.index;
        if self.current.is_none() {
            self.current = self.under_way.pop_front();
            self.so_far.clear();
            self.before = self.alone.clone();
            if !self.expect(None) {
                return world.violate(format!("client {index} reads '{}' unasked", tag as char));
            }
        }
        let got = (tag, body);
        let at = self.so_far.len();
        self.so_far.push(got);
        let got = &self.so_far[at];
        let fits = self.expected.get(at).is_some_and(|it| is_same(it, got));
        if !fits && !self.was_cancelled(world) {
            let got = show(&self.so_far[at]);
            let wanted = self.expected.get(at).map_or("nothing".to_owned(), show);
            let unit = self.current.as_ref().map_or("", |it| &it.label);
            return world.violate(format!(
                "client {index} reads {got} where {wanted} is due, to {unit:?}"
            ));
        }
        if self.so_far.len() == self.expected.len() {
            self.answer_is_complete(world);
        }
    }

    /// True if what came is explained by one of its own cancels.
    fn was_cancelled(&mut self, world: &mut Shared) -> bool {
        let is_cancel = |it: &(u8, Vec<u8>)| it.0 == b'E' && code(&it.1) == b"57014";
        if !self.so_far.last().is_some_and(is_cancel) || self.cancels.1 >= self.cancels.0 {
            return false;
        }
        self.cancels.1 += 1;
        world.note(format_args!("client {} was cancelled", self.index));
        let by_portcullis = |it: &(u8, Vec<u8>)| it.1.windows(10).any(|it| it == b"Mcancelled");
        if !self.so_far.iter().any(by_portcullis) && (1..12).any(|at| self.expect(Some(at))) {
            return true;
        }
        // It waited for a server: nothing was done.
        self.alone = self.before.clone();
        self.expected = vec![self.so_far[0].clone(), (b'Z', b"I".to_vec())].into();
        self.so_far.len() == 1
    }

    fn answer_is_complete(&mut self, world: &mut Shared) {
        self.current = None;
        self.answered += 1;
        for stamp in std::mem::take(&mut self.alone.committed) {
            if !world.committed.contains(&stamp) {
                world.violate(format!("{stamp} was committed, and is not there"));
            }
        }
    }
}

/// Whether an answer is as it should be: errors by their SQLSTATE alone, since some name statements.
fn is_same(wanted: &(u8, Vec<u8>), got: &(u8, Vec<u8>)) -> bool {
    match (wanted.0, got.0) {
        (b'E', b'E') => code(&wanted.1) == code(&got.1),
        _ => wanted == got,
    }
}

fn code(body: &[u8]) -> &[u8] {
    let fields = body.split(|byte| *byte == 0);
    let mut codes = fields.filter_map(|it| it.strip_prefix(b"C"));
    codes.next().unwrap_or_default()
}

fn show((tag, body): &(u8, Vec<u8>)) -> String {
    let body = &body[..body.len().min(80)];
    format!("'{}' {}", *tag as char, body.escape_ascii())
}
