//! PostgreSQL's own parser as the judge of the scanner: what a parse tree says about relations and calls.
//!
//! The tree is walked as JSON, node by node, so that no kind of node can be forgotten.

use std::collections::BTreeSet;

use serde_json::Value;

/// What a parse tree says of one statement.
#[derive(Debug, Default)]
pub struct Truth {
    /// Relations as `catalog.schema.name`, with what is done to them: `r`, `w`, `d`.
    pub relations: BTreeSet<(String, char)>,
    /// Functions called, as `schema.name` or `name`.
    pub calls: BTreeSet<String>,
    /// The kinds of nodes that change something, anywhere in it.
    pub verbs: BTreeSet<String>,
    /// An UPDATE or DELETE has no WHERE.
    pub without_where: bool,
}

/// The statements of a text with their places, or `None` if PostgreSQL doesn't parse it.
pub fn parse(text: &str) -> Option<Vec<(usize, usize, Truth)>> {
    let parsed = pg_query::parse(text, pg_query::ParserOptions::default()).ok()?;
    let mut out = Vec::new();
    for raw in &parsed.protobuf.stmts {
        let tree = serde_json::to_value(raw).ok()?;
        let start = raw.stmt_location as usize;
        let len = match raw.stmt_len {
            0 => text.len() - start,
            len => len as usize,
        };
        let mut truth = Truth::default();
        walk(&tree["stmt"], &mut Scope::default(), 'r', &mut truth);
        out.push((start, start + len, truth));
    }
    Some(out)
}

/// `CoercionForm` of PostgreSQL's `primnodes.h`, as libpg_query numbers it.
const EXPLICIT_CALL: i32 = 1;

/// `OBJECT_TYPE` of `ObjectType`: composite types, whose attributes are altered as columns are.
const OBJECT_TYPE: i32 = 50;

/// What the grammar calls for words of its own.
const SPELLED: [&str; 4] = ["similar_to_escape", "like_escape", "substring", "overlay"];

/// Names of common table expressions in scope.
#[derive(Clone, Default)]
struct Scope(Vec<String>);

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().cloned().unwrap_or_default();
    list.iter()
        .filter_map(|item| {
            let string = find(item, "String")?;
            string["sval"].as_str().map(str::to_owned)
        })
        .collect()
}

/// The node of this kind, under the wrappers that prost makes of a oneof.
fn find<'v>(value: &'v Value, kind: &str) -> Option<&'v Value> {
    let node = value.get("node").unwrap_or(value);
    node.get(kind)
}

fn ranged(range: &Value, access: char, scope: &Scope, truth: &mut Truth) {
    if range.is_null() {
        return;
    }
    let (catalog, schema, name) = (
        text(&range["catalogname"]),
        text(&range["schemaname"]),
        text(&range["relname"]),
    );
    if name.is_empty()
        || access == 'r' && schema.is_empty() && scope.0.iter().any(|cte| cte == name)
    {
        return;
    }
    let parts: Vec<&str> = [catalog, schema, name]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    truth.relations.insert((parts.join("."), access));
}

/// A WITH clause of a statement: gives the scope of its body.
fn with(clause: &Value, scope: &Scope, truth: &mut Truth) -> Scope {
    let mut inner = scope.clone();
    let ctes = clause["ctes"].as_array().cloned().unwrap_or_default();
    let name = |cte: &Value| {
        find(cte, "CommonTableExpr").map_or(String::new(), |cte| text(&cte["ctename"]).to_owned())
    };
    if clause["recursive"] == Value::Bool(true) {
        inner.0.extend(ctes.iter().map(name));
    }
    for cte in &ctes {
        walk(cte, &mut inner.clone(), 'r', truth);
        if clause["recursive"] != Value::Bool(true) {
            inner.0.push(name(cte));
        }
    }
    inner
}

/// DROP names tables as lists of words, and rules, triggers and policies by their table and themselves.
fn dropped(value: &Value, truth: &mut Truth) {
    // ObjectType of libpg_query's protobuf.
    const RELATIONS: [i64; 6] = [19, 21, 24, 38, 42, 52];
    const OF_RELATION: [i64; 3] = [29, 36, 45];
    let kind = value["remove_type"].as_i64().unwrap_or_default();
    for object in value["objects"].as_array().into_iter().flatten() {
        let mut parts = find(object, "List").map_or(Vec::new(), |list| strings(&list["items"]));
        if OF_RELATION.contains(&kind) {
            parts.pop();
        } else if !RELATIONS.contains(&kind) {
            continue;
        }
        truth.relations.insert((parts.join("."), 'd'));
    }
}

/// What is done to a range variable that stands in this field of this node.
fn access(kind: &str, field: &str) -> char {
    match (kind, field) {
        ("InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt", "relation") => 'w',
        ("TruncateStmt" | "LockStmt", _) => 'w',
        ("VacuumRelation" | "ClusterStmt" | "ReindexStmt" | "RefreshMatViewStmt", "relation") => {
            'w'
        }
        ("CreateStmt", "inh_relations") => 'h',
        ("TableLikeClause", _) | ("Constraint", "pktable") => 'r',
        ("CreateTrigStmt", "constrrel") => 'r',
        ("IntoClause", _) => 'd',
        (
            "CreateStmt"
            | "AlterTableStmt"
            | "IndexStmt"
            | "ViewStmt"
            | "RuleStmt"
            | "CreateTrigStmt"
            | "CreatePolicyStmt"
            | "CreateSeqStmt"
            | "AlterSeqStmt"
            | "RenameStmt"
            | "AlterPolicyStmt"
            | "AlterObjectSchemaStmt"
            | "AlterObjectDependsStmt"
            | "PartitionCmd"
            | "GrantStmt"
            | "AlterTableCmd",
            _,
        ) => 'd',
        _ => 'r',
    }
}

fn walk(value: &Value, scope: &mut Scope, how: char, truth: &mut Truth) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, scope, how, truth)),
        Value::Object(fields) if fields.contains_key("relname") => ranged(value, how, scope, truth),
        Value::Object(fields) => {
            for (key, inner) in fields {
                if key == "base_stmt" {
                    node("CreateStmt", inner, scope, how, truth);
                } else if key.chars().next().is_some_and(char::is_uppercase) {
                    node(key, inner, scope, how, truth);
                } else {
                    walk(inner, scope, how, truth);
                }
            }
        }
        _ => {}
    }
}

fn node(kind: &str, value: &Value, scope: &mut Scope, how: char, truth: &mut Truth) {
    match kind {
        "RangeVar" => return ranged(value, how, scope, truth),
        // Aliases, and types.
        "LockingClause" | "CompositeTypeStmt" | "ConstraintsSetStmt" => return,
        "AlterTableStmt" if value["objtype"] == Value::from(OBJECT_TYPE) => return,
        "RenameStmt" if value["relation_type"] == Value::from(OBJECT_TYPE) => return,
        "DropStmt" => return dropped(value, truth),
        "FuncCall" => {
            // What the grammar spells with words of its own has another form.
            if value["funcformat"] == Value::from(EXPLICIT_CALL) {
                let name = strings(&value["funcname"]);
                if !name
                    .last()
                    .is_some_and(|last| SPELLED.contains(&last.as_str()))
                {
                    truth.calls.insert(name.join("."));
                }
            }
        }
        "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => {
            truth.verbs.insert(kind.to_owned());
            let whereless =
                matches!(kind, "UpdateStmt" | "DeleteStmt") && value["where_clause"].is_null();
            truth.without_where |= whereless;
        }
        _ => {}
    }
    let mut own = if value["with_clause"].is_object() {
        with(&value["with_clause"], scope, truth)
    } else {
        scope.clone()
    };
    let Value::Object(fields) = value else {
        return walk(value, scope, how, truth);
    };
    for (field, inner) in fields {
        if field == "with_clause" {
            continue;
        }
        let mut here = access(kind, field);
        if kind == "CopyStmt" && field == "relation" {
            here = if value["is_from"] == Value::Bool(true) {
                'w'
            } else {
                'r'
            };
        }
        if here == 'h' {
            here = if value["partbound"].is_null() {
                'r'
            } else {
                'd'
            };
        }
        if field == "base_stmt" {
            node("CreateStmt", inner, &mut own, here, truth);
            continue;
        }
        match inner {
            // A field of type RangeVar or IntoClause has no wrapper.
            Value::Object(parts) if parts.contains_key("relname") => {
                ranged(inner, here, &own, truth);
            }
            Value::Object(parts)
                if parts.contains_key("table_space_name") && parts.contains_key("rel") =>
            {
                ranged(&inner["rel"], 'd', &own, truth);
            }
            Value::Object(parts)
                if parts.contains_key("target_list") && parts.contains_key("op") =>
            {
                node("SelectStmt", inner, &mut own, 'r', truth);
            }
            _ => walk(inner, &mut own, here, truth),
        }
    }
}
