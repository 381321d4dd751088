//! Scripted tests of groups: a line is a request, and the lines after it that start with `>` are
//! all effects of the machine. `UPDATE_SCRIPTS=DIRECTORY cargo test` writes the current effects.
//!
//! ```text
//! t=10s a joins [as=LABEL] [instance=NAME] [session=10s] [rebalance=60s] [type=consumer] [dance]
//!               [skip] [protocols=range,rr] [metadata=TEXT] [topics=t,u] [group=g]
//! a syncs [a=WORK b=WORK]       a beats        a leaves [instance=NAME]   leaves LABEL LABEL
//! a commits t-0=4 [note=TEXT]   x commits-alone t-0=4 [keep=MS]   (all: [as=LABEL] [generation=N])
//! fetch t-0 | all   describe g   list [state=S] [type=T]   delete g   delete-offsets t-0
//! topic-deleted t   wait   restart   close   config NAME=VALUE
//! disk holds   disk works   disk fails      (the result of appends, held ones included)
//! ```
//! A client remembers its last member id and generation. Member ids are shown as the client's name,
//! the second id of a client as `a2`. Effects before the time of the line are shown with their
//! time.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use bytes::Bytes;
use uuid::Uuid;

use super::{
    CommitOffsets, DeleteOffsets, Effects, Generation, GroupConfig, GroupId, GroupMachine,
    GroupRecord, GroupRequest, Heartbeat, InstanceId, JoinGroup, LeaveGroup, LeavingMember,
    ListGroups, MemberId, OffsetToCommit, OffsetsQuery, ProtocolName, ProtocolType, SyncGroup,
    TopicName,
};
use crate::shell::{KeyValue, Machine as _, StoreFailed, Ticket, Token};

mod show;

macro_rules! scripts {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            run(stringify!($name), include_str!(concat!(stringify!($name), ".txt")));
        }
    )*};
}

scripts! {
    first_join
    four_members_three_partitions
    dead_member
    leaving
    known_member_id
    static_members
    static_leader
    sync_before_leader
    rebalance_times_out
    gathering
    follower_and_leader_rejoin
    protocols
    cooperative
    stale_requests
    commits
    standalone_commits
    store_fails
    restart_goes_on
    offset_retention
    own_retention
    deletion
    topic_deletion
    describe_and_list
    limits
    offset_limits
    members_bytes
    session_bounds
    closing
}

fn run(name: &str, script: &str) {
    let mut world = World::new();
    let mut output = String::new();
    for line in script.lines().filter(|line| !line.starts_with('>')) {
        output.push_str(line);
        output.push('\n');
        if !line.trim().is_empty() && !line.starts_with('#') {
            world.act(line);
        }
        for event in world.events.drain(..) {
            writeln!(output, "> {event}").unwrap();
        }
    }
    assert!(
        world.waiting.is_empty(),
        "{name}: requests without a response: {:?}",
        world.waiting
    );
    if let Some(directory) = std::env::var_os("UPDATE_SCRIPTS") {
        std::fs::write(
            std::path::Path::new(&directory).join(name.to_owned() + ".txt"),
            &output,
        )
        .unwrap();
    } else {
        assert_eq!(output, script, "script {name} has another result");
    }
}

enum Disk {
    Works,
    Fails,
    Holds,
}

struct World {
    now: TimestampMs,
    config: GroupConfig,
    machine: GroupMachine,
    disk: Disk,
    held: Vec<(Token, Vec<GroupRecord>)>,
    log: Vec<KeyValue>,
    waiting: BTreeMap<Ticket, String>,
    tickets: u64,
    known: HashMap<String, (MemberId, Generation)>,
    labels: Vec<(MemberId, String)>,
    events: Vec<String>,
}

/// The words of a line: those with `=` by name, in order, and the others.
struct Words<'a> {
    plain: Vec<&'a str>,
    named: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Self {
        let (mut plain, mut named) = (Vec::new(), Vec::new());
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some(pair) => named.push(pair),
                None => plain.push(word),
            }
        }
        Self { plain, named }
    }

    fn take(&mut self, name: &str) -> Option<&'a str> {
        let at = self.named.iter().position(|(given, _)| *given == name)?;
        Some(self.named.remove(at).1)
    }

    fn flag(&self, name: &str) -> bool {
        self.plain.contains(&name)
    }
}

impl World {
    fn new() -> Self {
        let config = GroupConfig::default();
        let mut machine = machine(config.clone(), 0);
        machine.loaded(TimestampMs(0));
        Self {
            now: TimestampMs(0),
            config,
            machine,
            disk: Disk::Works,
            held: Vec::new(),
            log: Vec::new(),
            waiting: BTreeMap::new(),
            tickets: 0,
            known: HashMap::new(),
            labels: Vec::new(),
            events: Vec::new(),
        }
    }

    fn act(&mut self, line: &str) {
        let mut words = Words::of(line);
        if let Some(time) = words.take("t") {
            self.advance(TimestampMs(duration_ms(time)));
        }
        match words.plain.first().copied() {
            Some("wait") => {}
            Some("restart") => self.restart(),
            Some("close") => {
                self.turn(|machine, _, effects| machine.close(effects));
            }
            Some("config") => self.configure(&words),
            Some("disk") => self.set_disk(words.plain[1]),
            Some("topic-deleted") => {
                let topic = TopicName::from(words.plain[1]);
                self.turn(|machine, now, effects| machine.topic_deleted(now, &topic, effects));
            }
            Some(_) => {
                let (who, request) = self.request(words);
                self.tickets += 1;
                let ticket = Ticket(self.tickets);
                self.waiting.insert(ticket, who);
                self.turn(|machine, now, effects| machine.handle(now, ticket, request, effects));
            }
            None => panic!("nothing to do: {line}"),
        }
    }

    fn advance(&mut self, to: TimestampMs) {
        assert!(self.now <= to, "time must not go back to {to}");
        while let Some(at) = self.machine.deadline().filter(|at| *at <= to) {
            self.now = at;
            let seen = self.events.len();
            self.turn(|machine, now, effects| machine.expire(now, effects));
            if at < to {
                for event in &mut self.events[seen..] {
                    *event = format!("at {}: {event}", shown_ms(at.0));
                }
            }
        }
        self.now = to;
    }

    fn turn(&mut self, act: impl FnOnce(&mut GroupMachine, TimestampMs, &mut Effects)) {
        let mut effects = Effects::default();
        act(&mut self.machine, self.now, &mut effects);
        self.take(effects);
    }

    fn take(&mut self, effects: Effects) {
        for (ticket, outcome) in effects.responses {
            let who = self
                .waiting
                .remove(&ticket)
                .expect("each ticket is answered once");
            let shown = self.show(&who, outcome);
            self.events.push(format!("{who} {shown}"));
        }
        for (token, _, records) in effects.persist {
            self.held.push((token, records));
        }
        self.serve_disk();
    }

    fn serve_disk(&mut self) {
        let outcome = match self.disk {
            Disk::Works => Ok(()),
            Disk::Fails => Err(StoreFailed),
            Disk::Holds => return,
        };
        while !self.held.is_empty() {
            let (token, records) = self.held.remove(0);
            if outcome.is_ok() {
                for record in &records {
                    self.log.push(record.encode().unwrap());
                    let shown = self.show_record(record);
                    self.events.push(format!("stored {shown}"));
                }
            }
            self.turn(|machine, now, effects| machine.persisted(now, token, outcome, effects));
        }
    }

    fn set_disk(&mut self, how: &str) {
        self.disk = match how {
            "works" => Disk::Works,
            "fails" => Disk::Fails,
            "holds" => Disk::Holds,
            other => panic!("disk {other}?"),
        };
        self.serve_disk();
    }

    fn restart(&mut self) {
        self.waiting.clear();
        self.held.clear();
        self.tickets += 1_000;
        self.machine = machine(self.config.clone(), self.tickets);
        for (key, value) in &self.log {
            self.machine
                .replay(GroupRecord::decode(key, value.as_deref()).unwrap());
        }
        self.machine.loaded(self.now);
    }

    fn configure(&mut self, words: &Words<'_>) {
        for (name, value) in &words.named {
            let value: i32 = value.parse().unwrap();
            let limit = usize::try_from(value).unwrap();
            match *name {
                "retention_ms" => self.config.offsets_retention_ms = value.into(),
                "check_ms" => self.config.retention_check_interval_ms = value.into(),
                "delay_ms" => self.config.initial_rebalance_delay_ms = value,
                "members_max" => self.config.members_max = limit,
                "groups_max" => self.config.groups_max = limit,
                "metadata_bytes_max" => self.config.metadata_bytes_max = limit,
                "members_bytes_max" => self.config.members_bytes_max = limit,
                "assignments_bytes_max" => self.config.assignments_bytes_max = limit,
                "group_offsets_bytes_max" => self.config.group_offsets_bytes_max = limit,
                "offsets_bytes_max" => self.config.offsets_bytes_max = limit,
                "offset_metadata_bytes_max" => self.config.offset_metadata_bytes_max = limit,
                other => panic!("config {other}?"),
            }
        }
        self.restart();
    }

    fn request(&self, mut words: Words<'_>) -> (String, GroupRequest) {
        let first = words.plain[0];
        let group = GroupId::from(words.take("group").unwrap_or("g"));
        let request = match first {
            "fetch" => {
                let named = || {
                    words.plain[1..]
                        .iter()
                        .map(|name| partition(name))
                        .collect()
                };
                let partitions = (!words.flag("all")).then(named);
                GroupRequest::FetchOffsets(vec![OffsetsQuery { group, partitions }])
            }
            "describe" => GroupRequest::Describe(vec![GroupId::from(words.plain[1])]),
            "list" => GroupRequest::List(ListGroups {
                states: words.take("state").map(str::to_owned).into_iter().collect(),
                types: words.take("type").map(str::to_owned).into_iter().collect(),
            }),
            "delete" => GroupRequest::DeleteGroup(GroupId::from(words.plain[1])),
            "delete-offsets" => GroupRequest::DeleteOffsets(DeleteOffsets {
                group,
                partitions: words.plain[1..]
                    .iter()
                    .map(|name| partition(name))
                    .collect(),
            }),
            "leaves" => {
                let labels = words.plain[1..].iter();
                let members = labels.map(|label| LeavingMember {
                    member_id: self.labelled(label),
                    instance_id: None,
                });
                GroupRequest::Leave(LeaveGroup {
                    group,
                    members: members.collect(),
                })
            }
            client => self.client_request(client, group, words),
        };
        (first.to_owned(), request)
    }

    fn client_request(&self, client: &str, group: GroupId, mut words: Words<'_>) -> GroupRequest {
        let none = (MemberId::from(""), Generation::NONE);
        let (known_id, known_generation) = self.known.get(client).cloned().unwrap_or(none);
        let member_id = words
            .take("as")
            .map_or(known_id, |label| self.labelled(label));
        let generation = words
            .take("generation")
            .map(|n| Generation(n.parse().unwrap()));
        let generation = generation.unwrap_or(known_generation);
        let instance_id = words.take("instance").map(InstanceId::from);
        let retention_ms = words.take("keep").map(|ms| ms.parse().unwrap());
        match words.plain[1] {
            "joins" => GroupRequest::Join(join(client, group, member_id, instance_id, words)),
            "syncs" => {
                let protocol_type = words.take("type").map(ProtocolType::from);
                let protocol = words.take("protocol").map(ProtocolName::from);
                let assignments = words
                    .named
                    .iter()
                    .map(|(label, work)| (self.labelled(label), text(work)));
                let assignments = assignments.collect();
                GroupRequest::Sync(SyncGroup {
                    group,
                    member_id,
                    instance_id,
                    generation,
                    protocol_type,
                    protocol,
                    assignments,
                })
            }
            "beats" => GroupRequest::Heartbeat(Heartbeat {
                group,
                member_id,
                instance_id,
                generation,
            }),
            "leaves" => {
                let members = vec![LeavingMember {
                    member_id,
                    instance_id,
                }];
                GroupRequest::Leave(LeaveGroup { group, members })
            }
            "commits" => {
                let commit = CommitOffsets {
                    group,
                    member_id,
                    instance_id,
                    generation,
                    retention_ms,
                    offsets: offsets(&mut words),
                };
                GroupRequest::CommitOffsets(commit)
            }
            "commits-alone" => {
                let (member_id, generation) = (MemberId::from(""), Generation::NONE);
                let commit = CommitOffsets {
                    group,
                    member_id,
                    instance_id,
                    generation,
                    retention_ms,
                    offsets: offsets(&mut words),
                };
                GroupRequest::CommitOffsets(commit)
            }
            other => panic!("{client} {other}?"),
        }
    }

    fn labelled(&self, label: &str) -> MemberId {
        let found = self.labels.iter().find(|(_, known)| known == label);
        found.map_or_else(|| MemberId::from(label), |(id, _)| id.clone())
    }

    fn label(&mut self, id: &MemberId) -> String {
        if let Some((_, label)) = self.labels.iter().find(|(known, _)| known == id) {
            return label.clone();
        }
        let client = id.as_str().split('-').next().unwrap_or_default().to_owned();
        let earlier = self
            .labels
            .iter()
            .filter(|(known, _)| known.as_str().starts_with(&client));
        let label = match earlier.count() {
            0 => client,
            before => format!("{client}{}", before + 1),
        };
        self.labels.push((id.clone(), label.clone()));
        label
    }
}

fn machine(config: GroupConfig, seed: u64) -> GroupMachine {
    let mut drawn = seed;
    GroupMachine::new(config, move || {
        drawn += 1;
        Uuid::from_u128(drawn.into())
    })
}

fn join(
    client: &str,
    group: GroupId,
    member_id: MemberId,
    instance_id: Option<InstanceId>,
    mut words: Words<'_>,
) -> JoinGroup {
    let session_ms = duration_ms(words.take("session").unwrap_or("10s"));
    let rebalance_ms = duration_ms(words.take("rebalance").unwrap_or("60s"));
    let metadata = words
        .take("metadata")
        .map_or_else(|| format!("m{client}"), str::to_owned);
    let metadata = words
        .take("topics")
        .map_or_else(|| text(&metadata), subscription);
    let protocols = words.take("protocols").unwrap_or("range").split(',');
    JoinGroup {
        group,
        member_id,
        instance_id,
        client_id: client.into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: i32::try_from(session_ms).unwrap(),
        rebalance_timeout_ms: i32::try_from(rebalance_ms).unwrap(),
        protocol_type: words.take("type").unwrap_or("consumer").into(),
        protocols: protocols
            .map(|name| (name.into(), metadata.clone()))
            .collect(),
        requires_known_member: words.flag("dance"),
        supports_skip_assignment: words.flag("skip"),
    }
}

fn offsets(words: &mut Words<'_>) -> Vec<OffsetToCommit> {
    let note = words.take("note").unwrap_or_default();
    let offsets = words.named.drain(..).map(|(name, offset)| {
        let (topic, partition) = partition(name);
        OffsetToCommit {
            topic,
            partition,
            offset: Offset(offset.parse().unwrap()),
            leader_epoch: LeaderEpoch(-1),
            metadata: note.into(),
        }
    });
    offsets.collect()
}

fn partition(name: &str) -> (TopicName, PartitionIndex) {
    let (topic, index) = name.rsplit_once('-').expect("TOPIC-PARTITION");
    (topic.into(), PartitionIndex(index.parse().unwrap()))
}

fn text(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn subscription(topics: &str) -> Bytes {
    let topics: Vec<&str> = topics.split(',').collect();
    let mut bytes = vec![0, 3];
    bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend([0xff; 4]);
    bytes.into()
}

fn duration_ms(text: &str) -> i64 {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit_ms = match &text[digits.len()..] {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        other => panic!("unit {other}?"),
    };
    digits.parse::<i64>().unwrap() * unit_ms
}

fn shown_ms(ms: i64) -> String {
    if ms % 1_000 == 0 {
        format!("{}s", ms / 1_000)
    } else {
        format!("{ms}ms")
    }
}
