//! Owns the statistics: what is counted for each database, and the four tables made of it. Names are
//! PgBouncer's, its irregular ones too.

use super::Snapshot;
use super::define::row;
use crate::Table;
use crate::datum::Sum;

/// What is counted for a database, or for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Server connections lent.
    pub server_assignment_count: u64,
    /// Transactions.
    pub xact_count: u64,
    /// Queries.
    pub query_count: u64,
    /// Bytes from clients.
    pub bytes_received: u64,
    /// Bytes from servers.
    pub bytes_sent: u64,
    /// Microseconds in transactions.
    pub xact_time: u64,
    /// Microseconds in which servers worked on queries.
    pub query_time: u64,
    /// Microseconds that clients waited for a server connection.
    pub wait_time: u64,
    /// Parse messages from clients.
    pub client_parse_count: u64,
    /// Parse messages that went to servers.
    pub server_parse_count: u64,
    /// Bind messages.
    pub bind_count: u64,
    /// Clients that logged in.
    pub client_login_count: u64,
}

/// A database's counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// The database, as clients name it.
    pub database: String,
    /// Since the start.
    pub total: Counts,
    /// In the last period: counts and bytes per second, times per transaction, query and wait.
    pub average: Counts,
}

row! {
    /// A database's sums and averages.
    Stats {
        /// The database, as clients name it.
        database: String,
        /// Server connections lent.
        total_server_assignment_count: Sum,
        /// Transactions.
        total_xact_count: Sum,
        /// Queries.
        total_query_count: Sum,
        /// Bytes from clients.
        total_received: Sum,
        /// Bytes from servers.
        total_sent: Sum,
        /// Microseconds in transactions.
        total_xact_time: Sum,
        /// Microseconds in which servers worked on queries.
        total_query_time: Sum,
        /// Microseconds that clients waited for a server connection.
        total_wait_time: Sum,
        /// Parse messages from clients.
        total_client_parse_count: Sum,
        /// Parse messages that went to servers.
        total_server_parse_count: Sum,
        /// Bind messages.
        total_bind_count: Sum,
        /// Clients that logged in.
        total_client_login_count: Sum,
        /// Server connections lent, per second.
        avg_server_assignment_count: Sum,
        /// Transactions, per second.
        avg_xact_count: Sum,
        /// Queries, per second.
        avg_query_count: Sum,
        /// Bytes from clients, per second.
        avg_recv: Sum,
        /// Bytes from servers, per second.
        avg_sent: Sum,
        /// Microseconds of a transaction.
        avg_xact_time: Sum,
        /// Microseconds of a query.
        avg_query_time: Sum,
        /// Microseconds that a client waited for a server connection.
        avg_wait_time: Sum,
        /// Parse messages from clients, per second.
        avg_client_parse_count: Sum,
        /// Parse messages that went to servers, per second.
        avg_server_parse_count: Sum,
        /// Bind messages, per second.
        avg_bind_count: Sum,
        /// Clients that logged in, per second.
        avg_client_login_count: Sum,
    }
}

row! {
    /// A database's sums.
    StatsTotals {
        /// The database, as clients name it.
        database: String,
        /// Server connections lent.
        server_assignment_count: Sum,
        /// Transactions.
        xact_count: Sum,
        /// Queries.
        query_count: Sum,
        /// Bytes from clients.
        bytes_received: Sum,
        /// Bytes from servers.
        bytes_sent: Sum,
        /// Microseconds in transactions.
        xact_time: Sum,
        /// Microseconds in which servers worked on queries.
        query_time: Sum,
        /// Microseconds that clients waited for a server connection.
        wait_time: Sum,
        /// Parse messages from clients.
        client_parse_count: Sum,
        /// Parse messages that went to servers.
        server_parse_count: Sum,
        /// Bind messages.
        bind_count: Sum,
        /// Clients that logged in.
        client_login_count: Sum,
    }
}

row! {
    /// A database's averages.
    StatsAverages {
        /// The database, as clients name it.
        database: String,
        /// Server connections lent, per second.
        server_assignment_count: Sum,
        /// Transactions, per second.
        xact_count: Sum,
        /// Queries, per second.
        query_count: Sum,
        /// Bytes from clients, per second.
        bytes_received: Sum,
        /// Bytes from servers, per second.
        bytes_sent: Sum,
        /// Microseconds of a transaction.
        xact_time: Sum,
        /// Microseconds of a query.
        query_time: Sum,
        /// Microseconds that a client waited for a server connection.
        wait_time: Sum,
        /// Parse messages from clients, per second.
        avg_client_parse_count: Sum,
        /// Parse messages that went to servers, per second.
        avg_server_parse_count: Sum,
        /// Bind messages, per second.
        avg_bind_count: Sum,
        /// Clients that logged in, per second.
        client_login_count: Sum,
    }
}

row! {
    /// One sum or average over all databases.
    Total {
        /// What is counted.
        name: &'static str,
        /// How much.
        value: Sum,
    }
}

impl Counts {
    fn plus(self, other: &Counts) -> Counts {
        Counts {
            server_assignment_count: self
                .server_assignment_count
                .saturating_add(other.server_assignment_count),
            xact_count: self.xact_count.saturating_add(other.xact_count),
            query_count: self.query_count.saturating_add(other.query_count),
            bytes_received: self.bytes_received.saturating_add(other.bytes_received),
            bytes_sent: self.bytes_sent.saturating_add(other.bytes_sent),
            xact_time: self.xact_time.saturating_add(other.xact_time),
            query_time: self.query_time.saturating_add(other.query_time),
            wait_time: self.wait_time.saturating_add(other.wait_time),
            client_parse_count: self
                .client_parse_count
                .saturating_add(other.client_parse_count),
            server_parse_count: self
                .server_parse_count
                .saturating_add(other.server_parse_count),
            bind_count: self.bind_count.saturating_add(other.bind_count),
            client_login_count: self
                .client_login_count
                .saturating_add(other.client_login_count),
        }
    }

    /// The averages over a period: the difference of two sums, `micros` apart.
    pub fn average(&self, before: &Counts, micros: u64) -> Counts {
        let rate = |now: u64, then: u64| {
            let grown = u128::from(now.saturating_sub(then)) * 1_000_000;
            let rate = grown.checked_div(u128::from(micros)).unwrap_or(0);
            u64::try_from(rate).unwrap_or(u64::MAX)
        };
        let each = |now: u64, then: u64, number: u64| {
            let grown = now.saturating_sub(then);
            grown.checked_div(number).unwrap_or(0)
        };
        let since = |of: fn(&Counts) -> u64| of(self).saturating_sub(of(before));
        let transactions = since(|it| it.xact_count);
        let queries = since(|it| it.query_count);
        let assignments = since(|it| it.server_assignment_count);
        Counts {
            server_assignment_count: rate(
                self.server_assignment_count,
                before.server_assignment_count,
            ),
            xact_count: rate(self.xact_count, before.xact_count),
            query_count: rate(self.query_count, before.query_count),
            bytes_received: rate(self.bytes_received, before.bytes_received),
            bytes_sent: rate(self.bytes_sent, before.bytes_sent),
            xact_time: each(self.xact_time, before.xact_time, transactions),
            query_time: each(self.query_time, before.query_time, queries),
            wait_time: each(self.wait_time, before.wait_time, assignments),
            client_parse_count: rate(self.client_parse_count, before.client_parse_count),
            server_parse_count: rate(self.server_parse_count, before.server_parse_count),
            bind_count: rate(self.bind_count, before.bind_count),
            client_login_count: rate(self.client_login_count, before.client_login_count),
        }
    }
}

/// One of the four tables, made of all databases' counts. Of any other table: `STATS`.
pub(super) fn table(table: Table, all: &[Statistics]) -> Snapshot {
    match table {
        Table::StatsTotals => Snapshot::StatsTotals(all.iter().map(totals).collect()),
        Table::StatsAverages => Snapshot::StatsAverages(all.iter().map(averages).collect()),
        Table::Totals => Snapshot::Totals(sums(all)),
        _ => Snapshot::Stats(all.iter().map(both).collect()),
    }
}

fn both(of: &Statistics) -> Stats {
    Stats {
        database: of.database.clone(),
        total_server_assignment_count: Sum(of.total.server_assignment_count),
        total_xact_count: Sum(of.total.xact_count),
        total_query_count: Sum(of.total.query_count),
        total_received: Sum(of.total.bytes_received),
        total_sent: Sum(of.total.bytes_sent),
        total_xact_time: Sum(of.total.xact_time),
        total_query_time: Sum(of.total.query_time),
        total_wait_time: Sum(of.total.wait_time),
        total_client_parse_count: Sum(of.total.client_parse_count),
        total_server_parse_count: Sum(of.total.server_parse_count),
        total_bind_count: Sum(of.total.bind_count),
        total_client_login_count: Sum(of.total.client_login_count),
        avg_server_assignment_count: Sum(of.average.server_assignment_count),
        avg_xact_count: Sum(of.average.xact_count),
        avg_query_count: Sum(of.average.query_count),
        avg_recv: Sum(of.average.bytes_received),
        avg_sent: Sum(of.average.bytes_sent),
        avg_xact_time: Sum(of.average.xact_time),
        avg_query_time: Sum(of.average.query_time),
        avg_wait_time: Sum(of.average.wait_time),
        avg_client_parse_count: Sum(of.average.client_parse_count),
        avg_server_parse_count: Sum(of.average.server_parse_count),
        avg_bind_count: Sum(of.average.bind_count),
        avg_client_login_count: Sum(of.average.client_login_count),
    }
}

fn totals(of: &Statistics) -> StatsTotals {
    StatsTotals {
        database: of.database.clone(),
        server_assignment_count: Sum(of.total.server_assignment_count),
        xact_count: Sum(of.total.xact_count),
        query_count: Sum(of.total.query_count),
        bytes_received: Sum(of.total.bytes_received),
        bytes_sent: Sum(of.total.bytes_sent),
        xact_time: Sum(of.total.xact_time),
        query_time: Sum(of.total.query_time),
        wait_time: Sum(of.total.wait_time),
        client_parse_count: Sum(of.total.client_parse_count),
        server_parse_count: Sum(of.total.server_parse_count),
        bind_count: Sum(of.total.bind_count),
        client_login_count: Sum(of.total.client_login_count),
    }
}

fn averages(of: &Statistics) -> StatsAverages {
    StatsAverages {
        database: of.database.clone(),
        server_assignment_count: Sum(of.average.server_assignment_count),
        xact_count: Sum(of.average.xact_count),
        query_count: Sum(of.average.query_count),
        bytes_received: Sum(of.average.bytes_received),
        bytes_sent: Sum(of.average.bytes_sent),
        xact_time: Sum(of.average.xact_time),
        query_time: Sum(of.average.query_time),
        wait_time: Sum(of.average.wait_time),
        avg_client_parse_count: Sum(of.average.client_parse_count),
        avg_server_parse_count: Sum(of.average.server_parse_count),
        avg_bind_count: Sum(of.average.bind_count),
        client_login_count: Sum(of.average.client_login_count),
    }
}

/// Counts and rates add up; of a time per transaction, query or wait the mean is weighted by how many
/// there were.
fn sums(all: &[Statistics]) -> Vec<Total> {
    let none = Counts::default();
    let total = all.iter().fold(none, |sum, one| sum.plus(&one.total));
    let mut average = all.iter().fold(none, |sum, one| sum.plus(&one.average));
    let mean = |time: fn(&Counts) -> u64, weight: fn(&Counts) -> u64| {
        let parts = all
            .iter()
            .map(|it| (time(&it.average), weight(&it.average)));
        let (sum, weights) = parts.fold((0u128, 0u128), |(sum, weights), (time, weight)| {
            let (time, weight) = (u128::from(time), u128::from(weight));
            (sum + time * weight, weights + weight)
        });
        let mean = sum.checked_div(weights).unwrap_or(0);
        u64::try_from(mean).unwrap_or(u64::MAX)
    };
    average.xact_time = mean(|it| it.xact_time, |it| it.xact_count);
    average.query_time = mean(|it| it.query_time, |it| it.query_count);
    average.wait_time = mean(|it| it.wait_time, |it| it.server_assignment_count);
    let named = |name, value| Total {
        name,
        value: Sum(value),
    };
    vec![
        named(
            "total_server_assignment_count",
            total.server_assignment_count,
        ),
        named("total_xact_count", total.xact_count),
        named("total_query_count", total.query_count),
        named("total_client_bytes", total.bytes_received),
        named("total_server_bytes", total.bytes_sent),
        named("total_xact_time", total.xact_time),
        named("total_query_time", total.query_time),
        named("total_wait_time", total.wait_time),
        named("total_ps_client_parse_count", total.client_parse_count),
        named("total_ps_server_parse_count", total.server_parse_count),
        named("total_ps_bind_count", total.bind_count),
        named("total_client_login_count", total.client_login_count),
        named(
            "avg_server_assignment_count",
            average.server_assignment_count,
        ),
        named("avg_xact_count", average.xact_count),
        named("avg_query_count", average.query_count),
        named("avg_client_bytes", average.bytes_received),
        named("avg_server_bytes", average.bytes_sent),
        named("avg_xact_time", average.xact_time),
        named("avg_query_time", average.query_time),
        named("avg_wait_time", average.wait_time),
        named("avg_ps_client_parse_count", average.client_parse_count),
        named("avg_ps_server_parse_count", average.server_parse_count),
        named("avg_ps_bind_count", average.bind_count),
        named("avg_client_login_count", average.client_login_count),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_rates_and_means() {
        let before = Counts {
            xact_count: 10,
            xact_time: 100,
            bytes_sent: 1000,
            ..Counts::default()
        };
        let now = Counts {
            xact_count: 14,
            xact_time: 180,
            bytes_sent: 6000,
            wait_time: 5,
            ..before
        };
        let average = now.average(&before, 2_000_000);
        let expected = Counts {
            xact_count: 2,
            xact_time: 20,
            bytes_sent: 2500,
            ..Counts::default()
        };
        assert_eq!(average, expected);
        assert_eq!(now.average(&before, 0).xact_count, 0);
        assert_eq!(before.average(&now, 1).bytes_sent, 0);
    }

    #[test]
    fn sums_over_all_databases() {
        let of = |xact_count, xact_time| Statistics {
            total: Counts {
                bytes_received: 7,
                ..Counts::default()
            },
            average: Counts {
                xact_count,
                xact_time,
                ..Counts::default()
            },
            ..Statistics::default()
        };
        let rows = sums(&[of(1, 100), of(3, 20)]);
        let value = |name| rows.iter().find(|it| it.name == name).map(|it| it.value.0);
        assert_eq!(value("total_client_bytes"), Some(14));
        assert_eq!(value("avg_xact_count"), Some(4));
        assert_eq!(value("avg_xact_time"), Some(40));
        assert_eq!(value("avg_query_time"), Some(0));
    }
}
