-- When a version last changed, by the change sequence: what a node remembers of an id holds until
-- one of its versions changed after that.

ALTER TABLE versions ADD COLUMN changed_seq BIGINT NOT NULL DEFAULT 0;
CREATE INDEX versions_by_change ON versions (changed_seq);
