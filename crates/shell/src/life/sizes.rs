//! Owns the bounds on what an idle client keeps in memory of ours, beside libssl's 13.7 KiB: thousands are idle at a
//! time. Whoever needs more room finds a box for what is rarely there, or raises a bound knowing what it costs.

use super::linked::Linked;
use super::lookers::Lookers;
use super::member::Member;
use super::{Life, serve};
use crate::acceptor::Incoming;
use crate::client::ClientSide;
use crate::console::{Client, ServerFacts};
use crate::rest::ServerSide;
use crate::worker::Counted;
use session::statements::Pooled;
use std::mem::size_of;

/// What a session is while it sleeps.
fn of_sharing<'a, F>(
    _: impl Fn(&'a Life<'a>, Box<ClientSide>, Box<(Member<'a>, Lookers)>) -> F,
) -> usize {
    size_of::<F>()
}

fn of_linked<'a, F>(_: impl Fn(&'a Life<'a>, Box<ClientSide>, Box<Linked<'a>>) -> F) -> usize {
    size_of::<F>()
}

fn of_serving<F>(_: impl Fn(Counted, Box<Incoming>) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn an_idle_client_stays_small() {
    for (what, size, most) in [
        // tokio puts tasks into multiples of 128 bytes, 104 of which are its own.
        ("its task", of_serving(serve), 152),
        ("its side", size_of::<ClientSide>(), 552),
        ("what the console knows of it", size_of::<Client>(), 216),
        ("sharing: its session", of_sharing(Life::share), 504),
        (
            "sharing: how it gets connections",
            size_of::<(Member<'_>, Lookers)>(),
            256,
        ),
        ("sharing: its statements", size_of::<Pooled>(), 352),
        ("linked: its session", of_linked(Life::relay), 264),
        // Eight bytes less where nobody asks tokio for many threads (the library for DNS does).
        ("linked: its server", size_of::<ServerSide>(), 712),
        (
            "linked: what the console knows of that",
            size_of::<ServerFacts>(),
            88,
        ),
    ] {
        assert!(size <= most, "{what}: {size} bytes, more than {most}");
    }
}
