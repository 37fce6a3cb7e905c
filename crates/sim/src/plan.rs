//! Owns what a seed's world is like, and what may be broken in it on purpose.

use crate::chance::Chance;
use pool::Bounds;
use std::time::Duration;

/// Something that the driver does wrong, to see that a checker notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A connection is handed over without being brought to its new client's wishes.
    SkipLend,
    /// Nobody asks what a transaction did to the parameters.
    SkipAsk,
    /// A connection whose client left rests without a reset.
    SkipReset,
    /// A connection goes back while its client's transaction is open.
    PartEarly,
    /// A connection goes back though a cancel is on its way to it.
    IgnoreCancels,
    /// A byte from a server is lost.
    DropByte,
    /// Bytes from a server come twice.
    DoubleBytes,
    /// A client's bytes go to the server twice.
    DoubleRequest,
    /// A client connects without a lease when there is none.
    DoubleLease,
    /// A lease is not given back when its client vanishes.
    LoseLease,
    /// Those who wait aren't told when something comes back.
    ForgetWaiters,
    /// Nobody looks how long a client has waited.
    WaitForever,
    /// A connection of before a reload is lent again.
    KeepOld,
    /// The pool lends one connection more than the database may have.
    WideDatabase,
    /// The pool lends connections beyond `pool_size` and its reserve.
    WidePool,
    /// The pool lends connections beyond `max_user_connections`.
    WideRole,
    /// The pool lends what it should keep for others.
    IgnoreGuarantees,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Mutation; 17] = [
        Mutation::SkipLend,
        Mutation::SkipAsk,
        Mutation::SkipReset,
        Mutation::PartEarly,
        Mutation::IgnoreCancels,
        Mutation::DropByte,
        Mutation::DoubleBytes,
        Mutation::DoubleRequest,
        Mutation::DoubleLease,
        Mutation::LoseLease,
        Mutation::ForgetWaiters,
        Mutation::WaitForever,
        Mutation::KeepOld,
        Mutation::WideDatabase,
        Mutation::WidePool,
        Mutation::WideRole,
        Mutation::IgnoreGuarantees,
    ];
}

/// What a seed's world is like. Times are in microseconds.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Clients, one after the other or at once.
    pub clients: usize,
    /// Workers.
    pub homes: u16,
    /// Groups of clients: roles.
    pub groups: u64,
    /// `pool_size`: connections of one group.
    pub group_max: Option<usize>,
    /// `max_user_connections`: the same, whatever the reserve.
    pub role_max: Option<usize>,
    /// `pool_guaranteed`, by group.
    pub guaranteed: Vec<usize>,
    /// `reserve_pool_size`, and how long somebody waits before it is used.
    pub reserve: usize,
    /// See `reserve`.
    pub reserve_after: u64,
    /// The pool's bounds; they change with reloads.
    pub bounds: Bounds,
    /// `query_wait_timeout`.
    pub patience: u64,
    /// `max_pinned`.
    pub pinned_max: usize,
    /// `server_check_delay`.
    pub check_after: u64,
    /// `max_prepared_statements`.
    pub statements_max: usize,
    /// Whether servers fail, clients vanish and cancel, and the operator intervenes.
    pub troubles: bool,
    /// What is broken on purpose.
    pub mutation: Option<Mutation>,
}

impl Plan {
    /// Chosen by chance.
    pub fn new(chance: &mut Chance, mutation: Option<Mutation>) -> Plan {
        let patience = *chance.pick(&[20_000, 2_000_000, 60_000_000]);
        let groups = 1 + chance.below(2);
        Plan {
            clients: 2 + chance.size(9),
            homes: 1 + chance.below(3) as u16,
            groups,
            group_max: (!chance.one_in(4)).then(|| 1 + chance.size(3)),
            role_max: None,
            guaranteed: vec![0; groups as usize],
            reserve: chance.size(2),
            reserve_after: 5_000_000,
            bounds: Plan::bounds(chance, patience),
            patience,
            pinned_max: chance.size(3),
            check_after: *chance.pick(&[0, 1000, 30_000_000]),
            statements_max: *chance.pick(&[1, 2, 4, 200]),
            troubles: !chance.one_in(4),
            mutation,
        }
    }

    /// Limits of roles, from a chance of their own: what else a seed decides stays as it is without them.
    pub fn limit_roles(&mut self, chance: &mut Chance) {
        self.role_max = chance.one_in(2).then(|| 1 + chance.size(3));
        let each = self.guaranteed.iter_mut();
        each.for_each(|guaranteed| *guaranteed = chance.size(3));
    }

    /// Other bounds.
    pub fn bounds(chance: &mut Chance, patience: u64) -> Bounds {
        Bounds {
            connections_max: (!chance.one_in(5)).then(|| 1 + chance.size(4)),
            resting_max: *chance.pick(&[0, 1, 5, 5, 5]),
            rest_max: chance.one_in(3).then(|| Duration::from_millis(20)),
            wait_max: Duration::from_micros(patience),
        }
    }
}
