//! Owns the terminal while the monitor has it: its state, which is put back on every way out, keys, and when the
//! screen is drawn.

use super::TopFault;
use super::line::Line;
use crate::interrupt::Interrupt;
use ratatui::crossterm::event::{self, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use top::{Effect, Event, Key, Model, Theme};

/// How long an answer or a key may stay unseen.
pub(super) const TURN: Duration = Duration::from_millis(30);

/// How often the screen is drawn where nothing happens: times go on.
const REDRAW: Duration = Duration::from_millis(500);

/// How long the loop may take to come to its end once that is wished.
const END: Duration = Duration::from_secs(1);

/// Shows the monitor until somebody ends it.
pub(super) fn show(model: Model, line: &Line, interrupt: &Arc<Interrupt>) -> Result<(), TopFault> {
    let wished = Arc::clone(interrupt);
    let watch = move || {
        wished.wait();
        // crossterm reads a terminal that is gone for ever, and never comes back to the loop.
        thread::park_timeout(END);
        let _ = ratatui::try_restore();
        std::process::exit(1);
    };
    let builder = thread::Builder::new().name("end".to_owned());
    builder.spawn(watch).map_err(TopFault::Terminal)?;
    // A panic puts the terminal back, too.
    let mut terminal = ratatui::try_init().map_err(TopFault::Terminal)?;
    let shown = turn(model, (line, interrupt), &mut terminal);
    let restored = ratatui::try_restore();
    shown.and(restored).map_err(TopFault::Terminal)
}

/// Columns of the terminal, if there is one.
pub(super) fn columns() -> Option<u16> {
    let (columns, _) = ratatui::crossterm::terminal::size().ok()?;
    (columns > 0).then_some(columns)
}

/// While it lives, the terminal says what is pasted, and not typed: a `K` and a `y` in it must not end a session.
struct Pastes;

impl Pastes {
    fn apart() -> io::Result<Pastes> {
        ratatui::crossterm::execute!(io::stdout(), event::EnableBracketedPaste)?;
        Ok(Pastes)
    }
}

impl Drop for Pastes {
    fn drop(&mut self) {
        // A terminal that is gone needs it no more.
        let _ = ratatui::crossterm::execute!(io::stdout(), event::DisableBracketedPaste);
    }
}

fn turn(
    mut model: Model,
    (line, interrupt): (&Line, &Interrupt),
    terminal: &mut ratatui::DefaultTerminal,
) -> io::Result<()> {
    let theme = match std::env::var_os("NO_COLOR").is_some_and(|it| !it.is_empty()) {
        true => Theme::Mono,
        false => Theme::Colour,
    };
    let _apart = Pastes::apart()?;
    let start = Instant::now();
    let mut drawn: Option<Instant> = None;
    let mut rows = 0;
    while !interrupt.is_wished() {
        let mut events = vec![Event::Tick];
        let height = terminal.size()?.height;
        if height != rows {
            rows = height;
            events.push(Event::Rows(rows));
        }
        events.extend(std::iter::from_fn(|| line.next(Duration::ZERO)));
        while event::poll(Duration::ZERO)? {
            match event::read()? {
                event::Event::Key(pressed) => events.extend(key(pressed).map(Event::Key)),
                event::Event::Resize(..) => drawn = None,
                _ => {}
            }
        }
        let nothing = events.len() == 1;
        for event in events {
            for effect in model.update(event, start.elapsed()) {
                match effect {
                    Effect::Quit => return Ok(()),
                    Effect::Redraw => terminal.clear()?,
                    other => line.give(other),
                }
            }
        }
        if !nothing || drawn.is_none_or(|it| it.elapsed() >= REDRAW) {
            terminal.draw(|frame| model.view(frame, theme))?;
            drawn = Some(Instant::now());
        }
        event::poll(TURN)?;
    }
    Ok(())
}

/// What a key means; nothing for those that are let go, and for others.
fn key(pressed: KeyEvent) -> Option<Key> {
    if pressed.kind == KeyEventKind::Release {
        return None;
    }
    let control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    Some(match pressed.code {
        KeyCode::Char('c') if control => Key::Interrupt,
        KeyCode::Char('l') if control => Key::Redraw,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(letter) => Key::Char(letter),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
