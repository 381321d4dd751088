//! What holds whatever anybody sends, in whatever order: random requests, time-outs and outcomes of
//! appends against a model that knows only the durable records.

use std::collections::{BTreeMap, HashMap};
use std::mem::discriminant;

use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::machine::GroupMachine;
use super::{
    CommitOffsets, DeleteOffsets, Effects, Generation, GroupConfig, GroupError, GroupId,
    GroupRecord, GroupReply, GroupRequest, GroupState, Heartbeat, InstanceId, JoinGroup,
    LeaveGroup, LeavingMember, MemberId, OffsetToCommit, OffsetsQuery, SyncGroup, TopicName,
};
use crate::shell::{Machine as _, StoreFailed, Ticket, Token};

const GROUPS: usize = 2;
const CLIENTS: usize = 4;

#[derive(Clone, Debug)]
enum Act {
    Ask(usize, Ask),
    TopicDeleted(u8),
    Stored { ok: bool },
    Pass { ms: i64 },
}

/// What one of the clients asks for, as a member of the group it last joined.
#[derive(Clone, Debug)]
enum Ask {
    Join {
        group: usize,
        is_static: bool,
        dance: bool,
        forget: bool,
        protocol: u8,
    },
    Sync,
    Beat,
    Leave,
    Commit {
        alone: bool,
        topic: u8,
        offset: i64,
    },
    DeleteGroup,
    DeleteOffset {
        topic: u8,
    },
}

fn ask() -> impl Strategy<Value = Ask> {
    let join = (
        0..GROUPS,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0..3_u8,
    );
    let commit = (any::<bool>(), 0..2_u8, 0..100_i64);
    prop_oneof![
        6 => join.prop_map(|(group, is_static, dance, forget, protocol)| {
            Ask::Join { group, is_static, dance, forget, protocol }
        }),
        6 => Just(Ask::Sync),
        3 => Just(Ask::Beat),
        2 => Just(Ask::Leave),
        5 => commit.prop_map(|(alone, topic, offset)| Ask::Commit { alone, topic, offset }),
        1 => Just(Ask::DeleteGroup),
        1 => (0..2_u8).prop_map(|topic| Ask::DeleteOffset { topic }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let ms = prop_oneof![0..3_000_i64, 0..60_000_i64, Just(1_000_000)];
    prop_oneof![
        24 => (0..CLIENTS, ask()).prop_map(|(client, ask)| Act::Ask(client, ask)),
        1 => (0..2_u8).prop_map(Act::TopicDeleted),
        8 => prop::bool::weighted(0.9).prop_map(|ok| Act::Stored { ok }),
        3 => ms.prop_map(|ms| Act::Pass { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Conformance: broker/groups-10
    #[test]
    fn whatever_happens_the_laws_hold(acts in prop::collection::vec(act(), 1..120)) {
        let mut world = World::new();
        for act in acts {
            world.act(act);
            world.check();
        }
        world.finish();
    }
}

#[derive(Clone, Debug)]
struct Client {
    group: GroupId,
    member_id: MemberId,
    instance_id: Option<InstanceId>,
    generation: Generation,
}

impl Client {
    fn request(&mut self, ask: &Ask, everyone: Vec<MemberId>) -> GroupRequest {
        if let Ask::Join {
            group: index,
            is_static,
            forget,
            ..
        } = *ask
            && (forget || self.group != group(index))
        {
            let instance_id = is_static.then(|| InstanceId::from("i"));
            let (member_id, generation) = ("".into(), Generation::NONE);
            *self = Self {
                group: group(index),
                member_id,
                instance_id,
                generation,
            };
        }
        let Self {
            group,
            member_id,
            instance_id,
            generation,
        } = self.clone();
        match *ask {
            Ask::Join {
                dance, protocol, ..
            } => GroupRequest::Join(join(self, dance, protocol)),
            Ask::Sync => GroupRequest::Sync(SyncGroup {
                group,
                member_id,
                instance_id,
                generation,
                protocol_type: None,
                protocol: None,
                assignments: everyone
                    .into_iter()
                    .map(|id| (id, Bytes::from("work")))
                    .collect(),
            }),
            Ask::Beat => GroupRequest::Heartbeat(self.beat()),
            Ask::Leave => {
                let members = vec![LeavingMember {
                    member_id,
                    instance_id,
                }];
                GroupRequest::Leave(LeaveGroup { group, members })
            }
            Ask::Commit {
                alone,
                topic: index,
                offset,
            } => {
                let commit = commit(self.clone(), alone, topic(index), offset);
                GroupRequest::CommitOffsets(commit)
            }
            Ask::DeleteGroup => GroupRequest::DeleteGroup(group),
            Ask::DeleteOffset { topic: index } => {
                let partitions = vec![(topic(index), PartitionIndex(0))];
                GroupRequest::DeleteOffsets(DeleteOffsets { group, partitions })
            }
        }
    }

    fn beat(&self) -> Heartbeat {
        let Self {
            group,
            member_id,
            instance_id,
            generation,
        } = self.clone();
        Heartbeat {
            group,
            member_id,
            instance_id,
            generation,
        }
    }
}

struct World {
    now: TimestampMs,
    machine: GroupMachine,
    clients: Vec<Client>,
    asked: HashMap<Ticket, (usize, GroupRequest)>,
    tickets: u64,
    writes: Vec<(Token, Vec<GroupRecord>)>,
    log: Vec<GroupRecord>,
    durable: BTreeMap<(GroupId, TopicName, PartitionIndex), Offset>,
    generations: HashMap<GroupId, Generation>,
}

impl World {
    fn new() -> Self {
        let client = Client {
            group: group(0),
            member_id: "".into(),
            instance_id: None,
            generation: Generation::NONE,
        };
        let mut machine = machine();
        machine.loaded(TimestampMs(0));
        Self {
            now: TimestampMs(0),
            machine,
            clients: vec![client; CLIENTS],
            asked: HashMap::new(),
            tickets: 0,
            writes: Vec::new(),
            log: Vec::new(),
            durable: BTreeMap::new(),
            generations: HashMap::new(),
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Stored { ok } => self.store(if ok { Ok(()) } else { Err(StoreFailed) }),
            Act::Pass { ms } => {
                self.now = TimestampMs(self.now.0 + ms);
                self.turn(|machine, now, effects| machine.expire(now, effects));
                let next = self.machine.deadline();
                assert!(next.is_none_or(|at| at > self.now), "what is due is done");
            }
            Act::TopicDeleted(index) => {
                let topic = topic(index);
                self.turn(|machine, now, effects| machine.topic_deleted(now, &topic, effects));
            }
            Act::Ask(client, ask) => {
                let everyone = self.clients.iter().map(|client| client.member_id.clone());
                let everyone = everyone.collect();
                let request = self.clients[client].request(&ask, everyone);
                self.ask(client, request);
            }
        }
    }

    fn ask(&mut self, client: usize, request: GroupRequest) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.asked.insert(ticket, (client, request.clone()));
        self.turn(|machine, now, effects| machine.handle(now, ticket, request, effects));
    }

    fn turn(&mut self, act: impl FnOnce(&mut GroupMachine, TimestampMs, &mut Effects)) {
        let mut effects = Effects::default();
        act(&mut self.machine, self.now, &mut effects);
        for (token, _, records) in effects.persist {
            self.writes.push((token, records));
        }
        for (ticket, outcome) in effects.replies {
            let (client, request) = self
                .asked
                .remove(&ticket)
                .expect("no ticket is answered twice");
            self.learn(client, &request, outcome);
        }
    }

    fn learn(
        &mut self,
        client: usize,
        request: &GroupRequest,
        outcome: Result<GroupReply, GroupError>,
    ) {
        let (member_id, generation) = match (request, outcome) {
            (_, Err(GroupError::MemberIdRequired { member_id })) => (member_id, Generation::NONE),
            (_, Err(_)) => return,
            (GroupRequest::Join(join), Ok(GroupReply::Join(reply))) => {
                let latest = self
                    .generations
                    .entry(join.group.clone())
                    .or_insert(Generation(0));
                assert!(reply.generation >= *latest, "generations never go back");
                *latest = reply.generation;
                (reply.member_id, reply.generation)
            }
            (request, Ok(reply)) => return assert_in_kind(request, &reply),
        };
        // The client may have moved on to another group meanwhile.
        if self.clients[client].group == *group_of(request) {
            self.clients[client].member_id = member_id;
            self.clients[client].generation = generation;
        }
    }

    fn store(&mut self, outcome: Result<(), StoreFailed>) {
        if self.writes.is_empty() {
            return;
        }
        let (token, records) = self.writes.remove(0);
        if outcome.is_ok() {
            for record in &records {
                self.remember(record);
            }
            self.log.extend(records);
        }
        self.turn(|machine, now, effects| machine.persisted(now, token, outcome, effects));
    }

    fn remember(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::Offset {
                group,
                topic,
                partition,
                value,
            } => {
                let at = (group.clone(), topic.clone(), *partition);
                match value {
                    Some(value) => self.durable.insert(at, value.offset),
                    None => self.durable.remove(&at),
                };
            }
            GroupRecord::Group { group, value: None } => {
                self.generations.remove(group);
            }
            GroupRecord::Group { value: Some(_), .. } => {}
        }
    }

    /// Everyone sees the durable offsets and no others, and the groups are sound.
    fn check(&mut self) {
        self.machine.assert_sound();
        let seen = offsets(&mut self.machine, self.now);
        assert_eq!(seen, self.durable, "exactly what is durable is seen");
    }

    /// Everyone is answered, and a restart finds all that is durable: offsets, and the members of
    /// stable generations.
    fn finish(mut self) {
        while !self.writes.is_empty() {
            self.store(Ok(()));
        }
        let alive = self.clients.clone().into_iter();
        let alive = alive.filter(|client| is_stable_member(&mut self.machine, self.now, client));
        let alive: Vec<Client> = alive.collect();
        self.turn(|machine, _, effects| machine.close(effects));
        assert!(self.asked.is_empty(), "unanswered: {:?}", self.asked);
        let mut restarted = machine();
        for record in self.log {
            let (key, value) = record.encode().unwrap();
            restarted.replay(GroupRecord::decode(&key, value.as_deref()).unwrap());
        }
        restarted.loaded(self.now);
        restarted.assert_sound();
        assert_eq!(
            offsets(&mut restarted, self.now),
            self.durable,
            "a restart loses nothing"
        );
        for client in alive {
            let goes_on = is_stable_member(&mut restarted, self.now, &client);
            assert!(goes_on, "a restart loses no member: {client:?}");
        }
    }
}

fn is_stable_member(machine: &mut GroupMachine, now: TimestampMs, client: &Client) -> bool {
    let mut effects = Effects::default();
    let describe = GroupRequest::Describe(vec![client.group.clone()]);
    machine.handle(now, Ticket(0), describe, &mut effects);
    machine.handle(
        now,
        Ticket(0),
        GroupRequest::Heartbeat(client.beat()),
        &mut effects,
    );
    match &effects.replies[..] {
        [
            (_, Ok(GroupReply::Describe(groups))),
            (_, Ok(GroupReply::Heartbeat)),
        ] => groups[0]
            .as_ref()
            .is_ok_and(|group| group.state == GroupState::Stable),
        _ => false,
    }
}

fn assert_in_kind(request: &GroupRequest, reply: &GroupReply) {
    let in_kind = matches!(
        (request, reply),
        (GroupRequest::Join(_), GroupReply::Join(_))
            | (GroupRequest::Sync(_), GroupReply::Sync(_))
            | (GroupRequest::Heartbeat(_), GroupReply::Heartbeat)
            | (GroupRequest::Leave(_), GroupReply::Leave(_))
            | (GroupRequest::CommitOffsets(_), GroupReply::CommitOffsets(_))
            | (GroupRequest::DeleteGroup(_), GroupReply::DeleteGroup)
            | (GroupRequest::DeleteOffsets(_), GroupReply::DeleteOffsets(_))
    );
    assert!(
        in_kind,
        "{:?} was answered by {reply:?}",
        discriminant(request)
    );
}

fn group_of(request: &GroupRequest) -> &GroupId {
    match request {
        GroupRequest::Join(join) => &join.group,
        other => panic!("only joins tell a member its id, not {other:?}"),
    }
}

fn offsets(
    machine: &mut GroupMachine,
    now: TimestampMs,
) -> BTreeMap<(GroupId, TopicName, PartitionIndex), Offset> {
    let queries = (0..GROUPS).map(|g| OffsetsQuery {
        group: group(g),
        partitions: None,
    });
    let mut effects = Effects::default();
    let request = GroupRequest::FetchOffsets(queries.collect());
    machine.handle(now, Ticket(0), request, &mut effects);
    let mut seen = BTreeMap::new();
    for (_, outcome) in effects.replies {
        if let Ok(GroupReply::FetchOffsets(groups)) = outcome {
            for (of, fetched) in groups.into_iter().flat_map(|g| {
                let group = g.group;
                g.offsets
                    .into_iter()
                    .map(move |fetched| (group.clone(), fetched))
            }) {
                let offset = fetched.committed.expect("all that have an offset").offset;
                seen.insert((of, fetched.topic, fetched.partition), offset);
            }
        }
    }
    seen
}

fn machine() -> GroupMachine {
    let config = GroupConfig {
        members_max: 3,
        ..GroupConfig::default()
    };
    let mut drawn = 0;
    GroupMachine::new(config, move || {
        drawn += 1;
        Uuid::from_u128(drawn)
    })
}

fn group(index: usize) -> GroupId {
    ["g", "h"][index].into()
}

fn topic(index: u8) -> TopicName {
    ["t", "u"][usize::from(index)].into()
}

fn join(client: &Client, dance: bool, protocol: u8) -> JoinGroup {
    let protocols: &[&str] =
        [&["range", "sticky"][..], &["sticky"], &["range"]][usize::from(protocol)];
    JoinGroup {
        group: client.group.clone(),
        member_id: client.member_id.clone(),
        instance_id: client.instance_id.clone(),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        protocol_type: "consumer".into(),
        protocols: protocols
            .iter()
            .map(|name| ((*name).into(), Bytes::from("says")))
            .collect(),
        requires_known_member: dance,
        supports_skip_assignment: true,
    }
}

fn commit(client: Client, alone: bool, topic: TopicName, offset: i64) -> CommitOffsets {
    let Client {
        group,
        mut member_id,
        mut instance_id,
        mut generation,
    } = client;
    if alone {
        (member_id, instance_id, generation) = ("".into(), None, Generation::NONE);
    }
    let offsets = vec![OffsetToCommit {
        topic,
        partition: PartitionIndex(0),
        offset: Offset(offset),
        leader_epoch: LeaderEpoch(-1),
        metadata: "".into(),
    }];
    CommitOffsets {
        group,
        member_id,
        instance_id,
        generation,
        retention_ms: None,
        offsets,
    }
}
