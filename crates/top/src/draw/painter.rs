//! Owns the one way to put text into a frame: clipped, cut at its width, in the colours of the theme.

use crate::cells::Tone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How it may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// With colours, those of the terminal.
    Colour,
    /// Without (`NO_COLOR`): bold, faint and reversed only.
    Mono,
    /// For text that is read elsewhere.
    Plain,
}

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    Tone(Tone),
    /// Names of things, over what they name.
    Strong,
    /// A bar of its own: title, heads of columns.
    Bar,
    /// What is chosen.
    Chosen,
    /// What somebody has to read.
    Alarm,
}

impl Theme {
    fn style(self, ink: Ink) -> Style {
        let plain = Style::new();
        let (colour, mono) = match ink {
            Ink::Tone(Tone::Plain) => (plain, plain),
            Ink::Tone(Tone::Faint) => {
                (plain.fg(Color::DarkGray), plain.add_modifier(Modifier::DIM))
            }
            Ink::Tone(Tone::Good) => (plain.fg(Color::Green), plain),
            Ink::Tone(Tone::Warn) => (plain.fg(Color::Yellow), plain.add_modifier(Modifier::BOLD)),
            Ink::Tone(Tone::Bad) => (plain.fg(Color::Red), plain.add_modifier(Modifier::BOLD)),
            Ink::Strong => {
                let bold = plain.add_modifier(Modifier::BOLD);
                (bold, bold)
            }
            Ink::Bar => {
                let bar = plain.fg(Color::Black).bg(Color::Cyan);
                (bar, plain.add_modifier(Modifier::REVERSED))
            }
            Ink::Chosen => {
                let reversed = plain.add_modifier(Modifier::REVERSED);
                (reversed, reversed.add_modifier(Modifier::BOLD))
            }
            Ink::Alarm => {
                let alarm = plain
                    .fg(Color::White)
                    .bg(Color::Red)
                    .add_modifier(Modifier::BOLD);
                (
                    alarm,
                    plain.add_modifier(Modifier::REVERSED | Modifier::BOLD),
                )
            }
        };
        match self {
            Self::Colour => colour,
            Self::Mono => mono,
            Self::Plain => plain,
        }
    }
}

/// A frame that is being drawn.
pub(crate) struct Painter<'b> {
    buffer: &'b mut Buffer,
    area: Rect,
    pub(crate) theme: Theme,
}

impl<'b> Painter<'b> {
    pub(crate) fn new(buffer: &'b mut Buffer, area: Rect, theme: Theme) -> Painter<'b> {
        let area = area.intersection(buffer.area);
        Painter {
            buffer,
            area,
            theme,
        }
    }

    pub(crate) fn width(&self) -> u16 {
        self.area.width
    }

    pub(crate) fn height(&self) -> u16 {
        self.area.height
    }

    /// Puts a text of at most so many columns; gives the column behind it.
    pub(crate) fn put(&mut self, (x, y): (u16, u16), text: &str, most: u16, ink: Ink) -> u16 {
        debug_assert!(!text.contains(char::is_control), "{text:?}");
        if y >= self.area.height || x >= self.area.width {
            return x;
        }
        let most = most.min(self.area.width - x);
        let (text, is_cut) = cut(text, usize::from(most));
        let style = self.theme.style(ink);
        let (left, top) = (self.area.x, self.area.y);
        let (mut end, _) =
            self.buffer
                .set_stringn(left + x, top + y, text, usize::from(most), style);
        if is_cut && most > 0 {
            end = self.buffer.set_stringn(end, top + y, "…", 1, style).0;
        }
        end - left
    }

    /// The same, ending at the right of its columns.
    pub(crate) fn put_right(&mut self, (x, y): (u16, u16), text: &str, width: u16, ink: Ink) {
        let len = u16::try_from(text.width()).unwrap_or(u16::MAX);
        let left = x.saturating_add(width.saturating_sub(len));
        self.put((left, y), text, width, ink);
    }

    /// Blanks columns of a line.
    pub(crate) fn fill(&mut self, (x, y): (u16, u16), width: u16, ink: Ink) {
        let right = x.saturating_add(width).min(self.area.width);
        // A wide character that reaches in from the left would hide what is put here.
        let before = (self.area.x + x.saturating_sub(1), self.area.y + y);
        if x > 0
            && y < self.area.height
            && let Some(cell) = self.buffer.cell_mut(before)
            && cell.symbol().width() > 1
        {
            cell.set_symbol(" ");
        }
        let style = self.theme.style(ink);
        for column in x..right {
            if let Some(cell) = self
                .buffer
                .cell_mut((self.area.x + column, self.area.y + y))
                && y < self.area.height
            {
                cell.reset();
                cell.set_style(style);
            }
        }
    }

    /// Blanks a box with a frame in the middle; gives where its inside begins, and how wide it is.
    pub(crate) fn boxed(&mut self, (width, height): (u16, u16), title: &str) -> (u16, u16, u16) {
        let (width, height) = (width.min(self.width()), height.min(self.height()));
        let (x, y) = ((self.width() - width) / 2, (self.height() - height) / 2);
        let rule = "─".repeat(usize::from(width.saturating_sub(2)));
        for line in 0..height {
            self.fill((x, y + line), width, Ink::Tone(Tone::Plain));
            let edge = match line {
                0 => format!("┌{rule}┐"),
                last if last + 1 == height => format!("└{rule}┘"),
                _ => {
                    self.put((x, y + line), "│", 1, Ink::Strong);
                    self.put((x + width.saturating_sub(1), y + line), "│", 1, Ink::Strong);
                    continue;
                }
            };
            self.put((x, y + line), &edge, width, Ink::Strong);
        }
        self.put(
            (x + 2, y),
            &format!(" {title} "),
            width.saturating_sub(4),
            Ink::Strong,
        );
        (x + 2, y + 1, width.saturating_sub(4))
    }
}

/// As much of a text as has room, and whether a sign is to follow that it goes on.
fn cut(text: &str, columns: usize) -> (&str, bool) {
    if text.len() <= columns || text.width() <= columns {
        return (text, false);
    }
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used + 1 > columns {
            return (&text[..at], true);
        }
    }
    (text, false)
}

/// A text in lines of so many columns, broken at spaces where there are some.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(2);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let len = word.trim_end().width();
        if used > 0 && used + len > columns {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for character in word.chars() {
            let width = character.width().unwrap_or(0);
            if used + width > columns {
                if character == ' ' {
                    continue;
                }
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(character);
            used += width;
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_cut_at_a_character() {
        for (text, columns, expected) in [
            ("abc", 3, ("abc", false)),
            ("abcd", 3, ("ab", true)),
            ("日本語", 6, ("日本語", false)),
            ("日本語", 5, ("日本", true)),
            ("日本語", 4, ("日", true)),
            ("日本語", 1, ("", true)),
            ("x", 0, ("", true)),
        ] {
            assert_eq!(cut(text, columns), expected, "{text} {columns}");
        }
    }

    #[test]
    fn long_texts_are_broken_at_spaces() {
        assert_eq!(wrapped("select a from b", 8), ["select a", "from b"]);
        assert_eq!(wrapped("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrapped("日本語", 4), ["日本", "語"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}
