//! Owns what a setting *is*: name, type, bounds, default, text and example, from which the reader,
//! the help, the example and the reference are made.

use crate::read::{Bad, Read, Value};

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key inside the section.
    pub name: &'static str,
    /// What it does.
    pub text: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The least and the most it may be.
    pub bounds: Bounds,
    /// What holds if it is not written.
    pub fallback: Fallback,
    /// A value as one would write it, in TOML. Empty if the default says enough.
    pub sample: &'static str,
    /// Whether the annotated example sets it, rather than showing it as a comment.
    pub in_example: bool,
    /// Whether a value would do.
    pub(crate) judge: Judge,
}

/// What holds if a setting is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// It must be written.
    Required,
    /// Nothing is set; the text says what happens then.
    Unset(&'static str),
    /// This value, in TOML; read by the same reader as a written one.
    Value(&'static str),
}

/// The type of a setting, as people call it.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// For example `duration`.
    pub name: &'static str,
    /// How its bounds are counted.
    pub unit: Unit,
    /// The words to choose from, if it is a choice.
    pub words: &'static [Word],
}

/// How bounds are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Not at all.
    None,
    /// A number.
    Count,
    /// Milliseconds.
    Millis,
    /// Bytes of a text.
    Length,
}

/// One word of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// The word.
    pub word: &'static str,
    /// Its meaning.
    pub meaning: &'static str,
}

/// The least and the most a setting may be, both included, in its [`Unit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub least: u64,
    /// The most.
    pub most: u64,
}

/// One section of the file.
#[derive(Debug, Clone, Copy)]
pub struct Section {
    /// For example `listen.tls`.
    pub path: &'static str,
    /// How often it may stand there.
    pub occurs: Occurs,
    /// What it is about.
    pub text: &'static str,
    /// Its settings.
    pub settings: &'static [Setting],
    /// The section whose settings these are; described there alone.
    pub like: Option<&'static str>,
}

/// How often a section may stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurs {
    /// Once at most: `[listen]`.
    Once,
    /// At least once: `[[database]]`.
    AtLeastOnce,
    /// Any number of times: `[[user]]`.
    AnyTimes,
}

impl Bounds {
    /// A pair of bounds.
    pub(crate) const fn new(least: u64, most: u64) -> Self {
        Self { least, most }
    }

    /// True if `amount` lies between them.
    pub(crate) fn hold(self, amount: u64) -> bool {
        self.least <= amount && amount <= self.most
    }

    /// Both bounds in words.
    pub(crate) fn in_words(self, unit: Unit) -> String {
        match unit {
            Unit::None => String::new(),
            Unit::Count => format!("{} to {}", self.least, self.most),
            Unit::Millis => format!("{} to {}", duration(self.least), duration(self.most)),
            Unit::Length => format!("{} to {} bytes", self.least, self.most),
        }
    }
}

/// A number of milliseconds in the largest unit that divides it.
fn duration(millis: u64) -> String {
    match millis {
        0 => "0".to_owned(),
        ms if ms % 86_400_000 == 0 => format!("{}d", ms / 86_400_000),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}min", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

impl Setting {
    /// A required setting of type `T`, for the table to refine.
    pub(crate) const fn of<T: Read>(name: &'static str, text: &'static str) -> Self {
        Self {
            name,
            text,
            kind: T::KIND,
            bounds: T::BOUNDS,
            fallback: Fallback::Required,
            sample: "",
            in_example: false,
            judge: judge::<T>,
        }
    }
}

/// Whether a value would do for a setting.
pub(crate) type Judge = fn(&Value<'_>, Bounds) -> Result<(), Bad>;

fn judge<T: Read>(value: &Value<'_>, bounds: Bounds) -> Result<(), Bad> {
    T::read(value, bounds).map(drop)
}

/// Declares a section: the struct of its values, the table of its settings, and its reader, from
/// one text. A setting's docstring is its text in the help and the reference.
macro_rules! section {
    (
        $(#[doc = $text:literal])+
        $name:ident = $path:literal, $occurs:ident {
            $(
                $(#[doc = $about:literal])+
                $setting:ident: $type:ty { $($attribute:ident: $value:expr),* $(,)? }
            )+
        }
    ) => {
        $(#[doc = $text])+
        #[allow(
            rustdoc::broken_intra_doc_links,
            reason = "these texts are for people: brackets in them are sections and addresses"
        )]
        #[derive(Clone)]
        pub(crate) struct $name {
            $( $(#[doc = $about])+ pub(crate) $setting: $crate::read::Given<$type>, )+
        }

        impl $crate::read::ReadSection for $name {
            const SECTION: $crate::setting::Section = $crate::setting::Section {
                path: $path,
                occurs: $crate::setting::Occurs::$occurs,
                text: concat!($($text, "\n"),+),
                settings: &[$(
                    $crate::setting::Setting {
                        $($attribute: $value,)*
                        ..$crate::setting::Setting::of::<$type>(
                            stringify!($setting),
                            concat!($($about, "\n"),+),
                        )
                    },
                )+],
                like: None,
            };

            fn read(table: &mut $crate::read::TableReader<'_, '_>) -> Option<Self> {
                let mut settings = Self::SECTION.settings.iter();
                // All are read before any is missed, so that every error comes out.
                $( let $setting = settings.next().and_then(|it| table.setting::<$type>(it)); )+
                Some(Self { $( $setting: $setting?, )+ })
            }
        }
    };
}
pub(crate) use section;

/// Declares a section with the settings of another one.
macro_rules! same_section {
    (
        $(#[doc = $text:literal])+
        $name:ident = $path:literal, $occurs:ident, as $original:ident
    ) => {
        $(#[doc = $text])+
        #[allow(
            rustdoc::broken_intra_doc_links,
            reason = "these texts are for people: brackets in them are sections and addresses"
        )]
        pub(crate) struct $name(pub(crate) $original);

        impl $crate::read::ReadSection for $name {
            const SECTION: $crate::setting::Section = $crate::setting::Section {
                path: $path,
                occurs: $crate::setting::Occurs::$occurs,
                text: concat!($($text, "\n"),+),
                settings: <$original as $crate::read::ReadSection>::SECTION.settings,
                like: Some(<$original as $crate::read::ReadSection>::SECTION.path),
            };

            fn read(table: &mut $crate::read::TableReader<'_, '_>) -> Option<Self> {
                <$original as $crate::read::ReadSection>::read(table).map(Self)
            }
        }
    };
}
pub(crate) use same_section;
