//! Owns the end of a result that is larger than rules allow: the client gets an error in the place of the next row, and
//! what the server still says of that statement goes nowhere.

use super::tags::{is_all_gone, may_tell};
use super::to_client::{Severity, Step, severity, whole};
use crate::fault::Fault;
use crate::govern::Rows;
use crate::inspect;
use crate::ledger::{Fate, Status};
use crate::server::Server;
use crate::statements::{Instead, Pooled, Refusal};
use buf::Plain;
use wire::frame::Header;
use wire::run::bulk;

/// What becomes of rows of a statement that is counted; `None`: these are none.
#[inline]
pub(super) fn counted(
    pooled: &mut Pooled,
    server: &Server,
    header: Header,
    bytes: &[u8],
) -> Option<Rows> {
    let governor = pooled.governor().filter(|it| it.counts())?;
    let is_row = match header.tag {
        b'D' => server.ledger.rows_due(),
        b'd' => server.ledger.copy_data_due() && !server.ledger.reads_copy(),
        _ => false,
    };
    (is_row && header.len >= 4 && governor.counts_now(&server.ledger))
        .then(|| governor.rows(header, bytes))
}

/// The client gets this in the place of the next row, and nothing more of the answer.
pub(super) fn cut(server: &mut Server, refusal: &Refusal, output: &mut Plain) {
    let put = refusal.put(output);
    debug_assert!(put.is_ok());
    server.ledger.cut();
    inspect::cut(server, refusal.words().0);
}

/// A frame of an answer that was cut.
pub(super) fn reply(
    pooled: Option<&mut Pooled>,
    server: &mut Server,
    header: Header,
    bytes: &[u8],
) -> Result<Step, Fault> {
    match header.tag {
        b'D' | b'd' => {
            // One reply tells the ledger of all.
            server.reply(header.tag)?;
            Ok(match bulk(bytes, header.tag).bytes {
                0 => dropped(server, header, bytes),
                run => Step::Drop(run),
            })
        }
        b'E' => match severity(header, bytes) {
            Severity::Unseen => Ok(Step::Wait),
            Severity::Fatal => Ok(Step::Fatal),
            Severity::Error => {
                server.reply(b'E')?;
                Ok(dropped(server, header, bytes))
            }
        },
        b'Z' => ready(pooled, server, header, bytes),
        b'C' if may_tell(header) => {
            let Some(body) = whole(header, bytes) else {
                return Ok(Step::Wait);
            };
            ended(pooled, server, b'C', is_all_gone(body))?;
            server.done(body);
            Ok(Step::Drop(header.total()))
        }
        tag => {
            ended(pooled, server, tag, false)?;
            Ok(dropped(server, header, bytes))
        }
    }
}

/// Drops the frame at the front, as it comes.
fn dropped(server: &mut Server, header: Header, bytes: &[u8]) -> Step {
    let here = header.total().min(bytes.len());
    server.dropping = header.total() - here;
    Step::Drop(here)
}

/// A reply that is no row, perhaps the end of an Execute that went well all the same.
fn ended(
    pooled: Option<&mut Pooled>,
    server: &mut Server,
    tag: u8,
    is_all_gone: bool,
) -> Result<(), Fault> {
    let before = server.ledger.len();
    let fate = server.reply(tag)?;
    let Some(pooled) = pooled else {
        return Ok(());
    };
    if is_all_gone {
        pooled.holdings.names.clear();
    }
    if fate == Fate::Cut
        && server.ledger.len() < before
        && let Some(governor) = pooled.governor()
    {
        governor.owe_failure(Instead::NamedParse);
    }
    Ok(())
}

/// The end of a Query: the client's, unless the transaction has to fail first.
fn ready(
    pooled: Option<&mut Pooled>,
    server: &mut Server,
    header: Header,
    bytes: &[u8],
) -> Result<Step, Fault> {
    let Some(body) = whole(header, bytes) else {
        return Ok(Step::Wait);
    };
    let went_well = server.ledger.is_cut_alive();
    server.ready(body)?;
    if went_well
        && server.status == Status::InTransaction
        && let Some(governor) = pooled.and_then(Pooled::governor)
    {
        governor.owe_failure(Instead::Query);
        return Ok(Step::Drop(header.total()));
    }
    let ended = server.status == Status::Idle;
    server.traffic.answered(ended, server.ledger.tally());
    Ok(Step::Pass(header.total()))
}
