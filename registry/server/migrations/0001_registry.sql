-- Runs unchanged on SQLite and PostgreSQL.
--
-- schemas    one row an id: the content, which never changes
-- edges      what a schema refers to
-- versions   where an id is registered; a soft delete only sets `deleted`
-- configs, modes   scope is a subject, or '' for the whole context
-- counters   high-water marks: they only grow, so that no id is ever given out twice

CREATE TABLE schemas (
    context       TEXT    NOT NULL,
    id            INTEGER NOT NULL,
    guid          TEXT    NOT NULL,
    schema_type   TEXT    NOT NULL,
    text          TEXT    NOT NULL,
    refs          TEXT    NOT NULL,
    metadata      TEXT,
    rule_set      TEXT,
    PRIMARY KEY (context, id)
);
CREATE INDEX schemas_by_guid ON schemas (context, guid);

CREATE TABLE edges (
    context       TEXT    NOT NULL,
    id            INTEGER NOT NULL,
    subject       TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    PRIMARY KEY (context, id, subject, version)
);
CREATE INDEX edges_by_target ON edges (context, subject, version);

CREATE TABLE versions (
    context       TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    id            INTEGER NOT NULL,
    deleted       BOOLEAN NOT NULL,
    created_at_ms BIGINT  NOT NULL,
    PRIMARY KEY (context, subject, version),
    FOREIGN KEY (context, id) REFERENCES schemas (context, id)
);
CREATE INDEX versions_by_id ON versions (context, id);

CREATE TABLE configs (
    context       TEXT    NOT NULL,
    scope         TEXT    NOT NULL,
    body          TEXT    NOT NULL,
    PRIMARY KEY (context, scope)
);

CREATE TABLE modes (
    context       TEXT    NOT NULL,
    scope         TEXT    NOT NULL,
    mode          TEXT    NOT NULL,
    PRIMARY KEY (context, scope)
);

CREATE TABLE counters (
    name          TEXT    NOT NULL PRIMARY KEY,
    value         BIGINT  NOT NULL
);
