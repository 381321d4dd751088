//! Property tests: random requests, timeouts and append results, compared with a model of the
//! durable records.

use std::collections::{BTreeMap, HashMap};
use std::mem::discriminant;

use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use bytes::Bytes;
use proptest::prelude::*;
use uuid::Uuid;

use super::machine::GroupMachine;
use super::{
    CommitOffsets, DeleteOffsets, Effects, Generation, GroupConfig, GroupError, GroupId,
    GroupRecord, GroupRequest, GroupResponse, GroupState, Heartbeat, InstanceId, JoinGroup,
    LeaveGroup, LeavingMember, MemberId, OffsetToCommit, OffsetsQuery, SyncGroup, TopicName,
};
use crate::shell::{Machine as _, StoreFailed, Ticket, Token};

const GROUPS: usize = 2;
const CLIENTS: usize = 4;

#[derive(Clone, Debug)]
enum Act {
    Request(usize, Request),
    TopicDeleted(u8),
    Stored { ok: bool },
    Pass { ms: i64 },
}

/// A request of one client, as a member of the group that it joined last.
#[derive(Clone, Debug)]
enum Request {
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
        without_group: bool,
        topic: u8,
        offset: i64,
    },
    DeleteGroup,
    DeleteOffset {
        topic: u8,
    },
}

fn request() -> impl Strategy<Value = Request> {
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
            Request::Join { group, is_static, dance, forget, protocol }
        }),
        6 => Just(Request::Sync),
        3 => Just(Request::Beat),
        2 => Just(Request::Leave),
        5 => commit.prop_map(|(without_group, topic, offset)| {
            Request::Commit { without_group, topic, offset }
        }),
        1 => Just(Request::DeleteGroup),
        1 => (0..2_u8).prop_map(|topic| Request::DeleteOffset { topic }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let ms = prop_oneof![0..3_000_i64, 0..60_000_i64, Just(1_000_000)];
    prop_oneof![
        24 => (0..CLIENTS, request()).prop_map(|(client, request)| Act::Request(client, request)),
        1 => (0..2_u8).prop_map(Act::TopicDeleted),
        8 => prop::bool::weighted(0.9).prop_map(|ok| Act::Stored { ok }),
        3 => ms.prop_map(|ms| Act::Pass { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Conformance: broker/groups-10
    #[test]
    fn invariants_hold_for_random_requests(acts in prop::collection::vec(act(), 1..120)) {
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
    fn request(&mut self, request: &Request, all_members: Vec<MemberId>) -> GroupRequest {
        if let Request::Join {
            group: index,
            is_static,
            forget,
            ..
        } = *request
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
        match *request {
            Request::Join {
                dance, protocol, ..
            } => GroupRequest::Join(join(self, dance, protocol)),
            Request::Sync => GroupRequest::Sync(SyncGroup {
                group,
                member_id,
                instance_id,
                generation,
                protocol_type: None,
                protocol: None,
                assignments: all_members
                    .into_iter()
                    .map(|id| (id, Bytes::from("work")))
                    .collect(),
            }),
            Request::Beat => GroupRequest::Heartbeat(self.beat()),
            Request::Leave => {
                let members = vec![LeavingMember {
                    member_id,
                    instance_id,
                }];
                GroupRequest::Leave(LeaveGroup { group, members })
            }
            Request::Commit {
                without_group,
                topic: index,
                offset,
            } => {
                let commit = commit(self.clone(), without_group, topic(index), offset);
                GroupRequest::CommitOffsets(commit)
            }
            Request::DeleteGroup => GroupRequest::DeleteGroup(group),
            Request::DeleteOffset { topic: index } => {
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
    waiting: HashMap<Ticket, (usize, GroupRequest)>,
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
            waiting: HashMap::new(),
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
            Act::Request(client, request) => {
                let all_members = self.clients.iter().map(|client| client.member_id.clone());
                let all_members = all_members.collect();
                let request = self.clients[client].request(&request, all_members);
                self.request(client, request);
            }
        }
    }

    fn request(&mut self, client: usize, request: GroupRequest) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.waiting.insert(ticket, (client, request.clone()));
        self.turn(|machine, now, effects| machine.handle(now, ticket, request, effects));
    }

    fn turn(&mut self, act: impl FnOnce(&mut GroupMachine, TimestampMs, &mut Effects)) {
        let mut effects = Effects::default();
        act(&mut self.machine, self.now, &mut effects);
        for (token, _, records) in effects.persist {
            self.writes.push((token, records));
        }
        for (ticket, outcome) in effects.responses {
            let (client, request) = self
                .waiting
                .remove(&ticket)
                .expect("no ticket is answered twice");
            self.learn(client, &request, outcome);
        }
    }

    fn learn(
        &mut self,
        client: usize,
        request: &GroupRequest,
        outcome: Result<GroupResponse, GroupError>,
    ) {
        let (member_id, generation) = match (request, outcome) {
            (_, Err(GroupError::MemberIdRequired { member_id })) => (member_id, Generation::NONE),
            (_, Err(_)) => return,
            (GroupRequest::Join(join), Ok(GroupResponse::Join(response))) => {
                let latest = self
                    .generations
                    .entry(join.group.clone())
                    .or_insert(Generation(0));
                assert!(response.generation >= *latest, "generations never go back");
                *latest = response.generation;
                (response.member_id, response.generation)
            }
            (request, Ok(response)) => return assert_in_kind(request, &response),
        };
        // The client can have joined another group meanwhile.
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

    /// Checks that exactly the durable offsets are visible and that the invariants hold.
    fn check(&mut self) {
        self.machine.assert_sound();
        let seen = offsets(&mut self.machine, self.now);
        assert_eq!(
            seen, self.durable,
            "exactly the durable offsets are visible"
        );
    }

    /// Checks that every request has a response, and that a restart restores all durable state:
    /// offsets, and the members of stable generations.
    fn finish(mut self) {
        while !self.writes.is_empty() {
            self.store(Ok(()));
        }
        let alive = self.clients.clone().into_iter();
        let alive = alive.filter(|client| is_stable_member(&mut self.machine, self.now, client));
        let alive: Vec<Client> = alive.collect();
        self.turn(|machine, _, effects| machine.close(effects));
        assert!(
            self.waiting.is_empty(),
            "without a response: {:?}",
            self.waiting
        );
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
    match &effects.responses[..] {
        [
            (_, Ok(GroupResponse::Describe(groups))),
            (_, Ok(GroupResponse::Heartbeat)),
        ] => groups[0]
            .as_ref()
            .is_ok_and(|group| group.state == GroupState::Stable),
        _ => false,
    }
}

fn assert_in_kind(request: &GroupRequest, response: &GroupResponse) {
    let in_kind = matches!(
        (request, response),
        (GroupRequest::Join(_), GroupResponse::Join(_))
            | (GroupRequest::Sync(_), GroupResponse::Sync(_))
            | (GroupRequest::Heartbeat(_), GroupResponse::Heartbeat)
            | (GroupRequest::Leave(_), GroupResponse::Leave(_))
            | (
                GroupRequest::CommitOffsets(_),
                GroupResponse::CommitOffsets(_)
            )
            | (GroupRequest::DeleteGroup(_), GroupResponse::DeleteGroup)
            | (
                GroupRequest::DeleteOffsets(_),
                GroupResponse::DeleteOffsets(_)
            )
    );
    assert!(
        in_kind,
        "{:?} was answered by {response:?}",
        discriminant(request)
    );
}

fn group_of(request: &GroupRequest) -> &GroupId {
    match request {
        GroupRequest::Join(join) => &join.group,
        other => panic!("only JoinGroup returns a member id, not {other:?}"),
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
    for (_, outcome) in effects.responses {
        if let Ok(GroupResponse::FetchOffsets(groups)) = outcome {
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
            .map(|name| ((*name).into(), Bytes::from("metadata")))
            .collect(),
        requires_known_member: dance,
        supports_skip_assignment: true,
    }
}

fn commit(client: Client, without_group: bool, topic: TopicName, offset: i64) -> CommitOffsets {
    let Client {
        group,
        mut member_id,
        mut instance_id,
        mut generation,
    } = client;
    if without_group {
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
