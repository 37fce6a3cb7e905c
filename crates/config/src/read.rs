//! Owns the way from TOML tables to sections: finds each setting's value or its default, and names
//! every key that no setting has.

use crate::document::{Report, Span};
use crate::error::{Problem, Suggestion};
use crate::nearest;
use crate::sections::{RENAMED, SECTIONS};
use crate::setting::{Bounds, Fallback, Kind, Occurs, Section, Setting};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A problem and the part of the file that has it.
pub(crate) struct Bad {
    pub(crate) span: Span,
    pub(crate) problem: Problem,
}

/// The value of a setting, and where it comes from.
#[derive(Clone)]
pub(crate) struct Given<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it stands; for a default, where its section does.
    pub(crate) span: Span,
    /// Whether it stands in the file.
    pub(crate) written: bool,
    /// Whether it was taken over from another section.
    inherited: bool,
    /// Whether it is written there.
    written_there: bool,
    /// Its section.
    path: &'static str,
    /// Its name there.
    name: &'static str,
}

impl<T> Given<T> {
    /// Its key, dotted.
    pub(crate) fn key(&self) -> String {
        dotted(self.path, self.name)
    }

    /// Whether it was taken over from another section, where its place is, too.
    pub(crate) fn inherited(&self) -> bool {
        self.inherited
    }

    /// Whether it is no default: written here, or where it was taken over from.
    pub(crate) fn is_set(&self) -> bool {
        self.written || self.written_there
    }

    /// This one if it is written, else what another section says.
    pub(crate) fn or(self, other: &Self) -> Self
    where
        T: Clone,
    {
        match self.written {
            true => self,
            false => Self {
                written: false,
                inherited: true,
                written_there: other.written,
                ..other.clone()
            },
        }
    }

    /// Its name in its section.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}

/// A type that a setting can have.
pub(crate) trait Read: Sized {
    /// What people call it.
    const KIND: Kind;
    /// Bounds of a setting that names none.
    const BOUNDS: Bounds = Bounds::new(0, u64::MAX);
    /// Reads a TOML value.
    fn read(value: &Value<'_>, bounds: Bounds) -> Result<Self, Bad>;
    /// The value of a setting that is not there, for types that have one.
    fn unset() -> Option<Self> {
        None
    }
}

/// A section that can be read from a table.
pub(crate) trait ReadSection: Sized {
    /// Its part of the table of settings.
    const SECTION: Section;
    /// Reads all its settings; `None` if any was bad, which the report then says.
    fn read(table: &mut TableReader<'_, '_>) -> Option<Self>;
}

/// A TOML value with its place.
pub(crate) struct Value<'v>(&'v Spanned<DeValue<'v>>);

impl<'v> Value<'v> {
    /// This problem, here.
    pub(crate) fn bad(&self, problem: Problem) -> Bad {
        Bad {
            span: Span(self.0.span().start),
            problem,
        }
    }

    /// This is of the wrong type.
    pub(crate) fn not(&self, expected: &'static str) -> Bad {
        let found = match self.0.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        self.bad(Problem::WrongType { expected, found })
    }

    /// The text, if it is one.
    pub(crate) fn text(&self, expected: &'static str) -> Result<&'v str, Bad> {
        self.0.get_ref().as_str().ok_or_else(|| self.not(expected))
    }

    /// True or false, if it is that.
    pub(crate) fn boolean(&self, expected: &'static str) -> Result<bool, Bad> {
        self.0.get_ref().as_bool().ok_or_else(|| self.not(expected))
    }

    /// The number, if it is a whole one.
    pub(crate) fn integer(&self) -> Option<i128> {
        let integer = self.0.get_ref().as_integer()?;
        let number = i128::from_str_radix(integer.as_str(), integer.radix());
        // TOML's whole numbers have 64 bits; a longer one is out of every bound.
        Some(number.unwrap_or(i128::MAX))
    }

    /// The elements of a list, or the value itself as the only one.
    pub(crate) fn elements(&self) -> Vec<Value<'v>> {
        match self.0.get_ref() {
            DeValue::Array(elements) => elements.iter().map(Value).collect(),
            _ => vec![Value(self.0)],
        }
    }
}

/// Reads the settings of one table. Without a table, all have their defaults.
pub(crate) struct TableReader<'r, 't> {
    table: Option<&'r DeTable<'t>>,
    header: Span,
    path: &'static str,
    report: &'r Report<'t>,
}

impl TableReader<'_, '_> {
    /// Reads one setting; `None` if it is bad or missing, which the report then says.
    pub(crate) fn setting<T: Read>(&mut self, setting: &'static Setting) -> Option<Given<T>> {
        let written = self.table.and_then(|table| table.get(setting.name));
        let Some(value) = written else {
            return self.fallback(setting);
        };
        match T::read(&Value(value), setting.bounds) {
            Ok(read) => Some(Given {
                value: read,
                span: Span(value.span().start),
                written: true,
                inherited: false,
                written_there: false,
                path: self.path,
                name: setting.name,
            }),
            Err(bad) => {
                self.error(bad.span, setting, bad.problem);
                None
            }
        }
    }

    fn fallback<T: Read>(&mut self, setting: &'static Setting) -> Option<Given<T>> {
        let value = match setting.fallback {
            Fallback::Unset(_) => T::unset(),
            Fallback::Value(text) => parse(text, setting),
            Fallback::Required => None,
        };
        if value.is_none() {
            let missing = Problem::Missing {
                name: setting.name,
                sample: setting.sample,
            };
            self.error(self.header, setting, missing);
        }
        Some(Given {
            value: value?,
            span: self.header,
            written: false,
            inherited: false,
            written_there: false,
            path: self.path,
            name: setting.name,
        })
    }

    fn error(&self, span: Span, setting: &Setting, problem: Problem) {
        let key = format!("{}.{}", self.path, setting.name);
        self.report.error(span, key, problem);
    }
}

/// Reads a value of the table of settings by the reader that reads the file's.
pub(crate) fn parse<T: Read>(text: &str, setting: &Setting) -> Option<T> {
    let value = DeValue::parse(text).ok()?;
    T::read(&Value(&value), setting.bounds).ok()
}

/// Whether a value would do for a setting; `None` if it is no TOML.
pub(crate) fn judge(text: &str, setting: &Setting) -> Option<Result<(), Problem>> {
    let value = DeValue::parse(text).ok()?;
    let judged = (setting.judge)(&Value(&value), setting.bounds);
    Some(judged.map_err(|bad| bad.problem))
}

/// A table that holds sections: the whole file, or a section.
#[derive(Clone, Copy)]
pub(crate) struct Parent<'r, 't> {
    table: Option<&'r DeTable<'t>>,
    header: Span,
    path: &'static str,
    report: &'r Report<'t>,
}

impl<'r, 't> Parent<'r, 't> {
    /// The whole file.
    pub(crate) fn root(file: &'r DeTable<'t>, report: &'r Report<'t>) -> Self {
        Self {
            table: Some(file),
            header: Span(0),
            path: "",
            report,
        }
    }

    /// Reads a section that may stand once.
    pub(crate) fn once<S: ReadSection>(self) -> (Option<S>, Self) {
        let (table, header) = match self.find(&S::SECTION) {
            None => (None, self.header),
            Some(value) => match value.get_ref() {
                DeValue::Table(table) => (Some(table), Span(value.span().start)),
                _ => {
                    self.not_this(value, &S::SECTION);
                    return (None, self.at(None, self.header, &S::SECTION));
                }
            },
        };
        let child = self.at(table, header, &S::SECTION);
        (child.read(&S::SECTION), child)
    }

    /// Reads a section that may stand any number of times.
    pub(crate) fn many<S: ReadSection>(self) -> Vec<(Option<S>, Self)> {
        let section = &S::SECTION;
        let Some(value) = self.find(section) else {
            if section.occurs == Occurs::AtLeastOnce {
                let brackets = brackets(section);
                let problem = Problem::MissingSection { brackets };
                self.report.error(self.header, section.path, problem);
            }
            return Vec::new();
        };
        let DeValue::Array(elements) = value.get_ref() else {
            self.not_this(value, section);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for element in elements.iter() {
            let DeValue::Table(table) = element.get_ref() else {
                self.not_this(element, section);
                continue;
            };
            let child = self.at(Some(table), Span(element.span().start), section);
            sections.push((child.read(section), child));
        }
        sections
    }

    /// Where it stands, if it is written.
    pub(crate) fn written_at(self) -> Option<Span> {
        self.table.map(|_| self.header)
    }

    /// Names every key that neither a setting nor a section has.
    pub(crate) fn check_keys(self, settings: &[Setting]) {
        for (key, value) in self.table.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            let known = settings.iter().any(|setting| setting.name == name)
                || children(self.path).any(|(child, _)| child == name);
            if !known {
                let problem = unknown(self.path, settings, name, value.get_ref());
                let span = Span(key.span().start);
                self.report
                    .error(span, dotted(self.path, &shown(key.get_ref())), problem);
            }
        }
    }

    fn read<S: ReadSection>(self, section: &Section) -> Option<S> {
        self.check_keys(section.settings);
        S::read(&mut TableReader {
            table: self.table,
            header: self.header,
            path: section.path,
            report: self.report,
        })
    }

    fn at(self, table: Option<&'r DeTable<'t>>, header: Span, section: &Section) -> Self {
        Self {
            table,
            header,
            path: section.path,
            report: self.report,
        }
    }

    fn find(self, section: &Section) -> Option<&'r Spanned<DeValue<'t>>> {
        let name = section.path.rsplit('.').next().unwrap_or(section.path);
        self.table.and_then(|table| table.get(name))
    }

    fn not_this(self, value: &Spanned<DeValue<'_>>, section: &Section) {
        let brackets = brackets(section);
        let problem = Problem::NotThisSection { brackets };
        let span = Span(value.span().start);
        self.report.error(span, section.path, problem);
    }
}

/// The header of a section as one writes it.
pub(crate) fn brackets(section: &Section) -> String {
    match section.occurs {
        Occurs::Once => format!("[{}]", section.path),
        Occurs::AtLeastOnce | Occurs::AnyTimes => format!("[[{}]]", section.path),
    }
}

/// The sections right below `path`, with their last names.
fn children(path: &str) -> impl Iterator<Item = (&'static str, &'static Section)> {
    SECTIONS.iter().filter_map(move |section| {
        let (parent, name) = section.path.rsplit_once('.').unwrap_or(("", section.path));
        (parent == path).then_some((name, section))
    })
}

pub(crate) fn dotted(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// A key of the file, safe to print: without control characters, and not endless.
fn shown(key: &DeString<'_>) -> String {
    const MOST: usize = 64;
    let printable = |letter: char| match letter {
        letter if letter.is_control() => '?',
        letter => letter,
    };
    key.chars().take(MOST).map(printable).collect()
}

/// What to say about a key that nothing has.
fn unknown(path: &str, settings: &[Setting], name: &str, value: &DeValue<'_>) -> Problem {
    let ends_with = |end| settings.iter().find(|it| it.name.ends_with(end));
    if let (true, Some(file), Some(env)) = (
        name.ends_with("password"),
        ends_with("password_file"),
        ends_with("password_env"),
    ) {
        return Problem::InlineSecret {
            file: file.name,
            env: env.name,
        };
    }
    let suggestion = suggest(path, settings, name);
    let is_section = match value {
        DeValue::Table(_) => true,
        DeValue::Array(list) => list.iter().any(|element| element.get_ref().is_table()),
        _ => false,
    };
    if is_section {
        Problem::UnknownSection(suggestion)
    } else {
        Problem::UnknownKey(suggestion)
    }
}

/// What was probably meant: the name in another section, a name of PgBouncer, a name nearby.
fn suggest(path: &str, settings: &[Setting], name: &str) -> Option<Suggestion> {
    let has = |section: &&Section| section.settings.iter().any(|it| it.name == name);
    let below = |section: &&Section| section.path.starts_with(path);
    let elsewhere = SECTIONS.iter().filter(below).find(has);
    if let Some(section) = elsewhere.or_else(|| SECTIONS.iter().find(has)) {
        return Some(Suggestion::In {
            brackets: brackets(section),
        });
    }
    if let Some((_, path)) = RENAMED.iter().find(|(theirs, _)| *theirs == name) {
        return Some(Suggestion::Renamed { path });
    }
    let here = settings.iter().map(|setting| setting.name);
    if let Some(near) = nearest::word(name, here) {
        return Some(Suggestion::Near(near.to_owned()));
    }
    let sections = children(path).map(|(child, _)| child);
    if let Some(near) = nearest::word(name, sections) {
        let section = children(path).find(|(child, _)| *child == near);
        return section.map(|(_, section)| Suggestion::Near(brackets(section)));
    }
    let everywhere = || {
        SECTIONS
            .iter()
            .flat_map(|section| section.settings.iter().map(move |it| (section, it.name)))
    };
    let near = nearest::word(name, everywhere().map(|(_, name)| name))?;
    let (section, _) = everywhere().find(|(_, name)| *name == near)?;
    Some(Suggestion::Near(format!(
        "{near}, under {}",
        brackets(section)
    )))
}
