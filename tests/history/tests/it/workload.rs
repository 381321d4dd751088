//! A seeded workload: producers with retries, refusals and answers that never come, readers with
//! positions of their own, a group, an observer; and a last reader that reads everything.

use avouch_history::{Event, GroupName, History, Observer, Place, Producer, Reader};

use crate::broker::{Broker, Bug, Dice};

const STEPS: usize = 180;
const PARTITIONS: usize = 2;
const PRODUCERS: usize = 3;
const READERS: usize = 3;

/// The history of a seed, and how often the bug struck.
pub(crate) fn play(seed: u64, bug: Option<Bug>) -> (History, u64) {
    let mut play = Play::new(seed, bug);
    for _ in 0..STEPS {
        play.step();
    }
    play.finish()
}

/// The same without a bug, with records deleted in its middle.
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
    dice: Dice,
    broker: Broker,
    history: History,
    sent: usize,
    positions: [[i64; PARTITIONS]; READERS],
}

impl Play {
    fn new(seed: u64, bug: Option<Bug>) -> Self {
        Self {
            dice: Dice(seed),
            broker: Broker::new(seed, bug, PARTITIONS),
            history: History::default(),
            sent: 0,
            positions: [[0; PARTITIONS]; READERS],
        }
    }

    fn step(&mut self) {
        let partition = self.dice.below(PARTITIONS);
        match self.dice.below(12) {
            0..4 => self.produce(partition),
            4 => self.refuse(partition),
            5..8 => self.poll(partition),
            8 => self.observe(partition),
            9 | 10 => self.look_up(partition),
            _ => self.commit(partition),
        }
    }

    fn send(&mut self, producer: usize, partition: usize) -> String {
        self.sent += 1;
        let value = format!("value {}", self.sent);
        self.history.note(Event::Sent {
            producer: Producer(producer),
            partition: number(partition),
            value: value.clone(),
        });
        value
    }

    /// Two sends in flight; each may be retried, each may stay without an answer.
    fn produce(&mut self, partition: usize) {
        let producer = self.dice.below(PRODUCERS);
        let mut values = [
            self.send(producer, partition),
            self.send(producer, partition),
        ];
        if self.broker.reorders() {
            values.swap(0, 1);
        } else if self.dice.below(6) == 0 {
            // Neither stored nor answered.
            return;
        }
        let mut answers = Vec::new();
        for value in values {
            let mut offset = self.broker.produce(partition, &value);
            if self.dice.below(4) == 0 {
                offset = self.broker.produce(partition, &value);
            }
            answers.push((value, offset));
        }
        for (value, offset) in answers {
            let offset = self.broker.ack(partition, offset);
            let at = Place::new(number(partition), offset);
            self.history.note(Event::Acked { value, at });
        }
    }

    fn refuse(&mut self, partition: usize) {
        let value = self.send(PRODUCERS, partition);
        self.broker.refuse(partition, &value);
        self.history.note(Event::Refused { value });
    }

    fn poll(&mut self, partition: usize) {
        let (reader, most) = (self.dice.below(READERS), 1 + self.dice.below(5));
        let position = self.positions[reader][partition];
        self.read(reader, partition, position, most, false);
    }

    fn read(
        &mut self,
        reader: usize,
        partition: usize,
        from: i64,
        most: usize,
        honest: bool,
    ) -> i64 {
        let records = self.broker.fetch(partition, from, most, honest);
        let next = records.iter().map(|(offset, _)| offset + 1).max();
        let next = next.unwrap_or(from).max(from);
        if let Some(positions) = self.positions.get_mut(reader) {
            positions[partition] = next;
        }
        self.history.note(Event::Polled {
            reader: Reader(reader),
            partition: number(partition),
            records,
        });
        next
    }

    fn observe(&mut self, partition: usize) {
        let watermarks = self.broker.watermarks(partition);
        self.history.note(Event::Observed {
            observer: Observer(0),
            partition: number(partition),
            watermarks,
        });
    }

    fn look_up(&mut self, partition: usize) {
        let timestamp = i64::try_from(self.dice.below(40)).expect("numbers here are small") * 7;
        for _ in 0..2 {
            let found = self.broker.find_time(partition, timestamp);
            self.history.note(Event::LookedUp {
                partition: number(partition),
                timestamp,
                found,
            });
        }
    }

    fn commit(&mut self, partition: usize) {
        let group = GroupName("readers".to_owned());
        let at = Place::new(number(partition), self.positions[0][partition]);
        self.broker.commit(at.partition, at.offset);
        self.history.note(Event::Committed {
            group: group.clone(),
            at,
        });
        self.history.note(Event::Fetched {
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
        self.history.note(Event::ReadAll {
            reader: Reader(last),
        });
        (self.history, self.broker.strikes)
    }
}

fn number(partition: usize) -> i32 {
    i32::try_from(partition).expect("numbers here are small")
}
