//! Owns the frames that most answers are made of, where nothing but the client's own requests is owed and nobody has
//! anything to say between them: BindComplete, RowDescription, rows, and the tag. Whatever is rarer is left, and with it
//! all that follows.

use super::tags::{TAG_BYTES_MAX, may_tell};
use crate::inspect;
use crate::server::Server;
use crate::statements::Pooled;
use wire::frame::Header;
use wire::run::bulk;

/// True if nothing stands between the server's frames and the client.
#[inline]
pub(super) fn passes_plainly(server: &Server, pooled: Option<&Pooled>) -> bool {
    server.ledger.is_plain()
        && server.passing == 0
        && server.dropping == 0
        && !server.ending
        && pooled.is_none_or(Pooled::passes_plainly)
}

/// Bytes of such frames at the front of `bytes`, each settled as any other reply is.
pub(super) fn frames<const POOLED: bool>(server: &mut Server, bytes: &[u8]) -> usize {
    let mut done = 0;
    loop {
        let rest = &bytes[done..];
        let Some(header) = Header::peek(rest) else {
            return done;
        };
        let is_whole = header.len >= 4 && rest.len() >= header.total();
        let passes = match header.tag {
            b'D' if server.ledger.rows_due() => {
                let run = bulk(rest, b'D');
                if run.frames == 0 {
                    return done;
                }
                inspect::rows(server, run);
                done += run.bytes;
                continue;
            }
            b'2' if is_whole && header.body() == 0 => {
                let passes = server.ledger.settles_plainly(b'2');
                if POOLED && passes {
                    // The batch is under way: it can't be sent again.
                    server.again.drop();
                }
                passes
            }
            b'n' => is_whole && header.body() == 0 && server.ledger.settles_plainly(b'n'),
            b'T' => is_whole && server.ledger.settles_plainly(b'T'),
            b'C' if is_whole && header.body() <= TAG_BYTES_MAX && !(POOLED && may_tell(header)) => {
                let passes = server.ledger.settles_plainly(b'C');
                if passes {
                    inspect::tagged(server, header, rest);
                }
                passes
            }
            _ => false,
        };
        if !passes {
            return done;
        }
        done += header.total();
    }
}
