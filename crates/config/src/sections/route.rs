//! Owns the settings of routes: where a session goes by what its client says when it comes.

use super::NAME;
use crate::route_values::{ServerNames, StartupSettings};
use crate::rule_values::NameList;
use crate::setting::Fallback::Unset;
use crate::setting::{Bounds, section};
use crate::values::Networks;
use crate::words::TargetWord;

section! {
    /// A route: clients of which all that is written here holds go to another database than the one that they ask for,
    /// or to other hosts of its cluster. Routes are asked in their order, and the first that fits decides, once for a
    /// session. Rights are not given by a route: whether a client may log in is decided by the database that it asks
    /// for, and application, server_name and option are what the client chooses to say.
    Route = "route", AnyTimes {
        /// Its name, for the log, SHOW ROUTES and people. No two routes have the same.
        name: String { bounds: Bounds::new(1, 60), sample: "\"reports\"" }
        /// The database that the client asks for. It needs no section of its own if to is set.
        database: Option<NameList> { fallback: Unset("any"), bounds: NAME, sample: "[\"shop\"]" }
        /// The name with which it logs in.
        user: Option<NameList> { fallback: Unset("any"), bounds: NAME, sample: "[\"ann\", \"bob\"]" }
        /// The server name that it gives in TLS (SNI); "*." in front stands for one label.
        server_name: Option<ServerNames> {
            fallback: Unset("any, or none"), sample: "[\"reports.example.com\"]",
        }
        /// The application_name with which it comes.
        application: Option<NameList> { fallback: Unset("any"), bounds: NAME, sample: "\"metabase\"" }
        /// A startup parameter with its value, as name=value. In "options" it is written as -c name=value.
        option: Option<StartupSettings> {
            fallback: Unset("any"), sample: "\"portcullis.pool=reports\"",
        }
        /// Where it comes from; on a Unix-domain socket none of these.
        address: Option<Networks> { fallback: Unset("any"), sample: "[\"10.0.0.0/8\"]" }
        /// The database that it goes to, as if it had asked for it.
        to: Option<String> { fallback: Unset("the one that it asks for"), bounds: NAME, sample: "\"shop_ro\"" }
        /// The hosts of that database's cluster that it is led to.
        target: Option<TargetWord> { fallback: Unset("that of the database"), sample: "\"prefer-standby\"" }
    }
}
