-- SQLite takes the index that gives the order asked for, were it to read the whole context for it:
-- these give the order and find the rows.

DROP INDEX schemas_by_guid;
CREATE INDEX schemas_by_guid ON schemas (guid, context, id);
DROP INDEX versions_by_id;
CREATE INDEX versions_by_id ON versions (context, id, subject, version);
