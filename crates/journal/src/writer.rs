//! Owns what the thread does with lines between queue and file: stamps them, seals them, and tells of itself.

use crate::chain::{Link, Writer};
use crate::file::{Out, Target};
use crate::resume::Resumed;
use crate::sealed::{self, TOGETHER};
use crate::{Form, time};
use buf::Plain;
use seal::Recipient;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Makes of lines what stands in the file.
pub(crate) struct Scribe {
    target: Target,
    out: Out,
    recipients: Vec<Recipient>,
    /// Where the chain stands, if there is one.
    chain: Option<Link>,
    /// For its own records.
    form: Form,
    /// Records that found no room, as far as the file says so.
    lost_told: u64,
}

/// What the writer tells of itself in a chain.
pub(crate) mod event {
    /// A chain begins.
    pub(crate) const BEGUN: &str = "log-begun";
    /// It goes on in another process.
    pub(crate) const RESUMED: &str = "log-resumed";
    /// Records found no room.
    pub(crate) const DROPPED: &str = "log-dropped";
    /// The process ended in order.
    pub(crate) const CLOSED: &str = "log-closed";
}

impl Scribe {
    pub(crate) fn new(target: Target, recipients: Vec<Recipient>, form: Form) -> Scribe {
        Scribe {
            target,
            out: Out::default(),
            recipients,
            chain: None,
            form,
            lost_told: 0,
        }
    }

    pub(crate) fn target(&mut self) -> &mut Target {
        &mut self.target
    }

    /// True if there are lines that still have to be written.
    pub(crate) fn is_busy(&self) -> bool {
        !self.out.is_empty()
    }

    /// Goes on with the chain that is in the file, or begins one.
    pub(crate) fn chain(&mut self, resumed: Resumed) -> io::Result<()> {
        let is_same = self.target.own_len() == Some(resumed.file_bytes);
        if let Some(link) = resumed.link.filter(|_| is_same) {
            self.chain = Some(link);
            if resumed.is_open {
                self.out.bytes.push(b'\n');
            }
            let torn = [("torn", "true")];
            self.tell(event::RESUMED, &torn[..usize::from(resumed.is_torn)]);
            return Ok(());
        }
        let mut name = [0; 4];
        openssl::rand::rand_bytes(&mut name).map_err(io::Error::other)?;
        self.chain = Some(Link::start(Writer(name)));
        // What has no chain does not belong to what has one.
        if self.target.own_len().is_some_and(|len| len > 0) {
            self.target.rotate()?;
        }
        self.tell(event::BEGUN, &[]);
        Ok(())
    }

    /// Writes what was left over; then all lines of a batch, with a word on how many were lost so far.
    pub(crate) fn write(&mut self, batch: &mut Plain, lost: u64) -> io::Result<()> {
        if self.is_busy() {
            self.target.write(&mut self.out)?;
        }
        self.target.make_ready()?;
        if lost != self.lost_told && self.chain.is_some() {
            let count = (lost - self.lost_told).to_string();
            self.lost_told = lost;
            self.tell(event::DROPPED, &[("records_lost", &count)]);
        }
        while !batch.is_empty() {
            let bytes = match self.recipients.is_empty() {
                true => self.plain_line(batch.bytes())?,
                false => self.sealed_line(batch.bytes())?,
            };
            batch.consume(bytes);
        }
        self.target.write(&mut self.out)
    }

    /// The last record of a process that ends in order.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        if self.chain.is_some() {
            self.tell(event::CLOSED, &[]);
        }
        self.target.write(&mut self.out)
    }

    /// Takes one line out of `lines`; how many bytes it had.
    fn plain_line(&mut self, lines: &[u8]) -> io::Result<usize> {
        let end = line_end(lines);
        let line = &lines[..end - 1];
        match &mut self.chain {
            Some(link) => link.stamp(line, 1, &mut self.out.bytes),
            None => self.out.bytes.extend_from_slice(&lines[..end]),
        }
        Ok(end)
    }

    /// Takes some lines and makes one of them.
    fn sealed_line(&mut self, lines: &[u8]) -> io::Result<usize> {
        let (mut end, mut records) = (line_end(lines), 1);
        while end < lines.len() && end + line_end(&lines[end..]) <= TOGETHER {
            end += line_end(&lines[end..]);
            records += 1;
        }
        let line = match &self.chain {
            None => sealed::line(&self.recipients, &lines[..end], records)?,
            Some(link) => {
                let numbered = numbered(&lines[..end], link.seq, records);
                sealed::line(&self.recipients, &numbered, records)?
            }
        };
        match &mut self.chain {
            Some(link) => link.stamp(&line, records, &mut self.out.bytes),
            None => {
                self.out.bytes.extend_from_slice(&line);
                self.out.bytes.push(b'\n');
            }
        }
        Ok(end)
    }

    /// A record of the writer's own, which holds nothing of anybody's.
    fn tell(&mut self, event: &str, facts: &[(&str, &str)]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = time::text(now.unwrap_or_default());
        let mut line = match self.form {
            Form::Json => format!("{{\"time\":\"{time}\",\"event\":\"{event}\""),
            Form::Human => format!("{time} event=\"{event}\""),
        };
        for (name, value) in facts {
            line.push_str(&match self.form {
                Form::Json => format!(",\"{name}\":{value}"),
                Form::Human => format!(" {name}={value}"),
            });
        }
        if self.form == Form::Json {
            line.push('}');
        }
        if let Some(link) = &mut self.chain {
            link.stamp(line.as_bytes(), 1, &mut self.out.bytes);
        }
    }
}

/// Bytes of the first line, with its end.
fn line_end(lines: &[u8]) -> usize {
    lines
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(lines.len(), |it| it + 1)
}

/// Lines with their numbers, which follow `seq`.
fn numbered(lines: &[u8], seq: u64, records: u64) -> Zeroizing<Vec<u8>> {
    const NUMBER_MAX: usize = 32;
    // Room for all at once: what is outgrown would be freed with its content.
    let room = usize::try_from(records).unwrap_or(0) * NUMBER_MAX + lines.len();
    let mut numbered = Zeroizing::new(Vec::with_capacity(room));
    for (line, number) in lines.split_inclusive(|it| *it == b'\n').zip(seq + 1..) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        match line
            .strip_suffix(b"}")
            .filter(|it| it.first() == Some(&b'{'))
        {
            Some(line) => {
                numbered.extend_from_slice(line);
                numbered.extend_from_slice(format!(",\"seq\":{number}}}\n").as_bytes());
            }
            None => {
                numbered.extend_from_slice(line);
                numbered.extend_from_slice(format!(" seq={number}\n").as_bytes());
            }
        }
    }
    numbered
}
