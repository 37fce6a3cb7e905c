//! Owns `portcullis top`: the way from the command line to a console, and the loop between its answers, the
//! keys and the screen. What is shown and what follows from a key is crate [`top`]'s.

mod line;
pub(crate) mod place;
mod screen;

use crate::cli::{TopOptions, TopView};
use crate::fault::Fault;
use crate::interrupt::Interrupt;
use crate::output::say;
use crate::quickstart::QuickFault;
use crate::quickstart::url::BadUrl;
use line::Line;
use place::Place;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tls::ContextFault;
use top::{Event, Model, Options, Tab};

/// How long `--once` waits for its answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Columns of what `--once` prints, where the terminal doesn't say.
const WIDTH: u16 = 200;

/// Why there is nothing to watch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopFault {
    /// The URL leads nowhere.
    #[error("{0}")]
    Url(#[from] BadUrl),
    /// No password.
    #[error("{0}")]
    Password(QuickFault),
    /// TLS can't be set up.
    #[error("{0}")]
    Tls(#[from] ContextFault),
    /// The certificate that the configuration names can't be read.
    #[error("the certificate {path} of [listen.tls] cannot be read: {cause}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// Nobody may look.
    #[error(
        "this configuration has no [admin] with admin_users: nobody may look; name a user there, or with --user"
    )]
    NoAdministrator,
    /// It is no terminal.
    #[error("the output is no terminal; with --once what is seen is printed as text")]
    NoTerminal,
    /// The terminal can't be used.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[source] std::io::Error),
    /// No answer came.
    #[error("{0}")]
    NoAnswer(String),
}

/// Watches a proxy until somebody has seen enough.
pub(crate) fn run(options: &TopOptions) -> Result<(), Vec<Fault>> {
    if !options.once && !std::io::stdout().is_terminal() {
        return Err(vec![TopFault::NoTerminal.into()]);
    }
    let place = Place::find(&options.console())?;
    let mut model = Model::new(Options {
        interval: options.interval,
        target: place.about.clone(),
    });
    let effects = model.open(tab(options.view));
    debug_assert!(
        effects.is_empty(),
        "nothing is asked before there is a connection"
    );
    let interrupt = Interrupt::watch().map_err(|fault| vec![Fault::System(fault)])?;
    let about = place.about.clone();
    let line = Line::start(place).map_err(|fault| vec![Fault::System(fault)])?;
    connect(&mut model, &line, &interrupt).map_err(|why| {
        let why = format!("cannot use the console of {about}: {why}");
        vec![TopFault::NoAnswer(why).into()]
    })?;
    let watched = match options.once {
        true => once(model, &line, &interrupt, options.interval),
        false => screen::show(model, &line, &interrupt),
    };
    watched.map_err(|fault| vec![fault.into()])
}

fn tab(view: TopView) -> Tab {
    match view {
        TopView::Activity => Tab::Activity,
        TopView::Clients => Tab::Clients,
        TopView::Patterns => Tab::Patterns,
        TopView::Pools => Tab::Pools,
        TopView::Servers => Tab::Servers,
        TopView::Clusters => Tab::Clusters,
    }
}

/// Connects before the screen is taken: what is wrong now is wrong on the command line, and a password that is
/// wrong is not to be tried again and again.
fn connect(model: &mut Model, line: &Line, interrupt: &Interrupt) -> Result<(), String> {
    let start = Instant::now();
    let mut event = Event::Tick;
    while !model.is_up() {
        if let Event::Lost(why) = event {
            return Err(why);
        }
        for effect in model.update(event, start.elapsed()) {
            line.give(effect);
        }
        if interrupt.is_wished() {
            return Err("interrupted".to_owned());
        }
        event = match model.is_up() {
            true => Event::Tick,
            false => line.next(screen::TURN).unwrap_or(Event::Tick),
        };
    }
    Ok(())
}

/// Looks twice, so that there are rates, and prints what was seen.
fn once(
    mut model: Model,
    line: &Line,
    interrupt: &Interrupt,
    interval: Duration,
) -> Result<(), TopFault> {
    let start = Instant::now();
    let mut looks = 0;
    let mut event = Event::Tick;
    while looks < 2 {
        let is_answer = matches!(event, Event::Answer(_));
        if let Event::Lost(why) = event {
            return Err(TopFault::NoAnswer(why));
        }
        for effect in model.update(event, start.elapsed()) {
            line.give(effect);
        }
        looks += usize::from(is_answer);
        if interrupt.is_wished() || start.elapsed() > PATIENCE + 2 * interval {
            let why = "no answer came from the console".to_owned();
            return Err(TopFault::NoAnswer(why));
        }
        event = line.next(screen::TURN).unwrap_or(Event::Tick);
    }
    say(&model.plain(screen::columns().unwrap_or(WIDTH)));
    Ok(())
}
