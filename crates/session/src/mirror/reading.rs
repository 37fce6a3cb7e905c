//! Owns the reading of a mirror's answer to a copy: it is counted and thrown away. The mirror is taken for hostile:
//! whatever a server may not say here ends its connection, and nothing of it is kept.

use super::Answer;
use crate::fault::{Fault, FaultKind, Side};
use buf::Plain;
use wire::frame::{HEADER, Header};
use wire::from_server;
use wire::run::bulk;

/// Of an ErrorResponse so much is waited for before it is read.
const ERROR_MAX: usize = 8192;

/// An answer under way.
#[derive(Debug, Default)]
pub struct Reading {
    answer: Answer,
    /// Bytes of the present frame that are still to be thrown away.
    passing: usize,
}

impl Reading {
    /// Takes the answer off `input`; `None` asks for more of it.
    pub fn step(&mut self, input: &mut Plain) -> Result<Option<Answer>, Fault> {
        loop {
            let here = self.passing.min(input.len());
            input.consume(here);
            self.passing -= here;
            if self.passing > 0 {
                return Ok(None);
            }
            let bytes = input.bytes();
            let Some(header) = Header::peek(bytes) else {
                return Ok(None);
            };
            if matches!(header.tag, b'D' | b'd') {
                let run = bulk(bytes, header.tag);
                self.answer.rows += run.frames as u64;
                if run.frames > 0 {
                    input.consume(run.bytes);
                    continue;
                }
            }
            judge(header)?;
            match header.tag {
                b'D' | b'd' => self.answer.rows += 1,
                b'E' if bytes.len() < header.total().min(ERROR_MAX) => return Ok(None),
                b'E' => self
                    .answer
                    .failed(&bytes[..bytes.len().min(header.total())]),
                b'Z' => match bytes.get(HEADER..header.total()) {
                    None => return Ok(None),
                    Some(b"I") => {
                        input.consume(header.total());
                        return Ok(Some(self.answer));
                    }
                    Some(_) => return Err(out_of_phase(b'Z')),
                },
                _ => {}
            }
            self.passing = header.total();
        }
    }
}

/// Whether such a frame may be part of the answer to statements that read.
fn judge(header: Header) -> Result<(), Fault> {
    let may_come = matches!(
        header.tag,
        b'1' | b'2'
            | b'3'
            | b'A'
            | b'C'
            | b'D'
            | b'E'
            | b'H'
            | b'I'
            | b'N'
            | b'S'
            | b'T'
            | b'Z'
            | b'c'
            | b'd'
            | b'n'
            | b's'
            | b't'
    );
    let limit = from_server::limit(header.tag).filter(|_| may_come);
    match limit {
        None => Err(out_of_phase(header.tag)),
        Some(limit) if header.len < 4 || header.len > limit => {
            let (tag, len) = (header.tag, header.len);
            Err(Fault::new(Side::Server, FaultKind::BadLength { tag, len }))
        }
        Some(_) => Ok(()),
    }
}

fn out_of_phase(tag: u8) -> Fault {
    let phase = "the answer to a copy";
    Fault::new(Side::Server, FaultKind::OutOfPhase { tag, phase })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framed::frame;

    /// What is read of these bytes in pieces of so many.
    fn read(bytes: &[u8], piece: usize) -> Result<Option<Answer>, Fault> {
        let (mut reading, mut input) = (Reading::default(), Plain::with_capacity(16 * 1024));
        for part in bytes.chunks(piece) {
            input.push(part).expect("room");
            if let Some(answer) = reading.step(&mut input)? {
                assert!(input.is_empty(), "something is left");
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    #[test]
    fn an_answer_in_any_pieces_is_the_same() {
        let ready = frame(b'Z', b"I");
        let row = frame(b'D', &[7; 100]);
        let error = frame(b'E', b"SERROR\0VERROR\0C42P01\0Mno\0\0");
        for (frames, rows, state) in [
            (vec![frame(b'I', b""), ready.clone()], 0, None),
            (
                vec![
                    frame(b'3', b""),
                    frame(b'1', b""),
                    frame(b'2', b""),
                    frame(b'T', b"\0\0"),
                    row.repeat(50),
                    frame(b'C', b"SELECT 50\0"),
                    ready.clone(),
                ],
                50,
                None,
            ),
            // A row that is longer than all that is ever held of it.
            (vec![frame(b'D', &[1; 100_000]), ready.clone()], 1, None),
            (vec![row.clone(), error, ready.clone()], 1, Some("42P01")),
            (
                vec![
                    frame(b'H', b"\0\0\0"),
                    frame(b'd', b"x\n"),
                    frame(b'c', b""),
                    ready,
                ],
                1,
                None,
            ),
        ] {
            let bytes = frames.concat();
            for piece in [1, 2, 7, 100, 8192] {
                let answer = read(&bytes, piece).expect("an answer").expect("its end");
                let error = answer.error.map(|it| it.to_string());
                assert_eq!((answer.rows, error.as_deref()), (rows, state), "{piece}");
            }
        }
    }

    #[test]
    fn what_no_answer_has_ends_it() {
        for bytes in [
            frame(b'R', &[0; 4]),
            frame(b'G', b"\0\0\0"),
            frame(b'Z', b"T"),
            frame(b'Z', b"E"),
            frame(b'?', b""),
            b"D\0\0\0\x03".to_vec(),
            b"Z\0\0\xff\xff".to_vec(),
        ] {
            assert!(read(&bytes, 1).is_err(), "{bytes:?}");
        }
    }
}
