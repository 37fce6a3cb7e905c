//! Owns what keeps a governed client's frames where they are: a statement that waits for its turn, and one under way
//! behind which nothing may go yet.

use super::{Run, Step};
use crate::govern::Admitted;
use crate::ledger::Status;
use crate::statements::{Instead, Refusal};
use wire::Message;
use wire::Text;
use wire::frame::{HEADER, Header};
use wire::from_client::{BindFront, Parse, tag};

/// Frames of a batch that are looked through for an Execute.
const LOOK_AHEAD_MAX: usize = 64;

impl Run<'_> {
    /// Between two frames, and with room: lets the server fail behind a result that was cut, if that is due.
    #[inline]
    pub(super) fn fails_now(&mut self) -> bool {
        let governor = self.sides.pooled.governor();
        match governor.and_then(|it| it.take_failure()) {
            Some(instead) => {
                self.fail(instead);
                true
            }
            None => false,
        }
    }

    /// Whether the frame at the front has to stay there, or was refused.
    pub(super) fn held_up(&mut self, header: Header) -> Option<Step> {
        let server = &self.sides.server;
        let (copies, skips) = (server.ledger.reads_copy(), server.ledger.skips());
        let is_in_transaction = server.status != Status::Idle;
        let governor = self.sides.pooled.governor()?;
        governor.stands(is_in_transaction);
        if governor.blocks() && !copies {
            return Some(self.stall());
        }
        if governor.is_holding() && skips {
            governor.drop_hold();
        }
        if governor.is_holding() && governor.still_holds() {
            return Some(self.wait());
        }
        // One statement is counted at a time.
        let executes = matches!(header.tag, tag::QUERY | tag::EXECUTE | tag::FUNCTION_CALL);
        if executes && !skips && governor.counts() {
            return Some(self.stall());
        }
        match header.tag {
            tag::PARSE | tag::BIND if !skips => self.in_advance(header),
            _ => None,
        }
    }

    /// The frame at the front waits for its turn.
    pub(super) fn wait(&mut self) -> Step {
        match self.sides.server.ledger.is_settled() {
            true => Step::Stop,
            false => self.stall(),
        }
    }

    /// The client's statement went to the server, if one more than `asked` did; `execute`: the Execute at the front.
    pub(super) fn sent(&mut self, asked: u64, execute: Option<Header>) {
        let now = self.asked();
        let Some(governor) = self.sides.pooled.governor() else {
            return;
        };
        let body = execute.and_then(|it| self.belt.rest().get(HEADER..it.total()));
        let portal = body.map(|body| Text::cut(body).bytes());
        governor.sent((now > asked).then_some(now), portal);
    }

    /// A batch that begins outside of a transaction waits before anything of it goes to a server, so that it holds up
    /// none that others could use: if what it executes is here already.
    fn in_advance(&mut self, header: Header) -> Option<Step> {
        let server = &self.sides.server;
        let is_fresh = server.status == Status::Idle && server.ledger.is_closed();
        let governor = self.sides.pooled.governor()?;
        if let Some(refusal) = governor.take_held_refusal() {
            return Some(self.refuse_first(refusal, header));
        }
        if !is_fresh || !governor.may_foresee() {
            return None;
        }
        let bytes = self.look_ahead()?;
        let body = self.belt.rest().get(HEADER..header.total())?;
        let is_held = match header.tag {
            tag::BIND => {
                let front = BindFront::decode(body)?;
                let known = self.sides.known_by_name(front.statement.bytes());
                self.sides.pooled.governor()?.foresee(known.as_deref())
            }
            _ => {
                let parse = Parse::decode(body).ok()?;
                let shapes = self.sides.pooled.governor()?.wants_shapes();
                let known = self.sides.read(parse.sql.bytes(), shapes);
                self.sides.pooled.governor()?.foresee(Some(&known))
            }
        };
        if !is_held {
            return None;
        }
        match self.sides.pooled.governor()?.admit_in_advance(bytes) {
            Admitted::Go => None,
            Admitted::Hold => Some(self.wait()),
            Admitted::Refuse(refusal) => Some(self.refuse_first(refusal, header)),
        }
    }

    /// Refuses the Parse or Bind at the front.
    fn refuse_first(&mut self, refusal: Refusal, header: Header) -> Step {
        let is_named = self.belt.rest().get(HEADER).is_none_or(|it| *it != 0);
        if header.tag == tag::BIND || is_named {
            return self.refuse_use(refusal, header);
        }
        self.refuse(refusal, Instead::UnnamedParse);
        self.drop_frame(header)
    }

    /// Bytes of the batch at the front up to its first Execute, if that is here.
    fn look_ahead(&self) -> Option<usize> {
        let rest = self.belt.rest();
        let mut at = 0;
        for _ in 0..LOOK_AHEAD_MAX {
            let header = Header::peek(rest.get(at..)?)?;
            at += header.total();
            match header.tag {
                tag::EXECUTE => return Some(at),
                tag::PARSE | tag::BIND | tag::DESCRIBE if header.len >= 4 => {}
                _ => return None,
            }
        }
        None
    }
}
