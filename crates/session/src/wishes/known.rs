//! Owns the names of parameters that every role may set at any time.
//!
//! Made from `pg_settings` of PostgreSQL 15.18 and 18, context `user`, without those that work only at
//! the start of a session or before its first temporary table, that concern the server's own socket or
//! its debugging, and that speak of one transaction. A name that only one of the versions has is
//! refused by the other, as it is at a login.

/// Sorted by bytes.
#[rustfmt::skip]
static KNOWN: [&str; 134] = [
    "application_name", "array_nulls", "backend_flush_after", "backslash_quote", "bytea_output",
    "check_function_bodies", "client_connection_check_interval", "client_encoding",
    "client_min_messages", "commit_siblings", "constraint_exclusion", "cpu_index_tuple_cost",
    "cpu_operator_cost", "cpu_tuple_cost", "createrole_self_grant", "cursor_tuple_fraction",
    "datestyle", "default_statistics_target", "default_table_access_method", "default_tablespace",
    "default_text_search_config", "default_toast_compression", "default_transaction_deferrable",
    "default_transaction_isolation", "default_transaction_read_only", "effective_cache_size",
    "effective_io_concurrency", "enable_async_append", "enable_bitmapscan",
    "enable_distinct_reordering", "enable_gathermerge", "enable_group_by_reordering",
    "enable_hashagg", "enable_hashjoin", "enable_incremental_sort", "enable_indexonlyscan",
    "enable_indexscan", "enable_material", "enable_memoize", "enable_mergejoin", "enable_nestloop",
    "enable_parallel_append", "enable_parallel_hash", "enable_partition_pruning",
    "enable_partitionwise_aggregate", "enable_partitionwise_join", "enable_presorted_aggregate",
    "enable_self_join_elimination", "enable_seqscan", "enable_sort", "enable_tidscan",
    "escape_string_warning", "exit_on_error", "extra_float_digits", "file_copy_method",
    "force_parallel_mode", "from_collapse_limit", "geqo", "geqo_effort", "geqo_generations",
    "geqo_pool_size", "geqo_seed", "geqo_selection_bias", "geqo_threshold",
    "gin_fuzzy_search_limit", "gin_pending_list_limit", "hash_mem_multiplier",
    "icu_validation_level", "idle_in_transaction_session_timeout", "idle_session_timeout",
    "intervalstyle", "io_combine_limit", "jit", "jit_above_cost", "jit_expressions",
    "jit_inline_above_cost", "jit_optimize_above_cost", "jit_tuple_deforming",
    "join_collapse_limit", "lc_monetary", "lc_numeric", "lc_time", "lock_timeout",
    "log_parameter_max_length_on_error", "logical_decoding_work_mem", "maintenance_io_concurrency",
    "maintenance_work_mem", "max_parallel_maintenance_workers", "max_parallel_workers",
    "max_parallel_workers_per_gather", "md5_password_warnings", "min_parallel_index_scan_size",
    "min_parallel_table_scan_size", "parallel_leader_participation", "parallel_setup_cost",
    "parallel_tuple_cost", "password_encryption", "plan_cache_mode", "quote_all_identifiers",
    "random_page_cost", "recursive_worktable_factor", "restrict_nonsystem_relation_kind",
    "row_security", "scram_iterations", "search_path", "seq_page_cost",
    "standard_conforming_strings", "statement_timeout", "stats_fetch_consistency",
    "synchronize_seqscans", "synchronous_commit", "temp_tablespaces", "timezone",
    "timezone_abbreviations", "transaction_timeout", "transform_null_equals",
    "vacuum_buffer_usage_limit", "vacuum_cost_delay", "vacuum_cost_limit", "vacuum_cost_page_dirty",
    "vacuum_cost_page_hit", "vacuum_cost_page_miss", "vacuum_failsafe_age", "vacuum_freeze_min_age",
    "vacuum_freeze_table_age", "vacuum_max_eager_freeze_failure_rate",
    "vacuum_multixact_failsafe_age", "vacuum_multixact_freeze_min_age",
    "vacuum_multixact_freeze_table_age", "vacuum_truncate", "wal_skip_threshold", "work_mem",
    "xmlbinary", "xmloption",
];

/// Whether a session may set this parameter, whose name is in lower case, whoever it is.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.binary_search(&name).is_ok()
}

/// Parameters whose value is a list of quoted names (GUC_LIST_QUOTE): SET would take the text of such
/// a list for one name.
pub(super) fn is_name_list(name: &str) -> bool {
    matches!(
        name,
        "search_path"
            | "temp_tablespaces"
            | "local_preload_libraries"
            | "session_preload_libraries"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_folded() {
        assert!(KNOWN.is_sorted());
        for name in KNOWN {
            assert_eq!(
                super::super::name::folded(name.as_bytes()).as_deref(),
                Some(name)
            );
            assert!(super::super::name::is_carried(name));
        }
        assert!(
            is_known("datestyle") && is_known("transaction_timeout") && !is_known("log_statement")
        );
    }
}
