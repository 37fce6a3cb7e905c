//! Owns the turns of `shell/pump.rs` over two buffers on each side.

use super::{Ending, Held, Keeps, Phase, Session, Upstream};
use crate::frames::frames;
use crate::link::{READ_MIN, lost, send};
use crate::plan::Mutation;
use crate::shared::Shared;
use ::session::farewell::TERMINATE;
use ::session::fault::Fault;
use ::session::relay::{Relayed, to_client, to_server};

enum Turn {
    Moved,
    Still,
    End(Ending),
}

impl Session {
    /// `Pump::poll`, one turn.
    pub(super) fn pump(&mut self, mut held: Held, world: &mut Shared) -> bool {
        let turn = self.turn(&mut held, world);
        let ending = match turn {
            Ok(Turn::Moved) if self.may_part(&held, world) => {
                self.round_is_over(held, world);
                return true;
            }
            Ok(Turn::Moved) => {
                self.phase = Phase::Pumps(held);
                return true;
            }
            Ok(Turn::Still) => {
                self.phase = Phase::Pumps(held);
                return false;
            }
            Ok(Turn::End(ending)) => ending,
            Err(fault) => Ending::Fault(fault),
        };
        self.finish(ending, Some(held), world);
        true
    }

    fn may_part(&self, held: &Held, world: &mut Shared) -> bool {
        let Keeps::Round { since } = self.keeps else {
            return false;
        };
        let server = &held.link.server;
        let over = server.rounds != since && server.may_part();
        let early = server.ledger.is_closed()
            && server.between_frames()
            && !server.ending
            && world.plan.mutation == Some(Mutation::PartEarly)
            && self.input.is_empty();
        (over || early)
            && self.stream.between_frames()
            && self.upstream == Upstream::Open
            && held.link.is_quiet()
    }

    fn turn(&mut self, held: &mut Held, world: &mut Shared) -> Result<Turn, Fault> {
        let from_client = self.upstream(held, world)?;
        if let Turn::End(_) = from_client {
            return Ok(from_client);
        }
        let from_server = self.downstream(held, world)?;
        Ok(match (from_client, from_server) {
            (_, Turn::End(ending)) => Turn::End(ending),
            (Turn::Still, Turn::Still) => Turn::Still,
            _ => Turn::Moved,
        })
    }

    fn upstream(&mut self, held: &mut Held, world: &mut Shared) -> Result<Turn, Fault> {
        let link = &mut *held.link;
        let at = link.backend;
        let before = link.output.len();
        let stuck = link.send(&mut world.backends[at], &mut world.chance);
        let mut turn = match before != link.output.len() {
            true => Turn::Moved,
            false => Turn::Still,
        };
        if stuck || self.upstream != Upstream::Open {
            return Ok(turn);
        }
        let mut gone = false;
        if self.input.room() >= READ_MIN {
            match self.receive(world) {
                true => turn = Turn::Moved,
                false => gone = self.client_is_gone(world),
            }
        }
        if !self.input.is_empty() || self.stream.has_more(&link.server) {
            let before = self.input.len();
            let doubles = !self.input.is_empty() && world.chance.one_in(40);
            if world.trace.is_on() {
                let tags = tags(self.input.bytes());
                let debts = link.server.ledger.len();
                world.note(format_args!(
                    "session {} relays {tags} to server {at}; {debts} debts",
                    self.index
                ));
            }
            let relayed = to_server(
                &mut self.stream,
                &mut link.server,
                &mut self.input,
                &mut link.output,
            );
            if doubles && world.breaks(Mutation::DoubleRequest) {
                let bytes = link.output.bytes().to_vec();
                let _ = link.output.push(&bytes);
            }
            if self.input.len() != before || !link.output.is_empty() {
                turn = Turn::Moved;
            }
            link.send(&mut world.backends[at], &mut world.chance);
            match relayed? {
                Relayed::Terminated if link.server.ledger.is_settled() => {
                    return Ok(Turn::End(Ending::Terminated));
                }
                Relayed::Terminated => {
                    self.upstream = Upstream::Terminated;
                    let _ = link.output.push(TERMINATE);
                    return Ok(Turn::Moved);
                }
                _ => {}
            }
        }
        Ok(match gone {
            true => Turn::End(Ending::ClientGone),
            false => turn,
        })
    }

    fn downstream(&mut self, held: &mut Held, world: &mut Shared) -> Result<Turn, Fault> {
        let link = &mut *held.link;
        let at = link.backend;
        let before = self.output.len();
        let wire = &mut world.wires[self.index].1;
        let stuck = send(&mut self.output, wire, &mut world.chance);
        let mut turn = match before != self.output.len() {
            true => Turn::Moved,
            false => Turn::Still,
        };
        if stuck {
            return Ok(turn);
        }
        let mut end = false;
        if link.input.room() >= READ_MIN {
            match link.receive(&mut world.backends[at], &mut world.chance) {
                true => turn = Turn::Moved,
                false => end = link.ended,
            }
        }
        if !link.input.is_empty() || link.server.ledger.must_say() {
            let before = link.input.len();
            if world.trace.is_on() {
                let tags = tags(link.input.bytes());
                let debts = link.server.ledger.len();
                world.note(format_args!(
                    "session {} relays {tags} from server {at}; {debts} debts",
                    self.index
                ));
            }
            let relayed = to_client(
                &mut self.stream,
                &mut link.server,
                &mut link.input,
                &mut self.output,
            );
            if link.input.len() != before {
                turn = Turn::Moved;
            }
            if self.output.len() > 8 && world.chance.one_in(40) {
                self.falsify(world);
            }
            let wire = &mut world.wires[self.index].1;
            let stuck = send(&mut self.output, wire, &mut world.chance);
            if relayed? == Relayed::ServerEnding {
                link.server.ending = true;
            }
            if stuck {
                return Ok(turn);
            }
        }
        Ok(match end {
            true if self.upstream == Upstream::Terminated => Turn::End(Ending::Terminated),
            true if link.server.ending => Turn::End(Ending::ServerEnded),
            true => return Err(lost()),
            false => turn,
        })
    }

    /// Loses or doubles bytes on their way to the client, where that is asked for.
    fn falsify(&mut self, world: &mut Shared) {
        let bytes = self.output.bytes().to_vec();
        if world.breaks(Mutation::DropByte) {
            self.output.clear();
            let _ = self.output.push(&bytes[1..]);
        }
        if world.breaks(Mutation::DoubleBytes) {
            let _ = self.output.push(&bytes);
        }
    }
}

/// The types of the frames at the front, if there stands one.
fn tags(bytes: &[u8]) -> String {
    let all = frames(&mut bytes.to_vec());
    all.iter().map(|(tag, _)| *tag as char).collect()
}
