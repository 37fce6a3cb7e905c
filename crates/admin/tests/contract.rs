//! The columns that tools written for PgBouncer rely on: names in order, and types by the letters of its
//! `pktbuf_write_RowDescription` (s text, i integer, q bigint, N numeric, T a time as text).

use admin::{Table, Type};

const SOCKETS: &str = "type user database replication state addr port local_addr local_port connect_time \
    request_time wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id";

const STATS_TOTALS: &str = "database server_assignment_count xact_count query_count bytes_received \
    bytes_sent xact_time query_time wait_time client_parse_count server_parse_count bind_count \
    client_login_count";

#[test]
fn columns_are_those_of_pgbouncer() {
    let wire =
        format!("{SOCKETS} recv_pos pkt_pos pkt_remain send_pos send_remain pkt_avail send_avail");
    let cases = [
        (
            Table::Pools,
            "ssiiiiiiiiiiiiiss",
            "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active \
             sv_active_cancel sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us \
             pool_mode load_balance_hosts",
        ),
        (
            Table::Stats,
            "sNNNNNNNNNNNNNNNNNNNNNNNN",
            "database total_server_assignment_count total_xact_count total_query_count total_received \
             total_sent total_xact_time total_query_time total_wait_time total_client_parse_count \
             total_server_parse_count total_bind_count total_client_login_count \
             avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time \
             avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count avg_bind_count \
             avg_client_login_count",
        ),
        (Table::StatsTotals, "sNNNNNNNNNNNN", STATS_TOTALS),
        (
            Table::StatsAverages,
            "sNNNNNNNNNNNN",
            "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time \
             query_time wait_time avg_client_parse_count avg_server_parse_count avg_bind_count \
             client_login_count",
        ),
        (Table::Totals, "sN", "name value"),
        (
            Table::Databases,
            "ssissiiiissiiiiii",
            "name host port database force_user pool_size min_pool_size reserve_pool_size \
             server_lifetime pool_mode load_balance_hosts max_connections current_connections \
             max_client_connections current_client_connections paused disabled",
        ),
        (Table::Clients, "ssssssisiTTiiississiq", SOCKETS),
        (Table::Servers, "ssssssisiTTiiississiq", SOCKETS),
        (Table::Sockets, "ssssssisiTTiiississiqiiiiiii", &wire),
        (Table::ActiveSockets, "ssssssisiTTiiississiqiiiiiii", &wire),
        (
            Table::Users,
            "ssssiiii",
            "name pool_size reserve_pool_size pool_mode max_user_connections current_connections \
             max_user_client_connections current_client_connections",
        ),
        (Table::Lists, "si", "list items"),
        (Table::Config, "ssss", "key value default changeable"),
        (Table::Peers, "isii", "peer_id host port pool_size"),
        (
            Table::PeerPools,
            "iiiii",
            "peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login",
        ),
        // Bytes may pass what an integer holds.
        (Table::Mem, "sqqqq", "name size used free memtotal"),
        (Table::State, "ss", "key value"),
        (Table::Version, "s", "version"),
        (Table::DnsHosts, "sqs", "hostname ttl addrs"),
        (Table::DnsZones, "sqi", "zonename serial count"),
    ];
    // The rest is not in PgBouncer.
    assert_eq!(cases.len() + 12, Table::ALL.len());
    for (table, types, names) in cases {
        let columns = table.columns();
        let of: Vec<_> = columns.iter().map(|it| it.name).collect();
        assert_eq!(of, names.split(' ').collect::<Vec<_>>(), "{table:?}");
        let letters = columns.iter().map(|it| match it.kind {
            Type::Text => 's',
            Type::Int4 => 'i',
            Type::Int8 => 'q',
            Type::Numeric => 'N',
        });
        assert_eq!(
            letters.collect::<String>(),
            types.replace('T', "s"),
            "{table:?}"
        );
    }
}

#[test]
fn lists_are_those_of_pgbouncer() {
    let rows = admin::Lists::default().rows();
    let names: Vec<_> = rows.iter().map(|row| row.list).collect();
    let expected = "databases users peers pools peer_pools free_clients used_clients login_clients \
        free_servers used_servers dns_names dns_zones dns_queries dns_pending";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn totals_are_those_of_pgbouncer() {
    let admin::Snapshot::Totals(rows) = admin::Snapshot::of_statistics(Table::Totals, &[]) else {
        panic!("not the totals")
    };
    let names: Vec<_> = rows.iter().map(|row| row.name).collect();
    let counted = "server_assignment_count xact_count query_count client_bytes server_bytes xact_time \
        query_time wait_time ps_client_parse_count ps_server_parse_count ps_bind_count \
        client_login_count";
    let all = ["total", "avg"].map(|kind| {
        counted
            .split_whitespace()
            .map(move |it| format!("{kind}_{it}"))
    });
    assert_eq!(names, all.into_iter().flatten().collect::<Vec<_>>());
}

#[test]
fn every_column_has_a_meaning() {
    for table in Table::ALL {
        for column in table.columns() {
            assert!(column.meaning.ends_with('.'), "{table:?} {}", column.name);
        }
    }
}
