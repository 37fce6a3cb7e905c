//! What clients did to shared counters and what they were answered, and whether that can have been one server that
//! does one thing after the other and forgets nothing.
//!
//! Every write adds one row under an identity that its client made up, and one to the client's counter, both or none.
//! So a counter equals its rows; its answers are all different; and whatever begins after something was answered knows
//! of it, in whichever client and at whichever server.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// A row's identity: the client, and its own number for the write.
pub type Id = (usize, u64);

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A row under this client's number, and one more on its counter.
    Write(u64),
    /// The counter.
    Read,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The counter, afterwards if it was written to, and the port of the server that said so.
    Answered {
        /// The counter.
        value: u64,
        /// The server.
        port: u16,
    },
    /// None came: it was done or not.
    Unknown,
}

/// One thing that a client did. Times are since the first client began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deed {
    /// Who.
    pub client: usize,
    /// Which counter is the client's.
    pub counter: usize,
    /// What.
    pub act: Act,
    /// Nothing was sent before.
    pub began: Duration,
    /// Nothing was heard afterwards.
    pub ended: Duration,
    /// The answer.
    pub outcome: Outcome,
}

/// What the last primary holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holding {
    /// The rows, each of which is there once.
    pub rows: HashSet<Id>,
    /// The counters, by number.
    pub counters: BTreeMap<usize, u64>,
}

/// Why it can't have been one such server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A write was acknowledged and is not there.
    Lost(Id),
    /// A row is there that nobody wrote.
    Strange(Id),
    /// A counter is not what its rows make.
    Miscounted {
        /// Which counter.
        counter: usize,
        /// What it says.
        value: u64,
        /// How many writes to it are there.
        rows: u64,
    },
    /// Two writes were answered with the same count: one was undone, or took place at another server.
    Twice {
        /// Which counter.
        counter: usize,
        /// The answer.
        value: u64,
    },
    /// An answer doesn't know of what was answered before it was asked for.
    Stale {
        /// That.
        deed: Deed,
        /// What was known by then.
        known: u64,
    },
    /// An answer counts more writes than had begun.
    Early {
        /// That.
        deed: Deed,
        /// How many had begun.
        begun: u64,
    },
}

/// What was found, of a history without a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Writes that were acknowledged.
    pub acknowledged: usize,
    /// Writes that were not and are there all the same.
    pub unknown_there: usize,
    /// Writes that were not and are not there.
    pub unknown_gone: usize,
    /// Reads that were answered.
    pub read: usize,
}

/// Judges all that was done, and what is there at the end.
pub fn judge(deeds: &[Deed], holding: &Holding) -> Result<Figures, Fault> {
    let figures = rows(deeds, holding)?;
    let mut by_counter: BTreeMap<usize, Vec<Deed>> = BTreeMap::new();
    for deed in deeds {
        by_counter.entry(deed.counter).or_default().push(*deed);
    }
    for (counter, deeds) in by_counter {
        counted(counter, &deeds, holding)?;
        answers(counter, &deeds)?;
    }
    Ok(figures)
}

/// What was acknowledged is there, and nothing is that nobody wrote.
fn rows(deeds: &[Deed], holding: &Holding) -> Result<Figures, Fault> {
    let mut figures = Figures::default();
    let mut written = HashSet::new();
    for deed in deeds {
        let id = match deed.act {
            Act::Write(number) => (deed.client, number),
            Act::Read => {
                figures.read += usize::from(deed.outcome != Outcome::Unknown);
                continue;
            }
        };
        written.insert(id);
        match (deed.outcome, holding.rows.contains(&id)) {
            (Outcome::Answered { .. }, true) => figures.acknowledged += 1,
            (Outcome::Answered { .. }, false) => return Err(Fault::Lost(id)),
            (Outcome::Unknown, true) => figures.unknown_there += 1,
            (Outcome::Unknown, false) => figures.unknown_gone += 1,
        }
    }
    match holding.rows.difference(&written).min() {
        Some(strange) => Err(Fault::Strange(*strange)),
        None => Ok(figures),
    }
}

/// A counter is as many as its rows.
fn counted(counter: usize, deeds: &[Deed], holding: &Holding) -> Result<(), Fault> {
    let is_there = |deed: &&Deed| match deed.act {
        Act::Write(number) => holding.rows.contains(&(deed.client, number)),
        Act::Read => false,
    };
    let rows = deeds.iter().filter(is_there).count() as u64;
    let value = holding.counters.get(&counter).copied().unwrap_or(0);
    match value == rows {
        true => Ok(()),
        false => Err(Fault::Miscounted {
            counter,
            value,
            rows,
        }),
    }
}

/// Answers of one counter are in the order of time, and no two writes have the same one.
fn answers(counter: usize, deeds: &[Deed]) -> Result<(), Fault> {
    let mut answered = Vec::new();
    let mut begun = Vec::new();
    let mut told: HashMap<u64, Deed> = HashMap::new();
    for deed in deeds {
        let is_write = matches!(deed.act, Act::Write(_));
        if is_write {
            begun.push(deed.began);
        }
        if let Outcome::Answered { value, .. } = deed.outcome {
            if is_write && told.insert(value, *deed).is_some() {
                return Err(Fault::Twice { counter, value });
            }
            answered.push((*deed, value));
        }
    }
    begun.sort_unstable();
    let mut by_end = answered.clone();
    by_end.sort_unstable_by_key(|(deed, _)| deed.ended);
    answered.sort_unstable_by_key(|(deed, _)| deed.began);
    let mut known = 0;
    let mut earlier = by_end.iter().peekable();
    for (deed, value) in answered {
        while let Some((_, value)) = earlier.next_if(|(it, _)| it.ended < deed.began) {
            known = known.max(*value);
        }
        let least = known + u64::from(deed.act != Act::Read);
        if value < least {
            return Err(Fault::Stale { deed, known });
        }
        let begun = begun.partition_point(|it| *it <= deed.ended) as u64;
        if value > begun {
            return Err(Fault::Early { deed, begun });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 5432;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Client, what, from, to, and the counter that was answered.
    type Line = (usize, Act, u64, u64, Option<u64>);

    fn deeds(lines: &[Line]) -> Vec<Deed> {
        let deed = |&(client, act, began, ended, answer): &Line| Deed {
            client,
            counter: 0,
            act,
            began: ms(began),
            ended: ms(ended),
            outcome: match answer {
                Some(value) => Outcome::Answered { value, port: PORT },
                None => Outcome::Unknown,
            },
        };
        lines.iter().map(deed).collect()
    }

    fn holding(rows: &[Id], value: u64) -> Holding {
        Holding {
            rows: rows.iter().copied().collect(),
            counters: BTreeMap::from([(0, value)]),
        }
    }

    use Act::{Read, Write};

    /// Two clients at once, one without an answer, and reads between them.
    const GOOD: [Line; 6] = [
        (0, Write(1), 0, 10, Some(1)),
        (1, Write(1), 5, 20, None),
        (0, Read, 11, 30, Some(1)),
        (1, Read, 12, 31, Some(2)),
        (0, Write(2), 32, 40, Some(3)),
        (1, Write(2), 41, 50, None),
    ];

    #[test]
    fn what_is_unknown_may_be_there_or_not() {
        let figures = judge(&deeds(&GOOD), &holding(&[(0, 1), (0, 2), (1, 1)], 3));
        let wanted = Figures {
            acknowledged: 2,
            unknown_there: 1,
            unknown_gone: 1,
            read: 2,
        };
        assert_eq!(figures, Ok(wanted));
        let all = [(0, 1), (0, 2), (1, 1), (1, 2)];
        let figures = judge(&deeds(&GOOD), &holding(&all, 4)).unwrap();
        assert_eq!((figures.unknown_there, figures.unknown_gone), (2, 0));
    }

    #[test]
    fn what_is_there_is_compared_with_what_was_promised() {
        let good = deeds(&GOOD);
        for (rows, value, fault) in [
            (&[(0, 1), (1, 1)][..], 2, Fault::Lost((0, 2))),
            (&[(0, 1), (0, 2), (1, 1), (7, 7)], 4, Fault::Strange((7, 7))),
            (
                &[(0, 1), (0, 2), (1, 1)],
                4,
                Fault::Miscounted {
                    counter: 0,
                    value: 4,
                    rows: 3,
                },
            ),
            (
                &[(0, 1), (0, 2), (1, 1)],
                2,
                Fault::Miscounted {
                    counter: 0,
                    value: 2,
                    rows: 3,
                },
            ),
        ] {
            assert_eq!(judge(&good, &holding(rows, value)), Err(fault));
        }
    }

    #[test]
    fn answers_are_of_one_history() {
        let all = holding(&[(0, 1), (1, 1), (0, 2)], 3);
        let three = [
            (0, Write(1), 0, 10, Some(1)),
            (1, Write(1), 5, 20, Some(2)),
            (0, Write(2), 21, 30, Some(3)),
        ];
        let with = |more: Line| judge(&deeds(&[&three[..], &[more]].concat()), &all);
        // At the same time as a write either count is right, behind it only the new one, in whichever client.
        assert!(with((1, Read, 25, 40, Some(2))).is_ok());
        assert!(with((1, Read, 25, 40, Some(3))).is_ok());
        assert!(matches!(
            with((1, Read, 31, 40, Some(2))),
            Err(Fault::Stale { known: 3, .. })
        ));
        // More than was ever asked for, or before it was.
        assert!(matches!(
            with((1, Read, 31, 40, Some(4))),
            Err(Fault::Early { begun: 3, .. })
        ));
        assert!(matches!(
            with((1, Read, 11, 20, Some(3))),
            Err(Fault::Early { begun: 2, .. })
        ));
        let mut twice = three;
        twice[1].4 = Some(1);
        let fault = Fault::Twice {
            counter: 0,
            value: 1,
        };
        assert_eq!(judge(&deeds(&twice), &all), Err(fault));
        // A write that is answered with what was known before it.
        let mut back = three;
        back[1].4 = Some(3);
        back[2].4 = Some(2);
        assert!(matches!(
            judge(&deeds(&back), &all),
            Err(Fault::Early { .. } | Fault::Stale { .. })
        ));
    }
}
