-- What the cluster is, one row a fact: cluster_id, next_producer_id.
CREATE TABLE cluster (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- A topic that exists. Its row is written before any of its data.
CREATE TABLE topics (
    id              TEXT PRIMARY KEY,
    name            TEXT NOT NULL UNIQUE,
    partition_count BIGINT NOT NULL,
    created_ms      BIGINT NOT NULL,
    -- What `auto` was decided to be for keys and values; empty until decided, then for good.
    key_decision    TEXT NOT NULL DEFAULT '',
    value_decision  TEXT NOT NULL DEFAULT ''
);

CREATE TABLE topic_configs (
    topic_id TEXT NOT NULL,
    name     TEXT NOT NULL,
    value    TEXT NOT NULL,
    PRIMARY KEY (topic_id, name)
);

-- A topic that existed: data found under its id is garbage. Data under an id with neither row nor
-- tombstone is kept and reported.
CREATE TABLE topic_tombstones (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    deleted_ms BIGINT NOT NULL
);
