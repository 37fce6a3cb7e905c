//! Owns the sections that set TLS for single hosts of the database or cluster above them.

use super::DatabaseTls;
use crate::cluster_values::HostNamesOfCluster;
use crate::read::{Given, ReadSection, TableReader};
use crate::setting::{Occurs, Section, Setting};
use crate::values::Hosts;

/// Settings of such a section.
const COUNT: usize = 1 + DatabaseTls::SECTION.settings.len();

/// The hosts that it is for, and all that can be set towards servers.
const fn settings(host: Setting) -> [Setting; COUNT] {
    let mut all = [host; COUNT];
    let mut at = 1;
    while at < COUNT {
        all[at] = DatabaseTls::SECTION.settings[at - 1];
        at += 1;
    }
    all
}

/// Declares a section for hosts that are written so.
macro_rules! host_tls {
    (
        $(#[doc = $text:literal])+
        $name:ident = $path:literal, $hosts:ty: $which:literal
    ) => {
        $(#[doc = $text])+
        #[allow(
            rustdoc::broken_intra_doc_links,
            reason = "these texts are for people: brackets in them are sections"
        )]
        pub(crate) struct $name {
            /// Which hosts.
            pub(crate) host: Given<$hosts>,
            /// The settings; those that are not written have the values of their defaults.
            pub(crate) tls: DatabaseTls,
        }

        impl $name {
            const SETTINGS: [Setting; COUNT] = settings(Setting {
                sample: "\"db2.example.com\"",
                ..Setting::of::<$hosts>("host", $which)
            });
        }

        impl ReadSection for $name {
            const SECTION: Section = Section {
                path: $path,
                occurs: Occurs::AnyTimes,
                text: concat!($($text, "\n"),+),
                settings: &Self::SETTINGS,
                like: Some("database.tls"),
            };

            fn read(table: &mut TableReader<'_, '_>) -> Option<Self> {
                // Both are read before either is missed, so that every error comes out.
                let host = table.setting(&Self::SETTINGS[0]);
                let tls = DatabaseTls::read(table);
                Some(Self { host: host?, tls: tls? })
            }
        }
    };
}

host_tls! {
    /// Encryption towards some hosts of the database section above it, named by `host`, where it differs from
    /// [database.tls]. The settings are those of [database.tls], whose values hold where they are not written here.
    DatabaseHostTls = "database.host_tls", Hosts: "Host, or hosts, of the database section above."
}

host_tls! {
    /// Encryption towards some hosts of the cluster section above it, where it differs from [cluster.tls]. `host` names
    /// them, by name or address, with the port where that matters, and may mean hosts that come later. The settings are
    /// those of [database.tls]; where they are not written here, the values of [cluster.tls] hold.
    ClusterHostTls = "cluster.host_tls", HostNamesOfCluster: "Host, or hosts, of the cluster section above."
}
