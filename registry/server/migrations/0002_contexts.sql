-- What refers to a version, and what has a GUID, is asked for across contexts.

DROP INDEX edges_by_target;
CREATE INDEX edges_by_target ON edges (subject, version);
DROP INDEX schemas_by_guid;
CREATE INDEX schemas_by_guid ON schemas (guid, context);
