//! Owns the line to the console: a thread that connects, asks and gives orders, one after the other, and says
//! what came of it. Takes effects, gives events; a console that takes its time stops nobody's keys. An errand has
//! a connection and a thread of its own, so that one sees meanwhile what it does.

use super::place::Place;
use session::listing::{Listing, Words};
use shell::inquiry::Inquiry;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;
use top::{Answer, Connected, Effect, Event, Generation, Source, Table};

/// What an errand may take: no switchover takes longer than an hour (`switchover_timeout`).
const ERRAND: Duration = Duration::from_secs(3660);

/// A line.
pub(super) struct Line {
    effects: Sender<Effect>,
    events: Receiver<Event>,
}

impl Line {
    /// Starts its thread; nothing is asked yet.
    pub(super) fn start(place: Place) -> io::Result<Line> {
        let (effects, taken) = channel();
        let (give, events) = channel();
        let talk = Talk {
            place: Arc::new(place),
            inquiry: None,
            generation: 0,
        };
        let builder = thread::Builder::new().name("console".to_owned());
        // It ends when the other ends of its channels do, and is waited for by nobody: a console that hangs would
        // keep the terminal.
        builder.spawn(move || talk.serve(&taken, &give))?;
        Ok(Line { effects, events })
    }

    /// Has something done.
    pub(super) fn give(&self, effect: Effect) {
        // A line that is gone has said so.
        let _ = self.effects.send(effect);
    }

    /// What came of it, if something did within that time.
    pub(super) fn next(&self, patience: Duration) -> Option<Event> {
        match self.events.recv_timeout(patience) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                // Nothing will come any more; who asks on is not to spin.
                thread::park_timeout(patience);
                None
            }
        }
    }
}

struct Talk {
    place: Arc<Place>,
    inquiry: Option<Inquiry>,
    generation: Generation,
}

impl Talk {
    fn serve(mut self, effects: &Receiver<Effect>, events: &Sender<Event>) {
        while let Ok(effect) = effects.recv() {
            let event = match effect {
                Effect::Connect => self.connect(),
                Effect::Ask(sources) => self.ask(&sources),
                Effect::Order { generation, order } => self.order(generation, &order),
                Effect::Errand(order) => match self.send(order, events) {
                    Ok(()) => continue,
                    Err(fault) => Event::Ordered(Err(fault.to_string())),
                },
                Effect::Redraw | Effect::Quit => continue,
            };
            if events.send(event).is_err() {
                return;
            }
        }
    }

    fn connect(&mut self) -> Event {
        match self.place.open() {
            Ok((inquiry, about)) => {
                self.inquiry = Some(inquiry);
                self.generation += 1;
                let generation = self.generation;
                Event::Connected(Connected { generation, about })
            }
            Err(why) => Event::Lost(why),
        }
    }

    fn ask(&mut self, sources: &[Source]) -> Event {
        let mut answer = Answer::default();
        for source in sources {
            let Some(inquiry) = &mut self.inquiry else {
                return Event::Lost("the connection is gone".to_owned());
            };
            match inquiry.ask(source.question()) {
                Ok(Ok(it)) => {
                    let table = Table::new(&it.columns, &it.rows, it.left_out);
                    answer.tables.push((*source, Ok(table)));
                }
                Ok(Err(words)) => answer.tables.push((*source, Err(words.message))),
                Err(fault) => return self.lose(&fault),
            }
        }
        Event::Answer(answer)
    }

    /// An order that was given of another process's clients is not carried out: the numbers are others' there.
    fn order(&mut self, generation: Generation, order: &str) -> Event {
        let Some(inquiry) = self
            .inquiry
            .as_mut()
            .filter(|_| generation == self.generation)
        else {
            // A new connection may have taken its place, and that one is well.
            let words = format!("the connection was lost, and {order} was not given");
            return Event::Ordered(Err(words));
        };
        match inquiry.ask(order) {
            Ok(answer) => ordered(order, answer),
            Err(fault) => self.lose(&fault),
        }
    }

    /// Has an errand done beside everything else.
    fn send(&self, order: String, events: &Sender<Event>) -> io::Result<()> {
        let (place, events) = (Arc::clone(&self.place), events.clone());
        let builder = thread::Builder::new().name("errand".to_owned());
        // Waited for by nobody, like the line itself.
        builder.spawn(move || drop(events.send(errand(&place, &order))))?;
        Ok(())
    }

    fn lose(&mut self, fault: &session::fault::Fault) -> Event {
        self.inquiry = None;
        Event::Lost(crate::leg::cause(fault))
    }
}

fn errand(place: &Place, order: &str) -> Event {
    let mut inquiry = match place.open_for("portcullis top", ERRAND) {
        Ok((inquiry, _)) => inquiry,
        Err(why) => return Event::Ordered(Err(format!("{order} was not given: {why}"))),
    };
    match inquiry.ask(order) {
        Ok(answer) => ordered(order, answer),
        Err(fault) => {
            let why = crate::leg::cause(&fault);
            Event::Ordered(Err(format!("how {order} went is not known: {why}")))
        }
    }
}

/// What the console made of an order.
fn ordered(order: &str, answer: Result<Listing, Words>) -> Event {
    Event::Ordered(match answer {
        Ok(_) => Ok(format!("done: {order}")),
        Err(words) => {
            let hint = words.hint.map(|it| format!(" ({it})")).unwrap_or_default();
            Err(format!("{}{hint}", words.message))
        }
    })
}
