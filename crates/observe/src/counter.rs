//! Owns what a counter is, and the macro that defines a group of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows while the proxy runs.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// What has been added so far.
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter as it stands, with what it is called and means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Its group and name, for example `tls_key_updates_sent`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Its value.
    pub value: u64,
}

/// Counters that belong together.
pub(crate) trait Group {
    /// Shows each of them.
    fn each(&self, visit: &mut dyn FnMut(Reading));
}

/// Defines a group: `Name = "prefix" { /// Meaning. counter, … }`. The docstring of a counter is its
/// meaning wherever it is shown.
macro_rules! counters {
    (
        $(#[doc = $about:literal])+
        $group:ident = $prefix:literal {
            $( $(#[doc = $help:literal])+ $name:ident, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Default)]
        pub struct $group {
            $( $(#[doc = $help])+ pub $name: $crate::Counter, )+
        }

        impl $crate::counter::Group for $group {
            fn each(&self, visit: &mut dyn FnMut($crate::Reading)) {
                $( visit($crate::Reading {
                    name: concat!($prefix, "_", stringify!($name)),
                    help: concat!($($help),+).trim_ascii_start(),
                    value: self.$name.total(),
                }); )+
            }
        }
    };
}
pub(crate) use counters;
