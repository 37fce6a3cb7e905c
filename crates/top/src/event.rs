//! Owns what comes in and what goes out.

use crate::Table;

/// A table of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// What clients are doing.
    Activity,
    /// Who is connected.
    Clients,
    /// Connections to servers.
    Servers,
    /// Statements by pattern.
    Patterns,
    /// Server connections by database and user.
    Pools,
    /// What databases may have.
    Databases,
    /// Sums by database.
    Totals,
    /// Whether work goes on.
    State,
    /// Clusters that databases follow.
    Clusters,
    /// Their hosts.
    Hosts,
}

impl Source {
    /// What to ask.
    pub fn question(self) -> &'static str {
        match self {
            Self::Activity => "SHOW ACTIVITY",
            Self::Clients => "SHOW CLIENTS",
            Self::Servers => "SHOW SERVERS",
            Self::Patterns => "SHOW PATTERNS",
            Self::Pools => "SHOW POOLS",
            Self::Databases => "SHOW DATABASES",
            Self::Totals => "SHOW STATS_TOTALS",
            Self::State => "SHOW STATE",
            Self::Clusters => "SHOW CLUSTERS",
            Self::Hosts => "SHOW HOSTS",
        }
    }
}

/// Which connection to the console: numbers of clients have a meaning in one process of the proxy only.
pub type Generation = u64;

/// A connection to the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// Which.
    pub generation: Generation,
    /// Who, where and how, in a few words.
    pub about: String,
}

/// What the console said to all questions of one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Each table, or why there is none.
    pub tables: Vec<(Source, Result<Table, String>)>,
}

/// A key, whatever the terminal sends for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// Return.
    Enter,
    /// Escape.
    Escape,
    /// Tab.
    Tab,
    /// Tab with shift.
    BackTab,
    /// Deletes the character before.
    Backspace,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// The first line.
    Home,
    /// The last line.
    End,
    /// Control-C.
    Interrupt,
    /// Control-L.
    Redraw,
}

/// What comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody presses a key.
    Key(Key),
    /// Time has passed.
    Tick,
    /// The terminal has so many rows.
    Rows(u16),
    /// There is a connection.
    Connected(Connected),
    /// The console answered.
    Answer(Answer),
    /// There is no connection any more, or none came about.
    Lost(String),
    /// An order was carried out, or not: then the console's words.
    Ordered(Result<String, String>),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Connect to the console.
    Connect,
    /// Ask for these.
    Ask(Vec<Source>),
    /// Give an order, by this connection or not at all.
    Order {
        /// By which.
        generation: Generation,
        /// The order.
        order: String,
    },
    /// Give an order that may take minutes, beside everything else. It names things that have the same names in
    /// every process of the proxy.
    Errand(String),
    /// Draw everything anew, whatever the terminal shows.
    Redraw,
    /// End.
    Quit,
}
