//! Seeded workload: producers with retries, rejections and lost responses, readers with independent
//! positions, a group, an observer, and a last reader that reads all partitions.

use avouch_history::{Event, GroupName, History, Observer, PartitionOffset, Producer, Reader};

use crate::broker::{Broker, Bug, Random};

const STEPS: usize = 180;
const PARTITIONS: usize = 2;
const PRODUCERS: usize = 3;
const READERS: usize = 3;

/// Returns the history of a seed, and how often the bug triggered.
pub(crate) fn play(seed: u64, bug: Option<Bug>) -> (History, u64) {
    let mut play = Play::new(seed, bug);
    for _ in 0..STEPS {
        play.step();
    }
    play.finish()
}

/// Returns the history of a seed without a bug, with records deleted during the run.
pub(crate) fn play_with_deletion(seed: u64) -> (History, u64) {
    let mut play = Play::new(seed, None);
    for _ in 0..STEPS {
        play.step();
    }
    play.broker.delete_records(0, 5);
    play.observe(0);
    play.finish()
}

struct Play {
    random: Random,
    broker: Broker,
    history: History,
    sent: usize,
    positions: [[i64; PARTITIONS]; READERS],
}

impl Play {
    fn new(seed: u64, bug: Option<Bug>) -> Self {
        Self {
            random: Random(seed),
            broker: Broker::new(seed, bug, PARTITIONS),
            history: History::default(),
            sent: 0,
            positions: [[0; PARTITIONS]; READERS],
        }
    }

    fn step(&mut self) {
        let partition = self.random.below(PARTITIONS);
        match self.random.below(12) {
            0..4 => self.produce(partition),
            4 => self.reject(partition),
            5..8 => self.poll(partition),
            8 => self.observe(partition),
            9 | 10 => self.find_by_time(partition),
            _ => self.commit(partition),
        }
    }

    fn send(&mut self, producer: usize, partition: usize) -> String {
        self.sent += 1;
        let value = format!("value {}", self.sent);
        self.history.record(Event::Sent {
            producer: Producer(producer),
            partition: number(partition),
            value: value.clone(),
        });
        value
    }

    /// Sends two values in flight; each can be retried, and both can stay without a response.
    fn produce(&mut self, partition: usize) {
        let producer = self.random.below(PRODUCERS);
        let mut values = [
            self.send(producer, partition),
            self.send(producer, partition),
        ];
        if self.broker.reorders() {
            values.swap(0, 1);
        } else if self.random.below(6) == 0 {
            // Neither stored nor acknowledged.
            return;
        }
        let mut acks = Vec::new();
        for value in values {
            let mut offset = self.broker.produce(partition, &value);
            if self.random.below(4) == 0 {
                offset = self.broker.produce(partition, &value);
            }
            acks.push((value, offset));
        }
        for (value, offset) in acks {
            let offset = self.broker.ack(partition, offset);
            let at = PartitionOffset::new(number(partition), offset);
            self.history.record(Event::Acked { value, at });
        }
    }

    fn reject(&mut self, partition: usize) {
        let value = self.send(PRODUCERS, partition);
        self.broker.reject(partition, &value);
        self.history.record(Event::Rejected { value });
    }

    fn poll(&mut self, partition: usize) {
        let (reader, max) = (self.random.below(READERS), 1 + self.random.below(5));
        let position = self.positions[reader][partition];
        self.read(reader, partition, position, max, false);
    }

    fn read(
        &mut self,
        reader: usize,
        partition: usize,
        from: i64,
        max: usize,
        correct: bool,
    ) -> i64 {
        let records = self.broker.fetch(partition, from, max, correct);
        let next = records.iter().map(|(offset, _)| offset + 1).max();
        let next = next.unwrap_or(from).max(from);
        if let Some(positions) = self.positions.get_mut(reader) {
            positions[partition] = next;
        }
        self.history.record(Event::Polled {
            reader: Reader(reader),
            partition: number(partition),
            records,
        });
        next
    }

    fn observe(&mut self, partition: usize) {
        let watermarks = self.broker.watermarks(partition);
        self.history.record(Event::Observed {
            observer: Observer(0),
            partition: number(partition),
            watermarks,
        });
    }

    fn find_by_time(&mut self, partition: usize) {
        let timestamp = i64::try_from(self.random.below(40)).expect("numbers here are small") * 7;
        for _ in 0..2 {
            let found = self.broker.find_time(partition, timestamp);
            self.history.record(Event::OffsetForTime {
                partition: number(partition),
                timestamp,
                found,
            });
        }
    }

    fn commit(&mut self, partition: usize) {
        let group = GroupName("readers".to_owned());
        let at = PartitionOffset::new(number(partition), self.positions[0][partition]);
        self.broker.commit(at.partition, at.offset);
        self.history.record(Event::Committed {
            group: group.clone(),
            at,
        });
        self.history.record(Event::Fetched {
            group,
            partition: at.partition,
            offset: self.broker.committed(at.partition),
        });
    }

    fn finish(mut self) -> (History, u64) {
        let last = READERS;
        for partition in 0..PARTITIONS {
            let mut from = self.broker.log_start(partition);
            loop {
                let next = self.read(last, partition, from, 7, true);
                if next == from {
                    break;
                }
                from = next;
            }
        }
        self.history.record(Event::ReadAll {
            reader: Reader(last),
        });
        (self.history, self.broker.triggers)
    }
}

fn number(partition: usize) -> i32 {
    i32::try_from(partition).expect("numbers here are small")
}
