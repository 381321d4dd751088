//! What CreateTopics decides, without a database: names, counts, replicas, configs.

use std::collections::BTreeMap;

use thiserror::Error;

use super::cluster::{Cluster, Topic};
use super::topic_config::{self, ConfigError};

/// The longest topic name, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 249;
/// The most partitions of one topic.
pub(crate) const PARTITIONS_MAX: i32 = 1_000;

/// A topic somebody asks for; -1 stands for the broker's default in both counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicRequest {
    /// Its name.
    pub(crate) name: String,
    /// Partitions, 1 and up, or -1.
    pub(crate) partition_count: i32,
    /// Copies of each partition, 1 and up, or -1.
    pub(crate) replication_factor: i16,
    /// Explicit replicas of partitions as they are named; empty lets the broker place them.
    pub(crate) assignments: Vec<(i32, Vec<i32>)>,
    /// Configs set at birth.
    pub(crate) configs: BTreeMap<String, String>,
    /// Configs named without a value, which has no meaning here.
    pub(crate) unset_configs: Vec<String>,
}

/// The broker's rules for new topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CreateRules {
    /// Partitions of a topic that does not say how many.
    pub(crate) default_partition_count: i32,
    /// The most partitions of all topics together.
    pub(crate) partitions_max: usize,
    /// Refuses replication factors above 1, as a one-broker Kafka would, instead of clamping them.
    pub(crate) strict_replication: bool,
    /// This broker, the only place for a replica.
    pub(crate) node_id: i32,
}

/// Why a topic cannot be created.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum CreateError {
    /// The name is not a topic name, or collides with another in metric names.
    #[error("{0}")]
    InvalidName(String),
    /// There is one of that name.
    #[error("Topic '{0}' already exists.")]
    Exists(String),
    /// Too few or too many partitions.
    #[error("{0}")]
    InvalidPartitions(String),
    /// The cluster would have more partitions than it may.
    #[error("The cluster has {have} partitions and may have {max}: no room for {wanted} more.")]
    TooManyPartitions {
        /// Partitions of all topics.
        have: usize,
        /// Partitions of the new one.
        wanted: i32,
        /// The limit.
        max: usize,
    },
    /// More copies than brokers, under strict replication, or fewer than one.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// The explicit replicas do not fit.
    #[error("{0}")]
    InvalidAssignment(String),
    /// The request contradicts itself.
    #[error("{0}")]
    Contradictory(String),
    /// A config is unknown or its value bad.
    #[error("{0}")]
    InvalidConfig(#[from] ConfigError),
    /// Configs without a value.
    #[error("Null value not supported for topic configs: {0}")]
    UnsetConfig(String),
}

/// What a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Creation {
    /// Partitions it will have.
    pub(crate) partition_count: i32,
    /// Whether it asked for more copies than the one it gets.
    pub(crate) replication_clamped: bool,
}

/// Decides whether a topic may be created, and with how many partitions.
///
/// # Errors
/// The first rule that the request breaks.
pub(crate) fn decide(
    request: &TopicRequest,
    cluster: &Cluster,
    rules: CreateRules,
) -> Result<Creation, CreateError> {
    check_name(&request.name)?;
    if cluster.topic(&request.name).is_some() {
        return Err(CreateError::Exists(request.name.clone()));
    }
    if let Some(other) = cluster.colliding_name(&request.name) {
        return Err(CreateError::InvalidName(format!(
            "Topic '{}' collides with existing topic '{other}': '.' and '_' are alike in metrics.",
            request.name
        )));
    }
    if !request.unset_configs.is_empty() {
        return Err(CreateError::UnsetConfig(request.unset_configs.join(",")));
    }
    topic_config::check(&request.configs, cluster.broker_configs())?;
    let creation = if request.assignments.is_empty() {
        Creation {
            partition_count: partition_count(request, rules)?,
            replication_clamped: replication_clamped(request, rules)?,
        }
    } else {
        assigned(request, rules)?
    };
    check_room(creation.partition_count, cluster, rules)?;
    Ok(creation)
}

/// Checks a topic's name by Kafka's rule: 1 to 249 of `[a-zA-Z0-9._-]`, not `.` or `..`.
///
/// # Errors
/// [`CreateError::InvalidName`] saying what is wrong.
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
        format!("Topic name has {bad:?}; only ASCII letters, digits, '.', '_' and '-' may stand.")
    } else {
        return Ok(());
    };
    Err(CreateError::InvalidName(reason))
}

/// Decides how many partitions a topic that has `have` of them may grow to.
///
/// # Errors
/// When that would not be more, or too many.
pub(crate) fn grown(
    topic: &Topic,
    count: i32,
    cluster: &Cluster,
    rules: CreateRules,
) -> Result<i32, CreateError> {
    let have = topic.row.partition_count;
    let refused = |reason: String| Err(CreateError::InvalidPartitions(reason));
    if count == have {
        return refused(format!("Topic already has {have} partition(s)."));
    }
    if count < have {
        return refused(format!(
            "The topic {} currently has {have} partition(s); {count} would not be an increase.",
            topic.name()
        ));
    }
    if count > PARTITIONS_MAX {
        return refused(format!(
            "Number of partitions was {count}; it must be 1 to {PARTITIONS_MAX}."
        ));
    }
    check_room(count - have, cluster, rules)?;
    Ok(count)
}

/// Checks that every new partition is assigned to the one broker there is.
///
/// # Errors
/// [`CreateError::InvalidAssignment`].
pub(crate) fn check_new_assignments(
    assignments: &[Vec<i32>],
    new_partitions: i32,
    node_id: i32,
) -> Result<(), CreateError> {
    let refused = |reason: String| Err(CreateError::InvalidAssignment(reason));
    if i32::try_from(assignments.len()) != Ok(new_partitions) {
        return refused(format!(
            "Increasing the number of partitions by {new_partitions} but {} assignments provided.",
            assignments.len()
        ));
    }
    match assignments.iter().find(|ids| ids.as_slice() != [node_id]) {
        Some(ids) => refused(format!(
            "A partition is assigned to {ids:?}; the only broker is {node_id}."
        )),
        None => Ok(()),
    }
}

fn check_room(wanted: i32, cluster: &Cluster, rules: CreateRules) -> Result<(), CreateError> {
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
        count @ 1..=PARTITIONS_MAX => Ok(count),
        count => Err(CreateError::InvalidPartitions(format!(
            "Number of partitions was {count}; it must be 1 to {PARTITIONS_MAX}."
        ))),
    }
}

fn replication_clamped(request: &TopicRequest, rules: CreateRules) -> Result<bool, CreateError> {
    match request.replication_factor {
        -1 | 1 => Ok(false),
        factor if factor > 1 && !rules.strict_replication => Ok(true),
        factor if factor > 1 => Err(CreateError::InvalidReplicationFactor(format!(
            "Replication factor {factor} is larger than the one broker there is."
        ))),
        factor => Err(CreateError::InvalidReplicationFactor(format!(
            "Replication factor was {factor}; it must be larger than 0."
        ))),
    }
}

fn assigned(request: &TopicRequest, rules: CreateRules) -> Result<Creation, CreateError> {
    if request.partition_count != -1 || request.replication_factor != -1 {
        return Err(CreateError::Contradictory(
            "Give replica assignments or counts, not both.".to_owned(),
        ));
    }
    let mut assignments: Vec<&(i32, Vec<i32>)> = request.assignments.iter().collect();
    assignments.sort_by_key(|(index, _)| *index);
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
    Ok(Creation {
        partition_count: count,
        replication_clamped: false,
    })
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
    fn strict_replication_refuses_what_one_broker_cannot_hold() {
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
    fn zero_partitions_and_zero_replicas_are_refused() {
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
            let refused = decide(&both, &cluster, RULES);
            assert!(matches!(refused, Err(CreateError::Contradictory(_))));
        }
    }
}
