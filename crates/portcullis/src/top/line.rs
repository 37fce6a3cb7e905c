//! Owns the line to the console: a thread that connects, asks and gives orders, one after the other, and says
//! what came of it. Takes effects, gives events; a console that takes its time stops nobody's keys.

use super::place::Place;
use shell::inquiry::Inquiry;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;
use top::{Answer, Connected, Effect, Event, Generation, Source, Table};

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
            place,
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
    place: Place,
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
            Ok(Ok(_)) => Event::Ordered(Ok(format!("done: {order}"))),
            Ok(Err(words)) => {
                let hint = words.hint.map(|it| format!(" ({it})")).unwrap_or_default();
                Event::Ordered(Err(format!("{}{hint}", words.message)))
            }
            Err(fault) => self.lose(&fault),
        }
    }

    fn lose(&mut self, fault: &session::fault::Fault) -> Event {
        self.inquiry = None;
        Event::Lost(crate::leg::cause(fault))
    }
}
