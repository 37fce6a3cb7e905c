//! Owns the process that runs programs for another one, which has given up the right to do so.
//!
//! It is this same program, started anew with a hidden command while everything is still allowed. Its
//! standard input is one end of a pair of sockets. The first thing that it reads there is the list of
//! programs; from then on it reads orders (a number of the list, how long that may take, and values for a few variables
//! of its environment whose names are fixed), and answers each with what that program wrote.
//! So whoever takes over the process at the other end can have the same programs run once more, and no
//! others. It ends when the other end is closed.

use super::command::{CommandFault, OUTPUT_MAX, TIMEOUT, run_command};
use crate::activation::forget;
use crate::cli::ATTEND;
use buf::Secret;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a program may be told in its environment.
pub(crate) const VARIABLES: [&str; 3] = ["PORTCULLIS_CLUSTER", "PORTCULLIS_FROM", "PORTCULLIS_TO"];
/// Bytes of one such value.
const VALUE_MAX: usize = 512;
/// The longest that a program may take.
const LIMIT: Duration = Duration::from_secs(24 * 3600);

/// What an answer may take beyond the program's own time.
const GRACE: Duration = Duration::from_secs(5);
/// Kind, number and length in front of an answer's bytes.
const HEAD: usize = 9;

/// The other process, seen from the one that needs it.
pub(crate) struct Attendant {
    socket: UnixStream,
    /// What it was told of.
    programs: Vec<Vec<String>>,
    process: Child,
}

impl Attendant {
    /// Starts it with the programs that it may run. While this process may still run programs itself.
    pub(crate) fn start(programs: Vec<Vec<String>>) -> io::Result<Attendant> {
        let (socket, other) = UnixStream::pair()?;
        // The file that this process was started from, even if another has its name by now. A group of
        // its own, so that Ctrl-C in a terminal leaves it to us when it ends.
        let process = forget(&mut Command::new("/proc/self/exe"))
            .arg0("portcullis")
            .arg(ATTEND)
            .stdin(Stdio::from(OwnedFd::from(other)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let mut attendant = Attendant {
            socket,
            programs,
            process,
        };
        attendant.socket.write_all(&listed(&attendant.programs))?;
        Ok(attendant)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What a program writes.
    pub(crate) fn run(&mut self, words: &[String]) -> Result<Secret, CommandFault> {
        self.run_told(words, TIMEOUT, &[])
    }

    /// What a program writes that may take so long and finds these values in its environment, in the order of
    /// [`VARIABLES`].
    pub(crate) fn run_told(
        &mut self,
        words: &[String],
        timeout: Duration,
        values: &[&str],
    ) -> Result<Secret, CommandFault> {
        let found = self.programs.iter().position(|program| program == words);
        let Some(number) = found.and_then(|at| u32::try_from(at).ok()) else {
            return Err(CommandFault::NotAtStart);
        };
        let order = Order {
            number,
            timeout,
            values: values.iter().map(|it| (*it).to_owned()).collect(),
        };
        let patience = self.socket.set_read_timeout(Some(timeout + GRACE));
        let asked = patience.and_then(|()| self.socket.write_all(&order.bytes()));
        let answer = asked.and_then(|()| read_answer(&mut self.socket));
        answer.unwrap_or_else(|_| {
            // An answer that comes late would be taken for that to the next question.
            let _ = self.socket.shutdown(std::net::Shutdown::Both);
            let _ = self.process.try_wait();
            Err(CommandFault::Unattended)
        })
    }
}

/// The hidden command: runs programs until the other end is closed.
pub(crate) fn serve() -> io::Result<()> {
    // Passphrases pass through here, too. The programs are not held to it: execve makes them dumpable.
    let _ = prctl::set_dumpable(false);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let mut socket = UnixStream::from(socket);
    let programs = read_list(&mut socket)?;
    loop {
        let order = match Order::read(&mut socket) {
            Ok(order) => order,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let program = usize::try_from(order.number).ok();
        let program = program.and_then(|at| programs.get(at));
        let done = match program {
            Some(words) => {
                let told: Vec<_> = VARIABLES.into_iter().zip(order.values).collect();
                run_command((words, &told), order.timeout, Some(socket.as_fd()))
            }
            None => Err(CommandFault::NotAtStart),
        };
        socket.write_all(answer(&done).expose())?;
    }
}

/// What is to be run, and how.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    number: u32,
    timeout: Duration,
    values: Vec<String>,
}

impl Order {
    /// As it is sent: number, milliseconds, how many values, then for each its length and bytes.
    fn bytes(&self) -> Vec<u8> {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
        let timeout = self.timeout.min(LIMIT).as_millis();
        let mut bytes = self.number.to_be_bytes().to_vec();
        bytes.extend(u32::try_from(timeout).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend(number(self.values.len()));
        for value in &self.values {
            bytes.extend(number(value.len()));
            bytes.extend(value.as_bytes());
        }
        bytes
    }

    fn read(from: &mut impl Read) -> io::Result<Order> {
        let number = read_number(from)?;
        let bad = || io::Error::from(ErrorKind::InvalidData);
        let timeout = Duration::from_millis(read_number(from)?.into());
        let count = read_number(from)? as usize;
        if count > VARIABLES.len() || timeout > LIMIT {
            return Err(bad());
        }
        let mut values = Vec::new();
        for _ in 0..count {
            let len = read_number(from)? as usize;
            if len > VALUE_MAX {
                return Err(bad());
            }
            let mut value = vec![0; len];
            from.read_exact(&mut value)?;
            let value = String::from_utf8(value).map_err(|_| bad())?;
            if value.contains('\0') {
                return Err(bad());
            }
            values.push(value);
        }
        Ok(Order {
            number,
            timeout,
            values,
        })
    }
}

/// The list as it is sent: how many, then for each how many words, then for each its length and bytes.
fn listed(programs: &[Vec<String>]) -> Vec<u8> {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
    let mut list = number(programs.len()).to_vec();
    for words in programs {
        list.extend(number(words.len()));
        for word in words {
            list.extend(number(word.len()));
            list.extend(word.as_bytes());
        }
    }
    list
}

fn read_list(from: &mut impl Read) -> io::Result<Vec<Vec<String>>> {
    let mut programs = Vec::new();
    for _ in 0..read_number(from)? {
        let mut words = Vec::new();
        for _ in 0..read_number(from)? {
            let mut word = Vec::new();
            let len = u64::from(read_number(from)?);
            if from.by_ref().take(len).read_to_end(&mut word)? as u64 != len {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            words.push(String::from_utf8(word).map_err(|_| ErrorKind::InvalidData)?);
        }
        programs.push(words);
    }
    Ok(programs)
}

fn read_number(from: &mut impl Read) -> io::Result<u32> {
    let mut number = [0; 4];
    from.read_exact(&mut number)?;
    Ok(u32::from_be_bytes(number))
}

/// An answer as it is sent: kind, number, length, bytes.
fn answer(done: &Result<Secret, CommandFault>) -> Secret {
    let fault = done.as_ref().err().copied();
    let (kind, number) = fault.map_or((0, 0), numbered);
    let bytes = done.as_ref().map_or(&[][..], |secret| secret.expose());
    // Exactly as long as it will be: a vector that grows leaves copies behind.
    let mut answer = Vec::with_capacity(HEAD + bytes.len());
    answer.push(kind);
    answer.extend(number.to_be_bytes());
    answer.extend(u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
    answer.extend(bytes);
    Secret::from_vec(answer)
}

fn read_answer(from: &mut impl Read) -> io::Result<Result<Secret, CommandFault>> {
    let mut head = [0; HEAD];
    from.read_exact(&mut head)?;
    let [kind, number @ .., l3, l2, l1, l0] = head;
    let len = u32::from_be_bytes([l3, l2, l1, l0]) as usize;
    if len > OUTPUT_MAX {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; len];
    let read = from.read_exact(&mut bytes);
    let secret = Secret::from_vec(bytes);
    read?;
    match kind {
        0 => Ok(Ok(secret)),
        _ => Ok(Err(
            fault(kind, i32::from_be_bytes(number)).ok_or(ErrorKind::InvalidData)?
        )),
    }
}

/// A fault as two numbers.
fn numbered(fault: CommandFault) -> (u8, i32) {
    match fault {
        CommandFault::NotStarted(ErrorKind::NotFound) => (1, 0),
        CommandFault::NotStarted(ErrorKind::PermissionDenied) => (1, 1),
        CommandFault::NotStarted(_) => (1, 2),
        CommandFault::Status(status) => (2, status),
        CommandFault::Killed => (3, 0),
        CommandFault::Timeout(_) => (4, 0),
        CommandFault::TooMuch => (5, 0),
        CommandFault::Unreadable => (6, 0),
        CommandFault::NotAtStart => (7, 0),
        CommandFault::Unattended => (8, 0),
    }
}

fn fault(kind: u8, number: i32) -> Option<CommandFault> {
    Some(match (kind, number) {
        (1, 0) => CommandFault::NotStarted(ErrorKind::NotFound),
        (1, 1) => CommandFault::NotStarted(ErrorKind::PermissionDenied),
        (1, _) => CommandFault::NotStarted(ErrorKind::Other),
        (2, status) => CommandFault::Status(status),
        (3, _) => CommandFault::Killed,
        (4, _) => CommandFault::Timeout(TIMEOUT),
        (5, _) => CommandFault::TooMuch,
        (6, _) => CommandFault::Unreadable,
        (7, _) => CommandFault::NotAtStart,
        (8, _) => CommandFault::Unattended,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_arrives_as_it_was_sent() {
        for programs in [
            vec![],
            vec![vec![
                "/bin/echo".to_owned(),
                String::new(),
                "a b".to_owned(),
            ]],
            vec![vec!["a".to_owned()], vec![], vec!["ä\n".to_owned()]],
        ] {
            let sent = listed(&programs);
            assert_eq!(read_list(&mut &sent[..]).unwrap(), programs);
            for len in 0..sent.len() {
                assert!(read_list(&mut &sent[..len]).is_err(), "{len}");
            }
        }
    }

    #[test]
    fn an_order_arrives_as_it_was_sent() {
        let order = |values: &[&str]| Order {
            number: 7,
            timeout: Duration::from_millis(1500),
            values: values.iter().map(|it| (*it).to_owned()).collect(),
        };
        for values in [&[][..], &["main", "db1:5432", "[::1]:5432"]] {
            let sent = order(values).bytes();
            assert_eq!(Order::read(&mut &sent[..]).unwrap(), order(values));
            for len in 0..sent.len() {
                assert!(Order::read(&mut &sent[..len]).is_err(), "{len}");
            }
        }
        let long = "x".repeat(VALUE_MAX + 1);
        for wrong in [order(&["a"; 4]), order(&["a\0b"]), order(&[&long])] {
            assert!(Order::read(&mut &wrong.bytes()[..]).is_err());
        }
    }

    #[test]
    fn an_answer_arrives_as_it_was_sent() {
        let faults = [
            CommandFault::NotStarted(ErrorKind::NotFound),
            CommandFault::NotStarted(ErrorKind::PermissionDenied),
            CommandFault::NotStarted(ErrorKind::Other),
            CommandFault::Status(-3),
            CommandFault::Killed,
            CommandFault::Timeout(TIMEOUT),
            CommandFault::TooMuch,
            CommandFault::Unreadable,
            CommandFault::NotAtStart,
            CommandFault::Unattended,
        ];
        for wanted in faults {
            let sent = answer(&Err(wanted));
            let read = read_answer(&mut sent.expose()).unwrap();
            assert_eq!(read.err(), Some(wanted));
        }
        let sent = answer(&Ok(Secret::new(b"open sesame")));
        let read = read_answer(&mut sent.expose()).unwrap().unwrap();
        assert_eq!(read.expose(), b"open sesame");
        assert!(read_answer(&mut &sent.expose()[..HEAD + 3]).is_err());
        // Longer than any program may write; no kind of answer.
        assert!(read_answer(&mut &[0, 0, 0, 0, 0, 0, 1, 0, 0][..]).is_err());
        assert!(read_answer(&mut &[9, 0, 0, 0, 0, 0, 0, 0, 0][..]).is_err());
    }
}
