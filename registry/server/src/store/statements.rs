//! All SQL statements, so that one test can prepare them on both engines. They use the dialect that
//! SQLite and PostgreSQL share.

/// An SQL statement, which only this file can create.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statement(&'static str);

impl Statement {
    pub(crate) fn text(self) -> &'static str {
        self.0
    }
}

macro_rules! statements {
    ($($name:ident = [$($part:expr),+ $(,)?];)*) => {
        $(pub(crate) const $name: Statement = Statement(concat!($($part),+));)*

        /// All statements by name.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, Statement)] = &[$((stringify!($name), $name)),*];
    };
}

/// The columns of a content.
macro_rules! content_columns {
    () => {
        "s.schema_type, s.text, s.refs, s.metadata, s.rule_set"
    };
}

/// Selects versions with their contents.
macro_rules! entries {
    () => {
        concat!(
            "SELECT v.subject, v.version, v.id, v.deleted, v.created_at_ms, ",
            content_columns!(),
            " FROM versions v JOIN schemas s ON s.context = v.context AND s.id = v.id "
        )
    };
}

/// True if the subject name without its context starts with `$2`. The name is `:CONTEXT:PLAIN`, or
/// `PLAIN` in the default context.
macro_rules! starts_with {
    ($subject:literal, $context:literal) => {
        concat!(
            "substr(",
            $subject,
            ", CASE WHEN ",
            $context,
            " = '.' THEN 1 ",
            "ELSE length(",
            $context,
            ") + 3 END, length($2)) = $2"
        )
    };
}

/// The change sequence of the transaction, which is assigned by its first statement.
macro_rules! change {
    () => {
        "(SELECT c.value FROM counters c WHERE c.name = 'changes')"
    };
}

/// Selects the names of subjects with a version that matches; "deleted only" means without a live
/// one.
macro_rules! subjects {
    ($having:literal) => {
        concat!(
            "SELECT subject FROM versions ",
            "WHERE ($1 = '' OR context = $1) AND ",
            starts_with!("subject", "context"),
            " GROUP BY subject ",
            $having,
            " ORDER BY subject LIMIT $3 OFFSET $4"
        )
    };
}

// Several writes share a transaction; each has a savepoint to roll back to.
statements! {
    BEGIN_MEMBER = ["SAVEPOINT member"];
    UNDO_MEMBER = ["ROLLBACK TO SAVEPOINT member"];
    READ_COUNTER = ["SELECT value FROM counters WHERE name = $1"];
    INCREMENT_COUNTER = [
        "INSERT INTO counters (name, value) VALUES ($1, 1) ",
        "ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value",
    ];
    CONTEXTS = [
        "SELECT substr(c.name, 5) AS context FROM counters c WHERE c.name LIKE 'ids:%' ",
        "AND EXISTS (SELECT 1 FROM versions v WHERE v.context = substr(c.name, 5)) ",
        "ORDER BY c.name",
    ];
    HIGHEST_IDS = [
        "SELECT substr(name, 5) AS context, value FROM counters ",
        "WHERE name >= 'ids:' AND name < 'ids;' ORDER BY name",
    ];
    MARKS = [
        "SELECT name, value FROM counters ",
        "WHERE name IN ('changes', 'changes:ids', 'changes:configs')",
    ];
    MOVE_MARK = [
        "INSERT INTO counters (name, value) VALUES ($1, ", change!(), ") ",
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    ];
    // The changed versions, and the schemas that reference them, transitively: a schema is complete
    // only with those that it references.
    CHANGED_IDS = [
        "WITH RECURSIVE changed (context, id) AS (",
        "SELECT context, id FROM versions WHERE changed_seq > $1 ",
        "UNION SELECT e.context, e.id FROM changed ",
        "JOIN versions v ON v.context = changed.context AND v.id = changed.id ",
        "JOIN edges e ON e.subject = v.subject AND e.version = v.version",
        ") SELECT context, id FROM changed LIMIT $2",
    ];
    ALL_CONTEXTS = [
        "SELECT substr(name, 5) AS context FROM counters WHERE name LIKE 'ids:%' ",
        "UNION SELECT context FROM configs UNION SELECT context FROM modes ORDER BY context",
    ];
    RAISE_COUNTER = [
        "INSERT INTO counters (name, value) VALUES ($1, $2) ",
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value ",
        "WHERE counters.value < excluded.value",
    ];

    CONTENT = [
        "SELECT ", content_columns!(), " FROM schemas s WHERE s.context = $1 AND s.id = $2",
    ];
    CONTENTS_WITH_GUID = [
        "SELECT s.id, ", content_columns!(), " FROM schemas s ",
        "WHERE s.context = $1 AND s.guid = $2 ORDER BY s.id",
    ];
    CONTENTS_WITH_GUID_ANYWHERE = [
        "SELECT s.context, s.id, ", content_columns!(), " FROM schemas s ",
        "WHERE s.guid = $1 ORDER BY s.context, s.id",
    ];
    INSERT_CONTENT = [
        "INSERT INTO schemas (context, id, guid, schema_type, text, refs, metadata, rule_set) ",
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    ];
    REMOVE_UNUSED_CONTENT = [
        "DELETE FROM schemas WHERE context = $1 AND id = $2 AND NOT EXISTS ",
        "(SELECT 1 FROM versions v WHERE v.context = $1 AND v.id = $2)",
    ];

    INSERT_EDGE = [
        "INSERT INTO edges (context, id, subject, version) VALUES ($1, $2, $3, $4) ",
        "ON CONFLICT DO NOTHING",
    ];
    REFERRERS = [
        "SELECT DISTINCT e.id FROM edges e ",
        "JOIN versions v ON v.context = e.context AND v.id = e.id ",
        "WHERE e.subject = $1 AND e.version = $2 AND ($3 OR NOT v.deleted) ORDER BY e.id",
    ];
    COUNT_OTHER_REFERRERS = [
        "SELECT COUNT(*) AS value FROM edges e ",
        "JOIN versions v ON v.context = e.context AND v.id = e.id ",
        "WHERE e.subject = $1 AND e.version = $2 AND v.subject <> $1 AND NOT v.deleted",
    ];
    REMOVE_UNUSED_EDGES = [
        "DELETE FROM edges WHERE context = $1 AND id = $2 AND NOT EXISTS ",
        "(SELECT 1 FROM versions v WHERE v.context = $1 AND v.id = $2)",
    ];

    VERSIONS = [
        "SELECT version, id, deleted FROM versions ",
        "WHERE context = $1 AND subject = $2 ORDER BY version",
    ];
    ENTRY = [entries!(), "WHERE v.context = $1 AND v.subject = $2 AND v.version = $3"];
    NEWEST_ENTRIES = [
        entries!(), "WHERE v.context = $1 AND v.subject = $2 AND NOT v.deleted ",
        "ORDER BY v.version DESC LIMIT $3",
    ];
    LIST_ENTRIES = [
        entries!(), "WHERE ($1 = '' OR v.context = $1) AND ",
        starts_with!("v.subject", "v.context"),
        " AND ($3 OR NOT v.deleted) AND (NOT $4 OR v.version = (",
        "SELECT MAX(w.version) FROM versions w WHERE w.context = v.context ",
        "AND w.subject = v.subject AND ($3 OR NOT w.deleted))) ",
        "ORDER BY v.subject, v.version LIMIT $5 OFFSET $6",
    ];
    EXPORT_SIZES = [
        "SELECT CAST(length(s.text) + length(s.refs) + length(coalesce(s.metadata, '')) ",
        "+ length(coalesce(s.rule_set, '')) AS BIGINT) AS size ",
        "FROM versions v JOIN schemas s ON s.context = v.context AND s.id = v.id ",
        "WHERE (v.context, v.subject, v.version) > ($1, $2, $3) ",
        "ORDER BY v.context, v.subject, v.version LIMIT $4",
    ];
    EXPORT_ENTRIES = [
        entries!(), "WHERE (v.context, v.subject, v.version) > ($1, $2, $3) ",
        "ORDER BY v.context, v.subject, v.version LIMIT $4",
    ];
    VERSIONS_OF_LENGTH = [
        entries!(), "WHERE v.context = $1 AND v.subject = $2 ",
        "AND (length(s.text) = $3 OR ($4 AND s.refs <> '[]')) ORDER BY v.version DESC",
    ];
    LIVE_SUBJECTS = [subjects!("HAVING MIN(CASE WHEN deleted THEN 1 ELSE 0 END) = 0")];
    ALL_SUBJECTS = [subjects!("")];
    DELETED_SUBJECTS = [subjects!("HAVING MIN(CASE WHEN deleted THEN 1 ELSE 0 END) = 1")];
    HOLDERS = [
        "SELECT subject, version, id, deleted, created_at_ms FROM versions ",
        "WHERE context = $1 AND id = $2 ORDER BY subject, version",
    ];
    PUT_VERSION = [
        "INSERT INTO versions ",
        "(context, subject, version, id, deleted, created_at_ms, changed_seq) ",
        "VALUES ($1, $2, $3, $4, $5, $6, ", change!(), ") ",
        "ON CONFLICT (context, subject, version) DO UPDATE SET ",
        "id = excluded.id, deleted = excluded.deleted, created_at_ms = excluded.created_at_ms, ",
        "changed_seq = excluded.changed_seq",
    ];
    SOFT_DELETE_VERSION = [
        "UPDATE versions SET deleted = TRUE, changed_seq = ", change!(),
        " WHERE context = $1 AND subject = $2 AND version = $3",
    ];
    REMOVE_VERSION = [
        "DELETE FROM versions WHERE context = $1 AND subject = $2 AND version = $3",
    ];

    MODES = ["SELECT scope, mode FROM modes WHERE context = $1 ORDER BY scope"];
    CONFIGS = ["SELECT scope, body FROM configs WHERE context = $1 ORDER BY scope"];
    ALIASED_CONFIGS = [
        "SELECT scope, body FROM configs WHERE context = $1 AND body LIKE '%\"alias\":%' ",
        "ORDER BY scope",
    ];
    INHERITED_SETTINGS = [
        "SELECT context, scope, body, NULL AS mode FROM configs ",
        "WHERE context IN ($1, $2, $3) AND scope IN ($4, '') ",
        "UNION ALL SELECT context, scope, NULL, mode FROM modes ",
        "WHERE context IN ($1, $2, $3) AND scope IN ($4, '')",
    ];
    CONFIG = ["SELECT body FROM configs WHERE context = $1 AND scope = $2"];
    PUT_CONFIG = [
        "INSERT INTO configs (context, scope, body) VALUES ($1, $2, $3) ",
        "ON CONFLICT (context, scope) DO UPDATE SET body = excluded.body",
    ];
    REMOVE_CONFIGS = ["DELETE FROM configs WHERE context = $1"];
    REMOVE_CONFIG = ["DELETE FROM configs WHERE context = $1 AND scope = $2"];
    MODE = ["SELECT mode FROM modes WHERE context = $1 AND scope = $2"];
    PUT_MODE = [
        "INSERT INTO modes (context, scope, mode) VALUES ($1, $2, $3) ",
        "ON CONFLICT (context, scope) DO UPDATE SET mode = excluded.mode",
    ];
    REMOVE_MODE = ["DELETE FROM modes WHERE context = $1 AND scope = $2"];
    REMOVE_MODES = ["DELETE FROM modes WHERE context = $1"];
}

/// Notifies other nodes of a commit; PostgreSQL only.
pub(crate) const NOTIFY: Statement = Statement("SELECT pg_notify($1, '')");
