//! Rules for new topics and partitions, without a database: names, counts, replicas and configs.

use std::collections::BTreeMap;

use thiserror::Error;

use super::cluster::{Cluster, Topic};
use super::topic_config::{self, ConfigError};

/// Maximum length of a topic name, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 249;
/// Maximum number of partitions of a topic.
pub(crate) const PARTITIONS_MAX: i32 = 1_000;

/// A topic to create. A count of -1 means the broker's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicRequest {
    /// The name.
    pub(crate) name: String,
    /// Number of partitions, at least 1, or -1.
    pub(crate) partition_count: i32,
    /// Number of replicas of each partition, at least 1, or -1.
    pub(crate) replication_factor: i16,
    /// Partition indexes with their replicas; empty if the broker chooses them.
    pub(crate) assignments: Vec<(i32, Vec<i32>)>,
    /// Configs of the topic.
    pub(crate) configs: BTreeMap<String, String>,
    /// Configs without a value, which are rejected.
    pub(crate) unset_configs: Vec<String>,
}

/// The broker's rules for new topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreateRules {
    /// `num.partitions`: default number of partitions of a topic.
    pub(crate) default_partition_count: i32,
    /// Maximum number of partitions of all topics.
    pub(crate) partitions_max: usize,
    /// `strict.replication`: replication factors above 1 are rejected, as by Kafka with one broker,
    /// instead of reduced to 1.
    pub(crate) strict_replication: bool,
    /// The id of this broker, which has all replicas.
    pub(crate) node_id: i32,
}

/// A topic that cannot be created.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CreateError {
    /// The name is invalid or equal to another topic's in metric names.
    #[error("{0}")]
    InvalidName(String),
    /// A topic of this name exists.
    #[error("Topic '{0}' already exists.")]
    Exists(String),
    /// The number of partitions is invalid.
    #[error("{0}")]
    InvalidPartitions(String),
    /// The limit on partitions of all topics would be exceeded.
    #[error("{wanted} new partitions exceed the limit of {max}; the cluster has {have}.")]
    TooManyPartitions {
        /// Number of partitions of all topics.
        have: usize,
        /// Number of new partitions.
        wanted: i32,
        /// The limit.
        max: usize,
    },
    /// The replication factor is below 1, or above it under strict replication.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// The replicas are not on this broker or the partitions have gaps.
    #[error("{0}")]
    InvalidAssignment(String),
    /// The request contradicts itself.
    #[error("{0}")]
    Contradictory(String),
    /// A config is unknown or its value invalid.
    #[error("{0}")]
    InvalidConfig(#[from] ConfigError),
    /// Configs without a value.
    #[error("Null value not supported for topic configs: {0}")]
    UnsetConfig(String),
}

/// The result of a valid request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Creation {
    /// Number of partitions of the topic.
    pub(crate) partition_count: i32,
    /// True if the replication factor was reduced to 1.
    pub(crate) replication_clamped: bool,
    /// Its configs as they are stored.
    pub(crate) configs: BTreeMap<String, String>,
}

/// Checks a request to create a topic and determines the number of partitions.
///
/// # Errors
/// Returns the first rule that the request breaks.
pub(crate) fn decide(
    request: &TopicRequest,
    cluster: &Cluster,
    rules: CreateRules,
) -> Result<Creation, CreateError> {
    // Kafka checks in this order, so that a request with several faults gets the same error.
    check_name(&request.name)?;
    if cluster.topic(&request.name).is_some() {
        return Err(CreateError::Exists(request.name.clone()));
    }
    if let Some(other) = cluster.colliding_name(&request.name) {
        return Err(CreateError::InvalidName(format!(
            "Topic '{}' collides with existing topic '{other}': '.' and '_' are equal in metrics.",
            request.name
        )));
    }
    if !request.unset_configs.is_empty() {
        return Err(CreateError::UnsetConfig(request.unset_configs.join(",")));
    }
    let configs = request.configs.clone();
    let configs = topic_config::check(&BTreeMap::new(), configs, cluster.broker_configs())?;
    let (partition_count, replication_clamped) = if request.assignments.is_empty() {
        let count = partition_count(request, rules)?;
        (count, replication_clamped(request, rules)?)
    } else {
        (assigned(request, rules)?, false)
    };
    check_room(partition_count, cluster, rules)?;
    Ok(Creation {
        partition_count,
        replication_clamped,
        configs,
    })
}

/// Checks a topic's name by Kafka's rule: 1 to 249 of `[a-zA-Z0-9._-]`, not `.` or `..`.
///
/// # Errors
/// Returns [`CreateError::InvalidName`] with the reason.
pub(crate) fn check_name(name: &str) -> Result<(), CreateError> {
    let reason = if name.is_empty() {
        "Topic name is empty.".to_owned()
    } else if name == "." || name == ".." {
        format!("Topic name cannot be '{name}'.")
    } else if name.len() > NAME_BYTES_MAX {
        format!(
            "Topic name has {} characters, more than {NAME_BYTES_MAX}.",
            name.len()
        )
    } else if let Some(bad) = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
    {
        format!("Topic name has {bad:?}; only ASCII letters, digits, '.', '_' and '-' are valid.")
    } else {
        return Ok(());
    };
    Err(CreateError::InvalidName(reason))
}

/// Checks that `count` is more than the topic's number of partitions and within the limits. Returns
/// it.
///
/// # Errors
/// Returns [`CreateError::InvalidPartitions`] or [`CreateError::TooManyPartitions`].
pub(crate) fn check_count(
    topic: &Topic,
    count: i32,
    cluster: &Cluster,
    rules: CreateRules,
) -> Result<i32, CreateError> {
    let have = topic.row.partition_count;
    let rejected = |reason: String| Err(CreateError::InvalidPartitions(reason));
    if count == have {
        return rejected(format!("Topic already has {have} partition(s)."));
    }
    if count < have {
        return rejected(format!(
            "The topic {} currently has {have} partition(s); {count} would not be an increase.",
            topic.name()
        ));
    }
    if count > PARTITIONS_MAX {
        return rejected(format!(
            "Number of partitions was {count}; it must be 1 to {PARTITIONS_MAX}."
        ));
    }
    check_room(count - have, cluster, rules)?;
    Ok(count)
}

/// Checks that every new partition is assigned to this broker.
///
/// # Errors
/// Returns [`CreateError::InvalidAssignment`].
pub(crate) fn check_new_assignments(
    assignments: &[Vec<i32>],
    new_partitions: i32,
    node_id: i32,
) -> Result<(), CreateError> {
    let rejected = |reason: String| Err(CreateError::InvalidAssignment(reason));
    if i32::try_from(assignments.len()) != Ok(new_partitions) {
        return rejected(format!(
            "Increasing the number of partitions by {new_partitions} but {} assignments provided.",
            assignments.len()
        ));
    }
    match assignments.iter().find(|ids| ids.as_slice() != [node_id]) {
        Some(ids) => rejected(format!(
            "A partition is assigned to {ids:?}; the only broker is {node_id}."
        )),
        None => Ok(()),
    }
}

fn check_room(wanted: i32, cluster: &Cluster, rules: CreateRules) -> Result<(), CreateError> {
    // Saturating: the counts come from the request.
    let have = cluster.partition_count();
    let max = rules.partitions_max;
    if have.saturating_add(usize::try_from(wanted).unwrap_or(0)) > max {
        return Err(CreateError::TooManyPartitions { have, wanted, max });
    }
    Ok(())
}

fn partition_count(request: &TopicRequest, rules: CreateRules) -> Result<i32, CreateError> {
    match request.partition_count {
        -1 => Ok(rules.default_partition_count),
        // The limit bounds the work of one request; the limit on all partitions applies too.
        count @ 1..=PARTITIONS_MAX => Ok(count),
        count => Err(CreateError::InvalidPartitions(format!(
            "Number of partitions was {count}; it must be 1 to {PARTITIONS_MAX}."
        ))),
    }
}

fn replication_clamped(request: &TopicRequest, rules: CreateRules) -> Result<bool, CreateError> {
    match request.replication_factor {
        // -1 means the broker's default replication factor, which is 1.
        -1 | 1 => Ok(false),
        factor if factor > 1 && !rules.strict_replication => Ok(true),
        factor if factor > 1 => Err(CreateError::InvalidReplicationFactor(format!(
            "Replication factor {factor} is larger than the number of brokers, 1."
        ))),
        factor => Err(CreateError::InvalidReplicationFactor(format!(
            "Replication factor was {factor}; it must be larger than 0."
        ))),
    }
}

fn assigned(request: &TopicRequest, rules: CreateRules) -> Result<i32, CreateError> {
    if request.partition_count != -1 || request.replication_factor != -1 {
        return Err(CreateError::Contradictory(
            "Replica assignments and counts exclude each other.".to_owned(),
        ));
    }
    let mut assignments: Vec<&(i32, Vec<i32>)> = request.assignments.iter().collect();
    // Requests may list partitions in any order.
    assignments.sort_by_key(|(index, _)| *index);
    // Duplicates are reported before gaps, because a duplicate looks like a gap.
    if let Some(pair) = assignments.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(CreateError::InvalidAssignment(format!(
            "Found multiple manual partition assignments for partition {}.",
            pair[0].0
        )));
    }
    let wrong = assignments
        .into_iter()
        .zip(0..)
        .find(|((index, replicas), expected)| {
            *index != *expected || replicas.as_slice() != [rules.node_id]
        });
    if let Some(((index, replicas), _)) = wrong {
        return Err(CreateError::InvalidAssignment(format!(
            "Partition {index} is assigned to {replicas:?}; partitions count from 0 without gaps \
             and the only broker is {}.",
            rules.node_id
        )));
    }
    let count = i32::try_from(request.assignments.len()).unwrap_or(i32::MAX);
    if count > PARTITIONS_MAX {
        return Err(CreateError::InvalidPartitions(format!(
            "Number of partitions was {count}; it must be 1 to {PARTITIONS_MAX}."
        )));
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: CreateRules = CreateRules {
        default_partition_count: 1,
        partitions_max: 2_000,
        strict_replication: false,
        node_id: 1,
    };

    fn request(name: &str, partition_count: i32, replication_factor: i16) -> TopicRequest {
        TopicRequest {
            name: name.to_owned(),
            partition_count,
            replication_factor,
            ..TopicRequest::default()
        }
    }

    #[test]
    fn counts_default_and_replicas_clamp() {
        let cluster = Cluster::default();
        let decided = |request| decide(&request, &cluster, RULES).unwrap();
        assert_eq!(decided(request("t", -1, -1)).partition_count, 1);
        let three = decided(request("t", 3, 3));
        assert_eq!(
            (three.partition_count, three.replication_clamped),
            (3, true)
        );
    }

    #[test]
    fn strict_replication_rejects_factors_above_one() {
        let strict = CreateRules {
            strict_replication: true,
            ..RULES
        };
        let error = decide(&request("t", 1, 3), &Cluster::default(), strict).unwrap_err();
        assert!(matches!(error, CreateError::InvalidReplicationFactor(_)));
    }

    // Conformance: broker/admin-7
    #[test]
    fn names_follow_kafkas_rule() {
        for good in ["a", "A.b-c_9", &"x".repeat(249)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "ä", "a/b", &"x".repeat(250)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn invalid_partition_and_replica_counts_are_rejected() {
        let cluster = Cluster::default();
        for (partitions, replicas) in [(0, 1), (-2, 1), (1_001, 1), (1, 0), (1, -3)] {
            assert!(decide(&request("t", partitions, replicas), &cluster, RULES).is_err());
        }
    }

    #[test]
    fn assignments_must_name_this_broker_without_gaps() {
        let with = |pairs: &[(i32, &[i32])]| TopicRequest {
            assignments: pairs
                .iter()
                .map(|(index, ids)| (*index, ids.to_vec()))
                .collect(),
            ..request("t", -1, -1)
        };
        let cluster = Cluster::default();
        assert_eq!(
            decide(&with(&[(0, &[1]), (1, &[1])]), &cluster, RULES)
                .unwrap()
                .partition_count,
            2
        );
        assert!(decide(&with(&[(0, &[1]), (2, &[1])]), &cluster, RULES).is_err());
        assert!(decide(&with(&[(0, &[2])]), &cluster, RULES).is_err());
        let twice = decide(&with(&[(0, &[1]), (0, &[1])]), &cluster, RULES);
        assert!(matches!(twice, Err(CreateError::InvalidAssignment(_))));
        for (partition_count, replication_factor) in [(1, -1), (-1, 1), (1, 1)] {
            let both = TopicRequest {
                partition_count,
                replication_factor,
                ..with(&[(0, &[1])])
            };
            let rejected = decide(&both, &cluster, RULES);
            assert!(matches!(rejected, Err(CreateError::Contradictory(_))));
        }
    }
}
