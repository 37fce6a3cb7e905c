//! Owns the reading of an answer whose lines come one by one, for as long as the other side has something to say.

use crate::Fault;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;

/// Reads until a line is the one. An answer that ends before is a fault, and so is one that is no success.
pub(crate) async fn wait(
    host: &str,
    answer: Response<Incoming>,
    line_max: usize,
    mut is_it: impl FnMut(&[u8]) -> bool,
) -> Result<(), Fault> {
    let fault = |reason: String| Fault::Http {
        host: host.to_owned(),
        reason,
    };
    if !answer.status().is_success() {
        return Err(fault(format!("status {}", answer.status().as_u16())));
    }
    let mut body = answer.into_body();
    let mut lines = Lines::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| fault(error.to_string()))?;
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        match lines.take(&bytes, line_max, &mut is_it) {
            Taken::Found => return Ok(()),
            Taken::More => {}
            Taken::TooLong => {
                let host = host.to_owned();
                return Err(Fault::TooLong {
                    host,
                    most: line_max,
                });
            }
        }
    }
    Err(fault("it ended".to_owned()))
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Found,
    More,
    TooLong,
}

/// The beginning of a line whose end has not come.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, bytes: &[u8], most: usize, is_it: &mut impl FnMut(&[u8]) -> bool) -> Taken {
        let mut pieces = bytes.split(|it| *it == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            if self.0.len() + piece.len() > most {
                return Taken::TooLong;
            }
            self.0.extend_from_slice(piece);
            // Behind the last one no end has come.
            if pieces.peek().is_some() {
                if is_it(&self.0) {
                    return Taken::Found;
                }
                self.0.clear();
            }
        }
        Taken::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_come() {
        let text = b"one\n\ntwo\nthree\nrest";
        for size in 1..=text.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for part in text.chunks(size) {
                let taken = lines.take(part, 5, &mut |line| {
                    seen.push(String::from_utf8_lossy(line).into_owned());
                    false
                });
                assert_eq!(taken, Taken::More);
            }
            assert_eq!(seen, ["one", "", "two", "three"], "{size}");
        }
        let mut lines = Lines::default();
        let mut is_two = |line: &[u8]| line == b"two";
        assert_eq!(lines.take(b"one\ntw", 3, &mut is_two), Taken::More);
        assert_eq!(lines.take(b"o\nthree\n", 3, &mut is_two), Taken::Found);
        let mut lines = Lines::default();
        assert_eq!(lines.take(b"one\nfo", 3, &mut is_two), Taken::More);
        assert_eq!(lines.take(b"ur", 3, &mut is_two), Taken::TooLong);
    }
}
