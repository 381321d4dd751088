//! Acknowledged requests, and a check that a restarted node still has their effects.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use avouch_avro_testing::Random;
use avouch_tests::node::Node;
use avouch_tests::protocol::Connection;
use avouch_tests::registry::{get, try_register};

const PARTITIONS: i32 = 2;
const RECORDS_MAX: usize = 5;

/// A position in the journal of changes.
pub(crate) type Position = usize;

/// The requests of one client and the responses to them.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    topics: BTreeMap<String, Topic>,
    schemas: Vec<Schema>,
    producer_ids: Vec<(i64, Position)>,
    /// Number of the next name, value and schema; none is used twice.
    next: usize,
}

#[derive(Debug)]
struct Topic {
    /// `None`: the creation failed or had no response.
    created: Option<Position>,
    /// Positions at the request and at the response.
    deletion: Option<(Position, Option<Position>)>,
    /// All values that were sent, acknowledged or not, by partition.
    sent: BTreeMap<i32, BTreeSet<Vec<u8>>>,
    records: Vec<Record>,
}

#[derive(Debug)]
struct Record {
    partition: i32,
    offset: i64,
    value: Vec<u8>,
    acknowledged: Position,
}

#[derive(Debug)]
struct Schema {
    id: i64,
    text: String,
    acknowledged: Position,
}

impl Ledger {
    /// Sends one random request and records its response. `position` returns the current position.
    ///
    /// # Errors
    /// Fails if the node does not respond; the ledger then does not count the request as
    /// acknowledged.
    pub(crate) fn step(
        &mut self,
        node: &Node,
        connection: &mut Connection,
        random: &mut Random,
        position: &dyn Fn() -> Position,
    ) -> Result<()> {
        self.next += 1;
        let existing: Vec<String> = self
            .topics
            .iter()
            .filter(|(_, topic)| topic.created.is_some() && topic.deletion.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        match random.below(20) {
            0..=1 => self.create(connection, position),
            2 if existing.len() > 1 => self.delete(
                &existing[random.below(existing.len())],
                connection,
                position,
            ),
            3..=4 => self.register(node, position),
            5 => {
                let response = connection.init_producer_id()?;
                if response.error_code == 0 {
                    let acknowledged = position();
                    self.producer_ids
                        .push((response.producer_id.0, acknowledged));
                }
                Ok(())
            }
            _ if existing.is_empty() => self.create(connection, position),
            _ => {
                let name = &existing[random.below(existing.len())];
                self.produce(name, connection, random, position)
            }
        }
    }

    fn create(
        &mut self,
        connection: &mut Connection,
        position: &dyn Fn() -> Position,
    ) -> Result<()> {
        let name = format!("topic-{}", self.next);
        let topic = Topic {
            created: None,
            deletion: None,
            sent: BTreeMap::new(),
            records: Vec::new(),
        };
        let topic = self.topics.entry(name.clone()).or_insert(topic);
        if connection.create_topic(&name, PARTITIONS, &[])?.error_code == 0 {
            topic.created = Some(position());
        }
        Ok(())
    }

    fn delete(
        &mut self,
        name: &str,
        connection: &mut Connection,
        position: &dyn Fn() -> Position,
    ) -> Result<()> {
        let topic = self.topics.get_mut(name).context("unknown topic")?;
        let requested = position();
        topic.deletion = Some((requested, None));
        if connection.delete_topic(name)? == 0 {
            topic.deletion = Some((requested, Some(position())));
        }
        Ok(())
    }

    fn register(&mut self, node: &Node, position: &dyn Fn() -> Position) -> Result<()> {
        let text = format!(r#"{{"type":"fixed","name":"Fixed","size":{}}}"#, self.next);
        let subject = format!("subject-{}", self.next);
        let (status, body) = try_register(&node.url(), &subject, &text)?;
        if status == 200 {
            let id = body["id"].as_i64().context("no id in the response")?;
            let acknowledged = position();
            self.schemas.push(Schema {
                id,
                text,
                acknowledged,
            });
        }
        Ok(())
    }

    fn produce(
        &mut self,
        name: &str,
        connection: &mut Connection,
        random: &mut Random,
        position: &dyn Fn() -> Position,
    ) -> Result<()> {
        let topic = self.topics.get_mut(name).context("unknown topic")?;
        let partition = i32::try_from(random.below(2))?;
        let count = 1 + random.below(RECORDS_MAX);
        let values: Vec<Vec<u8>> = (0..count)
            .map(|index| format!("value-{}-{index}", self.next).into_bytes())
            .collect();
        let sent = topic.sent.entry(partition).or_default();
        sent.extend(values.iter().cloned());
        let records = values
            .iter()
            .map(|value| (None, Some(&value[..])))
            .collect();
        let response = connection.produce(name, &[(partition, records)])?;
        let response = response.first().context("no partition in the response")?;
        if response.error_code == 0 {
            let acknowledged = position();
            for (offset, value) in (response.base_offset..).zip(values) {
                topic.records.push(Record {
                    partition,
                    offset,
                    value,
                    acknowledged,
                });
            }
        }
        Ok(())
    }

    /// Checks that a node started from the state at `cut` has all that was acknowledged until then,
    /// nothing that was deleted, no record that was never sent, and issues no id twice.
    ///
    /// # Errors
    /// Fails with the first difference.
    pub(crate) fn check(&self, node: &Node, cut: Position) -> Result<()> {
        self.check_between(node, cut, cut)
    }

    /// Checks a node like [`Self::check`], with a state that was copied after `cut` and until
    /// `end`: topics whose deletion was requested until then can exist or not.
    ///
    /// # Errors
    /// Fails with the first difference.
    pub(crate) fn check_between(&self, node: &Node, cut: Position, end: Position) -> Result<()> {
        let mut connection = Connection::open(node.bootstrap())?;
        let metadata = connection.metadata()?;
        let existing: BTreeSet<String> = metadata
            .topics
            .into_iter()
            .filter_map(|topic| Some(topic.name?.to_string()))
            .collect();
        for (name, topic) in &self.topics {
            let exists = existing.contains(name);
            let was_created = topic.created.is_some_and(|at| at <= cut);
            let deletion = topic.deletion.filter(|(requested, _)| *requested <= end);
            let was_deleted = deletion.is_some_and(|(_, at)| at.is_some_and(|at| at <= cut));
            ensure!(!(exists && was_deleted), "{name} was deleted and exists");
            ensure!(
                exists || !was_created || deletion.is_some(),
                "{name} is lost"
            );
            if exists {
                topic
                    .check(name, &mut connection, cut)
                    .with_context(|| format!("{name} at {cut}"))?;
            }
        }
        let mut ids_max = 0;
        for schema in self.schemas.iter().filter(|one| one.acknowledged <= cut) {
            let (status, body) = get(&node.url(), &format!("/schemas/ids/{}", schema.id))?;
            ensure!(
                status == 200 && body["schema"] == schema.text,
                "schema {} is lost: {body}",
                schema.id
            );
            ids_max = ids_max.max(schema.id);
        }
        let (status, body) = try_register(&node.url(), "after", r#""double""#)?;
        ensure!(status == 200, "{body}");
        let id = body["id"].as_i64().context("no id in the response")?;
        ensure!(
            id > ids_max,
            "schema id {id} was issued before, up to {ids_max}"
        );
        let new = connection.init_producer_id()?;
        ensure!(new.error_code == 0, "{new:?}");
        let issued = self.producer_ids.iter().filter(|(_, at)| *at <= cut);
        for (id, _) in issued {
            ensure!(
                *id != new.producer_id.0,
                "producer id {id} was issued twice"
            );
        }
        Ok(())
    }

    /// Returns the number of acknowledged records that a node does not return.
    ///
    /// # Errors
    /// Fails if the node returns another record at the offset of one.
    pub(crate) fn count_missing(&self, node: &Node) -> Result<usize> {
        let mut connection = Connection::open(node.bootstrap())?;
        let mut missing = 0;
        let existing = self
            .topics
            .iter()
            .filter(|(_, topic)| topic.deletion.is_none());
        for (name, topic) in existing {
            for record in &topic.records {
                let Some(value) = connection.value_at(name, record.partition, record.offset)?
                else {
                    missing += 1;
                    continue;
                };
                ensure!(
                    value == record.value,
                    "{name}, partition {}, offset {}: {:?} instead of {:?}",
                    record.partition,
                    record.offset,
                    String::from_utf8_lossy(&value),
                    String::from_utf8_lossy(&record.value)
                );
            }
        }
        Ok(missing)
    }

    /// Returns the number of acknowledged records.
    pub(crate) fn acknowledged_records(&self) -> usize {
        self.topics.values().map(|topic| topic.records.len()).sum()
    }
}

impl Topic {
    fn check(&self, name: &str, connection: &mut Connection, cut: Position) -> Result<()> {
        let mut stored = BTreeMap::new();
        for partition in 0..PARTITIONS {
            for (offset, value) in connection.values(name, partition)? {
                let sent = self.sent.get(&partition);
                ensure!(
                    sent.is_some_and(|sent| sent.contains(&value)),
                    "partition {partition}, offset {offset}: a value that was never sent"
                );
                stored.insert((partition, offset), value);
            }
        }
        for record in self.records.iter().filter(|one| one.acknowledged <= cut) {
            let found = stored.get(&(record.partition, record.offset));
            ensure!(
                found == Some(&record.value),
                "partition {}, offset {}: {:?} instead of {:?}",
                record.partition,
                record.offset,
                found.map(|value| String::from_utf8_lossy(value)),
                String::from_utf8_lossy(&record.value)
            );
        }
        Ok(())
    }
}
