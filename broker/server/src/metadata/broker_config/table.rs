//! Kafka's broker configs and Avouch's own as one table: name, accepted values, default, role.
//! Contract configs have a table of their own, `avouch_contract::keys`.
//!
//! Source of names, types and defaults: Kafka 4.4 `AbstractKafkaConfig`, without internal ones; of
//! the defaults of topic configs: `ServerTopicConfigSynonyms`; of the dynamic ones:
//! `DynamicBrokerConfig`.

use super::setting::{Field, Setting, read_minutes, write_minutes};
use super::{BrokerConfigDef, Role};
use crate::metadata::config_kind::Kind;
use crate::metadata::create::PARTITIONS_MAX;
use crate::metadata::topic_config;

/// A row is `"name": Type = default [role];`. The type may have a range. Roles:
/// - none: described for Kafka's tools, without effect;
/// - `[dynamic]`: the same, and stored when it is changed, as Kafka does;
/// - `[default of "NAME"]`: default of that topic config, which determines the accepted values;
/// - `[at field: "doc"]`: the field of [`BrokerConfig`](crate::BrokerConfig) that it sets at
///   startup; with `dynamic` a change is stored and takes effect at the next start;
/// - `[fixed]`: determined by other means, such as a flag of the binary.
macro_rules! configs {
    ($(
        $name:literal $(: $kind:ident $(($min:expr, $max:expr))?)? = $default:tt
        $([$($role:tt)+])?;
    )*) => {
        /// Every broker config, sorted by name.
        pub(super) const CONFIGS: &[BrokerConfigDef] = &[$(BrokerConfigDef {
            name: $name,
            kind: configs!(@kind $($kind $(($min, $max))?)? $([$($role)+])?),
            default: configs!(@default $default),
            role: configs!(@role $($($role)+)?),
        }),*];
    };
    (@default null) => { None };
    (@default $default:literal) => { Some($default) };
    (@kind [default of $topic_config:literal]) => { topic_config::named($topic_config).kind };
    (@kind Int $([$($role:tt)+])?) => { Kind::Int(i32::MIN, i32::MAX) };
    (@kind Long $([$($role:tt)+])?) => { Kind::Long(i64::MIN, i64::MAX) };
    (@kind Double $([$($role:tt)+])?) => { Kind::Double(f64::MIN, f64::MAX) };
    (@kind List $([$($role:tt)+])?) => { Kind::List(',') };
    (@kind $kind:ident $([$($role:tt)+])?) => { Kind::$kind };
    (@kind $kind:ident ($min:expr, $max:expr) $([$($role:tt)+])?) => { Kind::$kind($min, $max) };
    (@role) => { Role::NoEffect };
    (@role dynamic) => { Role::Stored };
    (@role default of $topic_config:literal) => {
        Role::DefaultOf(topic_config::named($topic_config))
    };
    (@role fixed) => { Role::Fixed(None) };
    (@role fixed by $flag:literal) => { Role::Fixed(Some($flag)) };
    (@role at $($field:ident).+: $doc:literal) => { configs!(@set false, $($field).+, $doc) };
    (@role dynamic at $($field:ident).+: $doc:literal) => {
        configs!(@set true, $($field).+, $doc)
    };
    (@set $dynamic:literal, $($field:ident).+, $doc:literal) => {
        Role::Setting(Setting {
            read: |config| config.$($field).+.read(),
            write: |config, value| config.$($field).+.write(value),
            is_dynamic: $dynamic,
            doc: $doc,
        })
    };
    (@role minutes at $($field:ident).+: $doc:literal) => {
        Role::Setting(Setting {
            read: |config| read_minutes(config.$($field).+),
            write: |config, value| write_minutes(&mut config.$($field).+, value),
            is_dynamic: false,
            doc: $doc,
        })
    };
}

const INT_MAX: i32 = i32::MAX;
/// The sum of two such times does not overflow.
const MS_MAX: i64 = i64::MAX / 4;

configs! {
    "add.partitions.to.txn.retry.backoff.max.ms": Int = "100";
    "add.partitions.to.txn.retry.backoff.ms": Int = "20";
    "advertised.listeners": List = null [fixed by "--advertise"];
    "alter.config.policy.class.name": Class = null;
    "alter.log.dirs.replication.quota.window.num": Int = "11";
    "alter.log.dirs.replication.quota.window.size.seconds": Int = "1";
    "authorizer.class.name": Text = "";
    "auto.create.topics.enable": Boolean = "true"
        [at auto_create_topics:
            "Creates a topic when a client requests its metadata and permits it."];
    "auto.leader.rebalance.enable": Boolean = "true";
    "avouch.auto.exclude": List = null
        [at auto_exclude: "Topics without automatic contracts, as patterns with *."];
    // Avouch's own: the cost of a larger value is as much memory per decompressing thread.
    "avouch.max.batch.decompressed.bytes" =
        "67108864" [default of "avouch.max.batch.decompressed.bytes"];
    "background.threads": Int = "10" [dynamic];
    "broker.heartbeat.interval.ms": Int = "2000";
    "broker.id": Int = "-1" [fixed];
    "broker.rack": Text = null;
    "broker.session.timeout.ms": Int = "9000";
    "client.quota.callback.class": Class = null;
    "compression.gzip.level" = "-1" [default of "compression.gzip.level"];
    "compression.lz4.level" = "9" [default of "compression.lz4.level"];
    "compression.type" = "producer" [default of "compression.type"];
    "compression.zstd.level" = "3" [default of "compression.zstd.level"];
    "config.providers": List = "" [dynamic];
    "connection.failed.authentication.delay.ms": Int = "100";
    "connections.max.idle.ms": Long(1, MS_MAX) = "600000"
        [at limits.connections.idle_timeout:
            "Maximum time between two requests of a connection, in milliseconds."];
    "connections.max.reauth.ms": Long = "0";
    "controlled.shutdown.enable": Boolean = "true";
    "controller.listener.names": List = null;
    "controller.quorum.append.linger.ms": Int = "25";
    "controller.quorum.auto.join.enable": Boolean = "false";
    "controller.quorum.bootstrap.servers": List = "";
    "controller.quorum.election.backoff.max.ms": Int = "1000";
    "controller.quorum.election.timeout.ms": Int = "1000";
    "controller.quorum.fetch.max.bytes": Int = "1048576";
    "controller.quorum.fetch.snapshot.max.bytes": Int = "1048576";
    "controller.quorum.fetch.timeout.ms": Int = "2000";
    "controller.quorum.request.timeout.ms": Int = "2000";
    "controller.quorum.retry.backoff.ms": Int = "20";
    "controller.quorum.voters": List = "";
    "controller.quota.window.num": Int = "11";
    "controller.quota.window.size.seconds": Int = "1";
    "controller.socket.timeout.ms": Int = "30000";
    "cordoned.log.dirs": List = "" [dynamic];
    "create.topic.policy.class.name": Class = null;
    "default.replication.factor": Int = "1" [fixed];
    "delegation.token.expiry.check.interval.ms": Long = "3600000";
    "delegation.token.expiry.time.ms": Long = "86400000";
    "delegation.token.max.lifetime.ms": Long = "604800000";
    "delegation.token.secret.key": Password = null;
    "delete.records.purgatory.purge.interval.requests": Int = "1";
    "delete.topic.enable": Boolean = "true";
    "early.start.listeners": List = null;
    "errors.deadletterqueue.auto.create.topics.enable": Boolean = "false" [dynamic];
    "errors.deadletterqueue.topic.name.prefix": Text = "dlq." [dynamic];
    "fetch.max.bytes": Int(1_024, INT_MAX) = "57671680"
        [at limits.fetch_bytes_max: "Maximum size of a fetch response, in bytes."];
    "fetch.purgatory.purge.interval.requests": Int = "1000";
    "follower.fetch.last.tiered.offset.enable": Boolean = "false" [dynamic];
    "group.consumer.assignment.interval.ms": Int = "1000" [dynamic];
    "group.consumer.assignors": List = "uniform,range";
    "group.consumer.heartbeat.interval.ms": Int = "5000";
    "group.consumer.max.assignment.interval.ms": Int = "15000";
    "group.consumer.max.heartbeat.interval.ms": Int = "15000";
    "group.consumer.max.session.timeout.ms": Int = "60000";
    "group.consumer.max.size": Int = "2147483647";
    "group.consumer.migration.policy": Text = "bidirectional";
    "group.consumer.min.assignment.interval.ms": Int = "0";
    "group.consumer.min.heartbeat.interval.ms": Int = "5000";
    "group.consumer.min.session.timeout.ms": Int = "45000";
    "group.consumer.session.timeout.ms": Int = "45000";
    "group.coordinator.append.linger.ms": Int = "-1";
    "group.coordinator.background.threads": Int = "2";
    "group.coordinator.cached.buffer.max.bytes": Int = "1048588" [dynamic];
    "group.coordinator.rebalance.protocols": List = "classic,consumer,streams";
    "group.coordinator.threads": Int = "4";
    // Avouch: 0, so that a single consumer starts without delay.
    "group.initial.rebalance.delay.ms": Int(0, INT_MAX) = "3000"
        [at groups.initial_rebalance_delay_ms:
            "Time to wait for members before the first rebalance of an empty group, in \
             milliseconds."];
    "group.max.session.timeout.ms": Int(1, INT_MAX) = "1800000"
        [at groups.session_timeout_max_ms:
            "Maximum session timeout of group members, in milliseconds."];
    // Avouch: 500, since the size of a group is bounded by memory.
    "group.max.size": Int(1, INT_MAX) = "2147483647"
        [at groups.members_max: "Maximum number of members of a group."];
    "group.min.session.timeout.ms": Int(1, INT_MAX) = "6000"
        [at groups.session_timeout_min_ms:
            "Minimum session timeout of group members, in milliseconds."];
    "group.share.assignment.interval.ms": Int = "1000" [dynamic];
    "group.share.assignors": List = "simple";
    "group.share.delivery.count.limit": Int = "5";
    "group.share.heartbeat.interval.ms": Int = "5000";
    "group.share.max.assignment.interval.ms": Int = "15000";
    "group.share.max.delivery.count.limit": Int = "10";
    "group.share.max.heartbeat.interval.ms": Int = "15000";
    "group.share.max.partition.max.record.locks": Int = "4000";
    "group.share.max.record.lock.duration.ms": Int = "60000";
    "group.share.max.session.timeout.ms": Int = "60000";
    "group.share.max.share.sessions": Int = "2000";
    "group.share.max.size": Int = "200";
    "group.share.min.assignment.interval.ms": Int = "0";
    "group.share.min.delivery.count.limit": Int = "2";
    "group.share.min.heartbeat.interval.ms": Int = "5000";
    "group.share.min.partition.max.record.locks": Int = "100";
    "group.share.min.record.lock.duration.ms": Int = "15000";
    "group.share.min.session.timeout.ms": Int = "45000";
    "group.share.partition.max.record.locks": Int = "2000";
    "group.share.record.lock.duration.ms": Int = "30000";
    "group.share.session.timeout.ms": Int = "45000";
    "group.streams.assignment.interval.ms": Int = "1000" [dynamic];
    "group.streams.assignors": List = "sticky";
    "group.streams.heartbeat.interval.ms": Int = "5000";
    "group.streams.initial.rebalance.delay.ms": Int = "3000";
    "group.streams.max.assignment.interval.ms": Int = "15000";
    "group.streams.max.heartbeat.interval.ms": Int = "15000";
    "group.streams.max.session.timeout.ms": Int = "60000";
    "group.streams.max.size": Int = "2147483647";
    "group.streams.max.standby.replicas": Int = "2";
    "group.streams.min.assignment.interval.ms": Int = "0";
    "group.streams.min.heartbeat.interval.ms": Int = "5000";
    "group.streams.min.session.timeout.ms": Int = "45000";
    "group.streams.num.standby.replicas": Int = "0";
    "group.streams.rack.aware.assignment.tags": List = "";
    "group.streams.session.timeout.ms": Int = "45000";
    "group.streams.topology.description.plugin.class": Class = null;
    "initial.broker.registration.timeout.ms": Int = "60000";
    "inter.broker.listener.name": Text = null;
    "kafka.metrics.polling.interval.secs": Int = "10";
    "kafka.metrics.reporters": List = "";
    "leader.imbalance.check.interval.seconds": Long = "300";
    "listener.security.protocol.map": Text =
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT";
    // Set by flags, because they are also needed without a broker.
    "listeners": List = "PLAINTEXT://:9092" [fixed by "--kafka-listen"];
    "log.cleaner.backoff.ms": Long = "15000" [dynamic];
    "log.cleaner.dedupe.buffer.size": Long = "134217728" [dynamic];
    "log.cleaner.delete.retention.ms" = "86400000" [default of "delete.retention.ms"];
    "log.cleaner.enable": Boolean = "true";
    "log.cleaner.io.buffer.load.factor": Double = "0.9" [dynamic];
    "log.cleaner.io.buffer.size": Int = "524288" [dynamic];
    "log.cleaner.io.max.bytes.per.second": Double = "1.7976931348623157E308" [dynamic];
    "log.cleaner.max.compaction.lag.ms" =
        "9223372036854775807" [default of "max.compaction.lag.ms"];
    "log.cleaner.min.cleanable.ratio" = "0.5" [default of "min.cleanable.dirty.ratio"];
    "log.cleaner.min.compaction.lag.ms" = "0" [default of "min.compaction.lag.ms"];
    "log.cleaner.threads": Int = "1" [dynamic];
    "log.cleanup.policy" = "delete" [default of "cleanup.policy"];
    "log.dir": List = "/tmp/kafka-logs" [fixed by "--data-dir"];
    "log.dir.failure.timeout.ms": Long = "30000";
    "log.dirs": List = null [fixed by "--data-dir"];
    "log.flush.interval.messages" = "9223372036854775807" [default of "flush.messages"];
    "log.flush.interval.ms" = null [default of "flush.ms"];
    "log.flush.offset.checkpoint.interval.ms": Int = "60000";
    "log.flush.scheduler.interval.ms": Long = "9223372036854775807";
    "log.flush.start.offset.checkpoint.interval.ms": Int = "60000";
    "log.index.interval.bytes" = "4096" [default of "index.interval.bytes"];
    "log.index.size.max.bytes" = "10485760" [default of "segment.index.bytes"];
    "log.local.retention.bytes" = "-2" [default of "local.retention.bytes"];
    "log.local.retention.ms" = "-2" [default of "local.retention.ms"];
    "log.message.timestamp.after.max.ms" = "3600000" [default of "message.timestamp.after.max.ms"];
    "log.message.timestamp.before.max.ms" =
        "9223372036854775807" [default of "message.timestamp.before.max.ms"];
    "log.message.timestamp.type" = "CreateTime" [default of "message.timestamp.type"];
    "log.preallocate" = "false" [default of "preallocate"];
    "log.remote.copy.lag.bytes" = "-1" [default of "remote.copy.lag.bytes"];
    "log.remote.copy.lag.ms" = "0" [default of "remote.copy.lag.ms"];
    "log.retention.bytes" = "-1" [default of "retention.bytes"];
    // Avouch: 15 s, because compaction runs in the same passes; Kafka's cleaner has 15 s too.
    "log.retention.check.interval.ms": Long(1, MS_MAX) = "300000"
        [at retention_check:
            "Interval between passes of retention and compaction, in milliseconds."];
    "log.retention.hours": Int = "168";
    "log.retention.minutes": Int = null;
    "log.retention.ms" = null [default of "retention.ms"];
    "log.roll.hours": Int = "168";
    "log.roll.jitter.hours": Int = "0";
    "log.roll.jitter.ms" = null [default of "segment.jitter.ms"];
    "log.roll.ms" = null [default of "segment.ms"];
    "log.segment.bytes" = "1073741824" [default of "segment.bytes"];
    "log.segment.delete.delay.ms" = "60000" [default of "file.delete.delay.ms"];
    "max.connection.creation.rate": Int(1, INT_MAX) = "2147483647"
        [dynamic at limits.connections.connections_per_ip_and_second_max:
            "Maximum number of new connections from one address of another machine per \
             second."];
    // Avouch: 10,000, since each connection holds a file descriptor.
    "max.connections": Int(1, INT_MAX) = "2147483647"
        [dynamic at limits.connections.connections_max:
            "Maximum number of open connections. A change takes effect at the next start."];
    "max.connections.per.ip": Int(1, INT_MAX) = "2147483647"
        [dynamic at limits.connections.connections_per_ip_max:
            "Maximum number of open connections from one address of another machine. A change \
             takes effect at the next start."];
    "max.connections.per.ip.overrides": Text = "" [dynamic];
    "max.decompressed.message.bytes" = "2147483639" [default of "max.decompressed.message.bytes"];
    "max.incremental.fetch.session.cache.slots": Int = "1000";
    "max.request.partition.size.limit": Int = "2000";
    "message.max.bytes" = "1048588" [default of "max.message.bytes"];
    "metadata.log.dir": Text = null;
    "metadata.log.max.record.bytes.between.snapshots": Long = "20971520";
    "metadata.log.max.snapshot.interval.ms": Long = "3600000";
    "metadata.log.segment.bytes": Int = "1073741824";
    "metadata.log.segment.ms": Long = "604800000";
    "metadata.max.idle.interval.ms": Int = "500";
    "metadata.max.retention.bytes": Long = "104857600";
    "metadata.max.retention.ms": Long = "604800000";
    "metric.reporters": List = "org.apache.kafka.common.metrics.JmxReporter" [dynamic];
    "metrics.num.samples": Int = "2";
    "metrics.recording.level": Text = "INFO";
    "metrics.sample.window.ms": Long = "30000";
    "min.insync.replicas" = "1" [default of "min.insync.replicas"];
    "node.id": Int = null [fixed];
    "num.io.threads": Int = "8" [dynamic];
    "num.network.threads": Int = "3" [dynamic];
    "num.partitions": Int(1, PARTITIONS_MAX) = "1"
        [at default_partition_count:
            "Number of partitions of a topic that is created without one."];
    "num.recovery.threads.per.data.dir": Int = "2" [dynamic];
    "num.replica.alter.log.dirs.threads": Int = null;
    "num.replica.fetchers": Int = "1" [dynamic];
    "offset.metadata.max.bytes": Int(0, INT_MAX) = "4096"
        [at groups.offset_metadata_bytes_max:
            "Maximum size of the metadata of a committed offset, in bytes."];
    "offsets.commit.timeout.ms": Int = "5000";
    "offsets.load.buffer.size": Int = "5242880";
    "offsets.retention.check.interval.ms": Long(1, MS_MAX) = "600000"
        [at groups.retention_check_interval_ms:
            "Interval between checks for expired offsets, in milliseconds."];
    "offsets.retention.minutes": Int(1, INT_MAX) = "10080"
        [minutes at groups.offsets_retention_ms:
            "Time before the offsets of an empty group are deleted, in minutes."];
    "offsets.topic.compression.codec": Int = "0";
    "offsets.topic.num.partitions": Int(1, PARTITIONS_MAX) = "50"
        [at groups.offsets_partitions:
            "Number of partitions of __consumer_offsets when it is created."];
    "offsets.topic.replication.factor": Short = "3" [fixed];
    // Avouch: 1 MiB, because a start reads up to one segment per partition that is not compacted.
    "offsets.topic.segment.bytes": Int(1_024, INT_MAX) = "104857600"
        [at groups.offsets_segment_bytes:
            "Maximum size of a segment of __consumer_offsets when it is created, in bytes."];
    // Avouch's own: each partition costs memory and file descriptors.
    "partitions.max": Int(1, INT_MAX) = "10000"
        [at limits.partitions_max: "Maximum number of partitions of all topics."];
    "principal.builder.class": Class =
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder";
    "process.roles": List = null [fixed];
    "producer.id.expiration.ms": Int = "86400000" [dynamic];
    "producer.purgatory.purge.interval.requests": Int = "1000";
    // Avouch: 256 MiB; Kafka has no limit.
    "queued.max.request.bytes": Long(1_048_576, MS_MAX) = "-1"
        [at limits.in_flight_bytes_max: "Maximum size of all requests in memory, in bytes."];
    "queued.max.requests": Int = "500";
    "quota.window.num": Int = "11";
    "quota.window.size.seconds": Int = "1";
    "remote.fetch.max.wait.ms": Int = "500" [dynamic];
    "remote.list.offsets.request.timeout.ms": Long = "30000" [dynamic];
    "remote.log.index.file.cache.total.size.bytes": Long = "1073741824" [dynamic];
    "remote.log.manager.copier.thread.pool.size": Int = "10" [dynamic];
    "remote.log.manager.copy.max.bytes.per.second": Long = "9223372036854775807" [dynamic];
    "remote.log.manager.copy.quota.window.num": Int = "11";
    "remote.log.manager.copy.quota.window.size.seconds": Int = "1";
    "remote.log.manager.expiration.thread.pool.size": Int = "10" [dynamic];
    "remote.log.manager.fetch.max.bytes.per.second": Long = "9223372036854775807" [dynamic];
    "remote.log.manager.fetch.quota.window.num": Int = "11";
    "remote.log.manager.fetch.quota.window.size.seconds": Int = "1";
    "remote.log.manager.follower.thread.pool.size": Int = "2" [dynamic];
    "remote.log.manager.task.interval.ms": Long = "30000";
    "remote.log.manager.thread.pool.size": Int = "2";
    "remote.log.metadata.custom.metadata.max.bytes": Int = "128";
    "remote.log.metadata.manager.class.name": Text =
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager";
    "remote.log.metadata.manager.class.path": Text = null;
    "remote.log.metadata.manager.impl.prefix": Text = "rlmm.config.";
    "remote.log.metadata.manager.listener.name": Text = null;
    "remote.log.reader.max.pending.tasks": Int = "100";
    "remote.log.reader.threads": Int = "10" [dynamic];
    "remote.log.storage.manager.class.name": Text = null;
    "remote.log.storage.manager.class.path": Text = null;
    "remote.log.storage.manager.impl.prefix": Text = "rsm.config.";
    "remote.log.storage.system.enable": Boolean = "false";
    "replica.fetch.backoff.ms": Int = "1000";
    "replica.fetch.max.bytes": Int = "1048576";
    "replica.fetch.min.bytes": Int = "1";
    "replica.fetch.response.max.bytes": Int = "10485760";
    "replica.fetch.wait.max.ms": Int = "500";
    "replica.high.watermark.checkpoint.interval.ms": Long = "5000";
    "replica.lag.time.max.ms": Long = "30000";
    "replica.selector.class": Text = null;
    "replica.socket.receive.buffer.bytes": Int = "65536";
    "replica.socket.timeout.ms": Int = "30000";
    "replication.quota.window.num": Int = "11";
    "replication.quota.window.size.seconds": Int = "1";
    "request.timeout.ms": Int = "30000";
    "sasl.client.callback.handler.class": Class = null;
    "sasl.enabled.mechanisms": List = "GSSAPI";
    "sasl.jaas.config": Password = null;
    "sasl.kerberos.kinit.cmd": Text = "/usr/bin/kinit";
    "sasl.kerberos.min.time.before.relogin": Long = "60000";
    "sasl.kerberos.principal.to.local.rules": List = "DEFAULT";
    "sasl.kerberos.service.name": Text = null;
    "sasl.kerberos.ticket.renew.jitter": Double = "0.05";
    "sasl.kerberos.ticket.renew.window.factor": Double = "0.8";
    "sasl.login.callback.handler.class": Class = null;
    "sasl.login.class": Class = null;
    "sasl.login.connect.timeout.ms": Int = null;
    "sasl.login.read.timeout.ms": Int = null;
    "sasl.login.refresh.buffer.seconds": Short = "300";
    "sasl.login.refresh.min.period.seconds": Short = "60";
    "sasl.login.refresh.window.factor": Double = "0.8";
    "sasl.login.refresh.window.jitter": Double = "0.05";
    "sasl.login.retry.backoff.max.ms": Long = "10000";
    "sasl.login.retry.backoff.ms": Long = "100";
    "sasl.mechanism.controller.protocol": Text = "GSSAPI";
    "sasl.mechanism.inter.broker.protocol": Text = "GSSAPI";
    "sasl.oauthbearer.allow.unverified.audience": Boolean = "false";
    "sasl.oauthbearer.allow.unverified.issuer": Boolean = "false";
    "sasl.oauthbearer.assertion.algorithm": Text = "RS256";
    "sasl.oauthbearer.assertion.claim.aud": Text = null;
    "sasl.oauthbearer.assertion.claim.exp.seconds": Int = "300";
    "sasl.oauthbearer.assertion.claim.iss": Text = null;
    "sasl.oauthbearer.assertion.claim.jti.include": Boolean = "false";
    "sasl.oauthbearer.assertion.claim.nbf.seconds": Int = "60";
    "sasl.oauthbearer.assertion.claim.sub": Text = null;
    "sasl.oauthbearer.assertion.file": Text = null;
    "sasl.oauthbearer.assertion.private.key.file": Text = null;
    "sasl.oauthbearer.assertion.private.key.passphrase": Password = null;
    "sasl.oauthbearer.assertion.template.file": Text = null;
    "sasl.oauthbearer.client.credentials.client.id": Text = null;
    "sasl.oauthbearer.client.credentials.client.secret": Password = null;
    "sasl.oauthbearer.clock.skew.seconds": Int = "30";
    "sasl.oauthbearer.expected.audience": List = "";
    "sasl.oauthbearer.expected.issuer": Text = null;
    "sasl.oauthbearer.jwks.endpoint.refresh.ms": Long = "3600000";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms": Long = "10000";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms": Long = "100";
    "sasl.oauthbearer.jwks.endpoint.url": Text = null;
    "sasl.oauthbearer.jwt.retriever.class": Class =
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever";
    "sasl.oauthbearer.jwt.validator.class": Class =
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator";
    "sasl.oauthbearer.scope": Text = null;
    "sasl.oauthbearer.scope.claim.name": Text = "scope";
    "sasl.oauthbearer.sub.claim.name": Text = "sub";
    "sasl.oauthbearer.token.endpoint.url": Text = null;
    "sasl.server.callback.handler.class": Class = null;
    "sasl.server.max.receive.size": Int = "524288";
    "security.inter.broker.protocol": Text = "PLAINTEXT";
    "security.providers": Text = null;
    "share.coordinator.append.linger.ms": Int = "-1";
    "share.coordinator.cached.buffer.max.bytes": Int = "1048588" [dynamic];
    "share.coordinator.load.buffer.size": Int = "5242880";
    "share.coordinator.snapshot.update.records.per.snapshot": Int = "500";
    "share.coordinator.state.topic.compression.codec": Int = "0";
    "share.coordinator.state.topic.min.isr": Short = "2";
    "share.coordinator.state.topic.num.partitions": Int = "50";
    "share.coordinator.state.topic.replication.factor": Short = "3";
    "share.coordinator.state.topic.segment.bytes": Int = "104857600";
    "share.coordinator.threads": Int = "1";
    "share.coordinator.write.timeout.ms": Int = "5000";
    "share.fetch.purgatory.purge.interval.requests": Int = "1000";
    "socket.connection.setup.timeout.max.ms": Long = "30000";
    "socket.connection.setup.timeout.ms": Long = "10000";
    "socket.listen.backlog.size": Int = "50";
    "socket.receive.buffer.bytes": Int = "102400";
    "socket.request.max.bytes": Int(1_024, INT_MAX) = "104857600"
        [at limits.connections.request_bytes_max: "Maximum size of a request, in bytes."];
    "socket.send.buffer.bytes": Int = "102400";
    "ssl.allow.dn.changes": Boolean = "false";
    "ssl.allow.san.changes": Boolean = "false";
    "ssl.cipher.suites": List = "";
    "ssl.client.auth": Text = "none";
    "ssl.enabled.protocols": List = "TLSv1.2,TLSv1.3";
    "ssl.endpoint.identification.algorithm": Text = "https";
    "ssl.engine.factory.class": Class = null;
    "ssl.key.password": Password = null;
    "ssl.keymanager.algorithm": Text = "SunX509";
    "ssl.keystore.certificate.chain": Password = null;
    "ssl.keystore.key": Password = null;
    "ssl.keystore.location": Text = null;
    "ssl.keystore.password": Password = null;
    "ssl.keystore.type": Text = "JKS";
    "ssl.principal.mapping.rules": Text = "DEFAULT";
    "ssl.protocol": Text = "TLSv1.3";
    "ssl.provider": Text = null;
    "ssl.secure.random.implementation": Text = null;
    "ssl.trustmanager.algorithm": Text = "PKIX";
    "ssl.truststore.certificates": Password = null;
    "ssl.truststore.location": Text = null;
    "ssl.truststore.password": Password = null;
    "ssl.truststore.type": Text = "JKS";
    // Avouch's own: tools that require three replicas work by default.
    "strict.replication": Boolean = "false"
        [at strict_replication:
            "Rejects a replication factor above 1 instead of reducing it to 1, as Kafka does, and \
             acks=all with min.insync.replicas above 1, which Kafka 4.4 accepts for one replica."];
    "telemetry.max.bytes": Int = "1048576";
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": Int = "10000";
    "transaction.max.timeout.ms": Int = "900000";
    "transaction.partition.verification.enable": Boolean = "true" [dynamic];
    "transaction.remove.expired.transaction.cleanup.interval.ms": Int = "3600000";
    "transaction.state.log.load.buffer.size": Int = "5242880";
    "transaction.state.log.min.isr": Int = "2";
    "transaction.state.log.num.partitions": Int = "50";
    "transaction.state.log.replication.factor": Short = "3";
    "transaction.state.log.segment.bytes": Int = "104857600";
    "transaction.two.phase.commit.enable": Boolean = "false";
    "transactional.id.expiration.ms": Int = "604800000";
    "unclean.leader.election.enable" = "false" [default of "unclean.leader.election.enable"];
}
