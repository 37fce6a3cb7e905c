//! Owns the settings whose value is one of a few words: each word stands once, beside the meaning
//! that the help and the reference print.

use crate::error::Problem;
use crate::nearest;
use crate::read::{Bad, Read, Value};
use crate::setting::{Bounds, Kind, Unit, Word};

macro_rules! choice {
    (
        $(#[doc = $text:literal])+
        $visibility:vis enum $name:ident {
            $( $(#[doc = $meaning:literal])+ $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[doc = $text])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $visibility enum $name {
            $( $(#[doc = $meaning])+ $variant, )+
        }

        impl $name {
            /// The words of the configuration with their meanings.
            pub const WORDS: &'static [Word] = &[
                $( Word { word: $word, meaning: concat!($($meaning),+) }, )+
            ];

            /// The word of the configuration.
            pub fn word(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl Read for $name {
            const KIND: Kind = Kind { name: "one of", unit: Unit::None, words: Self::WORDS };

            fn read(value: &Value<'_>, _: Bounds) -> Result<Self, Bad> {
                let written = value.text(Self::KIND.name).ok();
                match written {
                    $( Some($word) => Ok(Self::$variant), )+
                    other => Err(value.bad(Problem::UnknownWord {
                        words: Self::WORDS,
                        nearest: other.and_then(|other| {
                            nearest::word(other, Self::WORDS.iter().map(|word| word.word))
                        }),
                    })),
                }
            }
        }
    };
}

mod cluster;

pub(crate) use cluster::TargetWord;
pub use cluster::{Balance, RouteReads, RuleTarget, WithoutPrimary};

choice! {
    /// Who reads the query log.
    pub enum QueryLogFormat {
        /// programs: one JSON object on each line
        Json = "json",
        /// people: names and values on each line
        Human = "human",
    }
}

choice! {
    /// What stands in the query log of a statement.
    pub enum LogText {
        /// its pattern: the statement without its literals
        Pattern = "pattern",
        /// the statement as it was sent, with its literals
        Full = "full",
    }
}

choice! {
    /// What becomes of records for which there is no room.
    pub enum OnFull {
        /// they are lost, and counted
        DropAndCount = "drop-and-count",
        /// the sessions that they tell of wait for room
        Block = "block",
        /// they are lost and counted, and the sessions that they tell of end with SQLSTATE 53000
        Refuse = "refuse",
    }
}

choice! {
    /// Whether the query log is one for audits.
    pub enum Audit {
        /// it is not: records have no numbers and no chain
        Off = "off",
        /// records are numbered and chained; statements don't wait for theirs
        Async = "async",
        /// and a statement goes to its server when its start record is written, not before
        Before = "before",
    }
}

choice! {
    /// What stands in the query log of the values that are bound to a statement.
    pub enum LogParameters {
        /// nothing
        None = "none",
        /// their types, formats and lengths
        Types = "types",
        /// the values, too, as text; of a statement that may hold a password the types
        Values = "values",
    }
}

choice! {
    /// What a rule wants of the query log.
    pub enum RuleLog {
        /// nothing: the section query_log decides
        Default = "default",
        /// that each statement has a record, of the sample or not
        Always = "always",
        /// that it has one with its text and the values that are bound to it
        Full = "full",
    }
}

choice! {
    /// Encryption towards clients.
    pub(crate) enum ListenMode {
        /// no TLS at all: passwords and rows are readable on the network
        Disable = "disable",
        /// clients may come without TLS: those that do are readable on the network
        Allow = "allow",
        /// the same as allow, for those who know it from PgBouncer
        Prefer = "prefer",
        /// every client must use TLS
        Require = "require",
        /// every client must use TLS and show a certificate that client_ca has signed
        VerifyCa = "verify-ca",
        /// as verify-ca, and the certificate must name the user who logs in
        VerifyFull = "verify-full",
    }
}

choice! {
    /// Whether connections start with a load balancer's header.
    pub(crate) enum ProxyProtocol {
        /// clients connect by themselves; a header is taken for a broken client
        Off = "off",
        /// every connection comes from an address in proxy_trusted and starts with a header
        Require = "require",
    }
}

choice! {
    /// Encryption towards servers.
    pub(crate) enum ServerMode {
        /// no TLS at all: passwords and rows are readable on the network
        Disable = "disable",
        /// TLS if the server offers it: anyone in between can switch it off
        Prefer = "prefer",
        /// TLS, but any certificate will do: anyone in between can be the server
        Require = "require",
        /// the certificate must be signed by ca, whatever name it bears
        VerifyCa = "verify-ca",
        /// the certificate must be signed by ca and made out to the host
        VerifyFull = "verify-full",
        /// the certificate must be the one whose SHA-256 is in pin
        Pin = "pin",
    }
}

choice! {
    /// What to do with an unencrypted CancelRequest for an encrypted session.
    pub enum PlaintextCancel {
        /// it is dropped and logged
        Refuse = "refuse",
        /// it cancels; its key can be read on the network, but is good for nothing else
        Accept = "accept",
    }
}

choice! {
    /// The lowest TLS version spoken.
    pub enum MinTlsVersion {
        /// TLS 1.2 and 1.3
        Tls12 = "TLSv1.2",
        /// TLS 1.3 only
        Tls13 = "TLSv1.3",
    }
}

choice! {
    /// The highest TLS version spoken.
    pub enum MaxTlsVersion {
        /// TLS 1.2: for peers whose TLS 1.3 is broken
        Tls12 = "TLSv1.2",
        /// TLS 1.3
        Tls13 = "TLSv1.3",
    }
}

choice! {
    /// Which versions, ciphers, groups and signature algorithms are spoken.
    pub enum Profile {
        /// TLS 1.3 alone, with Mozilla's modern settings
        Modern = "modern",
        /// TLS 1.2 and 1.3, with Mozilla's intermediate settings, without finite-field Diffie-Hellman
        Intermediate = "intermediate",
        /// what the settings of this section say; those that are not written are intermediate's
        Custom = "custom",
    }
}

choice! {
    /// What becomes of clients that ask for a name without a certificate.
    pub enum UnknownName {
        /// they see the default certificate
        Default = "default",
        /// they are refused with the TLS alert unrecognized_name
        Refuse = "refuse",
    }
}

choice! {
    /// How clients prove over TCP who they are.
    pub enum Method {
        /// SCRAM, with channel binding inside TLS; users with md5 verifiers are refused
        ScramSha256 = "scram-sha-256",
        /// SCRAM for users with a SCRAM verifier, MD5 for the others
        Md5 = "md5",
        /// the password itself, inside TLS only; checked, or used once towards the server
        Password = "password",
        /// the client's certificate, which must name the user
        Cert = "cert",
        /// no proof at all; needs listen.allow_trust = true
        Trust = "trust",
    }
}

choice! {
    /// How clients prove over the Unix socket who they are.
    pub enum UnixSocketMethod {
        /// the operating system's user name must be the PostgreSQL user's
        Peer = "peer",
        /// SCRAM; users with md5 verifiers are refused
        ScramSha256 = "scram-sha-256",
        /// SCRAM for users with a SCRAM verifier, MD5 for the others
        Md5 = "md5",
        /// no proof at all; needs listen.allow_trust = true
        Trust = "trust",
    }
}

choice! {
    /// When a server connection goes back to its pool.
    pub enum PoolMode {
        /// when its client disconnects
        Session = "session",
        /// when the client's transaction ends
        Transaction = "transaction",
        /// after each query; transactions of several statements are refused
        Statement = "statement",
    }
}

choice! {
    /// How a server connection is made ready for another client.
    pub enum ServerReset {
        /// it is reset unless its statements are known to leave nothing behind
        Auto = "auto",
        /// it is reset for every other client: for triggers and functions that change the session
        /// out of sight
        Always = "always",
        /// it is not: whatever a client leaves behind, the next one finds
        Never = "never",
    }
}

choice! {
    /// What becomes of a client whose state no other server connection has.
    pub enum Pinning {
        /// it keeps its server connection while the state is there, and a notice says so
        Allow = "allow",
        /// what would make such state is refused with an error
        Refuse = "refuse",
    }
}

choice! {
    /// Whether SCRAM is bound to the TLS channel (SCRAM-SHA-256-PLUS, RFC 5929).
    pub enum ChannelBinding {
        /// never
        Disable = "disable",
        /// wherever both ends can
        Prefer = "prefer",
        /// always; an end that cannot is refused
        Require = "require",
    }
}

choice! {
    /// What becomes of a TLS 1.2 connection whose keys are worn.
    pub enum Tls12Limit {
        /// it is logged and counted, once
        Warn = "warn",
        /// its session is closed as well, between two transactions
        Close = "close",
    }
}

choice! {
    /// Whether the peer may renegotiate (TLS 1.2).
    pub enum Renegotiation {
        /// no: PostgreSQL, its drivers and this program never need it
        Refuse = "refuse",
        /// yes, at a bounded rate and with the certificate that it had
        Allow = "allow",
    }
}

choice! {
    /// How TLS with a server starts.
    pub enum Negotiation {
        /// by SSLRequest, which every PostgreSQL understands
        Postgres = "postgres",
        /// at once, with ALPN: one round trip less, PostgreSQL 17 or later
        Direct = "direct",
    }
}

choice! {
    /// What becomes of statements that no rule decides about.
    pub enum PolicyDefault {
        /// they pass, if they can be judged
        Allow = "allow",
        /// they are refused
        Deny = "deny",
    }
}

choice! {
    /// Whether rules on relations see through views.
    pub enum PolicyViews {
        /// they don't
        Off = "off",
        /// they do where somebody may look: as catalog_user, as the database's own user, or as auth_user; where the catalogs can't be read, rules go by names
        Auto = "auto",
        /// they do; where the catalogs can't be read, rules that deny on relations refuse whatever names one
        Required = "required",
    }
}

choice! {
    /// How far a rule goes.
    pub enum RuleMode {
        /// its matches are counted
        Observe = "observe",
        /// the client gets a notice as well
        Warn = "warn",
        /// it decides
        Enforce = "enforce",
    }
}

choice! {
    /// What a rule wants.
    pub enum RuleAction {
        /// the statement passes
        Allow = "allow",
        /// it is refused (42501)
        Deny = "deny",
        /// it waits for a time (delay) before it is sent
        Delay = "delay",
        /// its result may be so large (rows_max, bytes_max); more ends it with an error (53400)
        Limit = "limit",
        /// so much may pass in a time; what comes beyond that waits or is refused (53400)
        Throttle = "throttle",
        /// it goes to the servers that target names, where database.route_reads leads statements
        Route = "route",
    }
}

choice! {
    /// What has something in common that a throttle counts together.
    pub enum RulePer {
        /// the name with which clients logged in
        User = "user",
        /// the role of their server connections
        Role = "role",
        /// the database that they asked for
        Database = "database",
        /// their application_name
        Application = "application",
        /// their address
        Address = "address",
        /// the statement's shape
        Shape = "shape",
    }
}

choice! {
    /// What becomes of what comes beyond a throttle's rates.
    pub enum RuleExcess {
        /// it waits for its turn, first come, first served
        Wait = "wait",
        /// it is refused
        Refuse = "refuse",
    }
}

choice! {
    /// An encryption that is better than others.
    pub enum LeastTls {
        /// any at all
        V1_2 = "TLSv1.2",
        /// the present one
        V1_3 = "TLSv1.3",
    }
}

choice! {
    /// What a statement does.
    pub enum RuleEffect {
        /// gives rows or values
        Read = "read",
        /// changes or locks rows, or draws from sequences
        Write = "write",
        /// changes definitions
        Ddl = "ddl",
        /// changes or uses the session: SET, LISTEN, PREPARE, cursors, temporary objects
        Session = "session",
        /// begins, ends or divides a transaction
        Transaction = "transaction",
        /// changes who may do what, or who the session is
        Privilege = "privilege",
        /// calls a function that isn't known to compute alone
        Calls = "calls",
        /// reaches files or programs of the server
        Outside = "outside",
        /// can't be judged
        Unknown = "unknown",
    }
}

choice! {
    /// What an event is about.
    pub enum EventKind {
        /// a pattern of statements that was not seen before
        NewPattern = "new_pattern",
        /// a pattern takes much longer than it did
        Slower = "slower",
        /// a pattern ends with errors much more often than it did
        ErrorBurst = "error_burst",
        /// a pattern comes much more often than it did
        Volume = "volume",
        /// changes that were not told one by one, because there were too many
        Suppressed = "suppressed",
        /// a cluster has another primary, or none
        Leader = "leader",
        /// a host of a cluster came, went, is up or down, or is something else than before
        Host = "host",
        /// a planned switchover began, succeeded or failed
        Switchover = "switchover",
        /// what views depend on can't be read in a database
        Views = "views",
    }
}

choice! {
    /// What is done to a relation.
    pub enum RuleAccess {
        /// it is read
        Read = "read",
        /// its rows are changed or locked
        Write = "write",
        /// it is made, altered or dropped
        Ddl = "ddl",
    }
}

choice! {
    /// A day of the week.
    pub enum Weekday {
        /// Monday
        Monday = "mon",
        /// Tuesday
        Tuesday = "tue",
        /// Wednesday
        Wednesday = "wed",
        /// Thursday
        Thursday = "thu",
        /// Friday
        Friday = "fri",
        /// Saturday
        Saturday = "sat",
        /// Sunday
        Sunday = "sun",
    }
}

choice! {
    /// When changed files come into force.
    pub enum Reload {
        /// as soon as the kernel tells of a change, and as poll
        Watch = "watch",
        /// every reload_interval, if one has changed
        Poll = "poll",
        /// only on SIGHUP
        Sighup = "sighup",
    }
}

choice! {
    /// Whether the running proxy gives up what it does not need.
    pub enum Sandbox {
        /// yes, and the kernel refuses the rest
        On = "on",
        /// no: the kernel notes such system calls in its log, and the proxy tells of such files
        Log = "log",
        /// no
        Off = "off",
    }
}

choice! {
    /// Who reads the log.
    pub enum LogFormat {
        /// people: one readable line per event
        Human = "human",
        /// machines: one JSON object per event
        Json = "json",
    }
}

choice! {
    /// The least important event still logged.
    pub enum LogLevel {
        /// what needs somebody
        Error = "error",
        /// what may need somebody
        Warn = "warn",
        /// the start and end of sessions, too
        Info = "info",
        /// the steps of sessions, too
        Debug = "debug",
        /// everything but payload
        Trace = "trace",
    }
}
