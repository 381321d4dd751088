-- Broker configs that were changed while brokers ran. Scope: 'cluster' for all brokers, or the id
-- of one.
CREATE TABLE broker_configs (
    scope TEXT NOT NULL,
    name  TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (scope, name)
);
