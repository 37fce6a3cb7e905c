//! Owns the words that look like a call before a parenthesis and never are one of a user's function.
//!
//! Made from `pg_get_keywords()` of PostgreSQL 15.18 and 18: the words that are reserved, or can't be
//! a function's name, in both. Those that became keywords later (`json_object`, `merge_action`) are
//! left out: in 15 they are somebody's function.

/// Sorted by bytes.
#[rustfmt::skip]
pub(crate) static RESERVED: [&str; 128] = [
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "between",
    "bigint", "bit", "boolean", "both", "case", "cast", "char", "character", "check", "coalesce",
    "collate", "column", "constraint", "create", "current_catalog", "current_date", "current_role",
    "current_time", "current_timestamp", "current_user", "dec", "decimal", "default", "deferrable",
    "desc", "distinct", "do", "else", "end", "except", "exists", "extract", "false", "fetch",
    "float", "for", "foreign", "from", "grant", "greatest", "group", "grouping", "having", "in",
    "initially", "inout", "int", "integer", "intersect", "interval", "into", "lateral", "leading",
    "least", "limit", "localtime", "localtimestamp", "national", "nchar", "none", "normalize",
    "not", "null", "nullif", "numeric", "offset", "on", "only", "or", "order", "out", "overlay",
    "placing", "position", "precision", "primary", "real", "references", "returning", "row",
    "select", "session_user", "setof", "smallint", "some", "substring", "symmetric", "table",
    "then", "time", "timestamp", "to", "trailing", "treat", "trim", "true", "union", "unique",
    "user", "using", "values", "varchar", "variadic", "when", "where", "window", "with",
    "xmlattributes", "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces",
    "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable",
];
