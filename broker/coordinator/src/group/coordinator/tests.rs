//! Tests of the coordinator with a log and a clock of the test.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, mpsc};

use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};

use bytes::Bytes;

use super::*;
use crate::group::{Generation, GroupState, LeavingMember, OffsetToCommit};
use crate::shell::{KeyValue, StoreDone, StoreFailed};

/// A log that reports success from another thread, or holds appends until the test decides.
struct TestLog {
    writer: Option<mpsc::Sender<StoreDone>>,
    records: Mutex<Vec<KeyValue>>,
    held: Mutex<Vec<StoreDone>>,
}

impl TestLog {
    fn working() -> Self {
        let (writer, appended) = mpsc::channel::<StoreDone>();
        std::thread::spawn(move || appended.into_iter().for_each(|done| done(Ok(()))));
        Self {
            writer: Some(writer),
            ..Self::holding()
        }
    }

    fn holding() -> Self {
        Self {
            writer: None,
            records: Mutex::default(),
            held: Mutex::default(),
        }
    }
}

impl RecordLog for TestLog {
    fn append(&self, _: PartitionIndex, records: Vec<KeyValue>, done: StoreDone) {
        self.records.lock().unwrap().extend(records);
        match &self.writer {
            Some(writer) => writer.send(done).map_err(|_| "the thread is gone").unwrap(),
            None => self.held.lock().unwrap().push(done),
        }
    }
}

struct World {
    coordinator: Arc<Coordinator>,
    log: Arc<TestLog>,
    now_ms: Arc<AtomicI64>,
}

impl World {
    fn new(log: TestLog, loaded: Vec<KeyValue>) -> Self {
        let (log, now_ms) = (Arc::new(log), Arc::new(AtomicI64::new(0)));
        let ticks = now_ms.clone();
        let clock: Clock = Arc::new(move || TimestampMs(ticks.load(Ordering::SeqCst)));
        let mut replay = Replay::new(GroupConfig::default());
        for (key, value) in loaded {
            replay.record(&key, value.as_deref());
        }
        let coordinator = Coordinator::start(replay, log.clone(), clock);
        Self {
            coordinator,
            log,
            now_ms,
        }
    }

    fn pass(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
        self.coordinator.shell.wake();
    }

    async fn until(&self, holds: impl Fn(&GroupDescription) -> bool) {
        loop {
            let groups = self.coordinator.describe(vec!["g".into()]).await.unwrap();
            if groups[0].as_ref().is_ok_and(&holds) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn settled_member(&self) -> JoinResponse {
        let joined = self.coordinator.join(join()).await.unwrap();
        let assignments = vec![(joined.member_id.clone(), Bytes::from("p0"))];
        let sync = sync(&joined, assignments);
        assert_eq!(self.coordinator.sync(sync).await.unwrap().assignment, "p0");
        joined
    }
}

fn join() -> JoinGroup {
    JoinGroup {
        group: "g".into(),
        member_id: "".into(),
        instance_id: None,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![("range".into(), Bytes::from("says"))],
        requires_known_member: false,
        supports_skip_assignment: false,
    }
}

fn sync(joined: &JoinResponse, assignments: Vec<(crate::group::MemberId, Bytes)>) -> SyncGroup {
    SyncGroup {
        group: "g".into(),
        member_id: joined.member_id.clone(),
        instance_id: None,
        generation: joined.generation,
        protocol_type: None,
        protocol: None,
        assignments,
    }
}

fn beat(joined: &JoinResponse) -> Heartbeat {
    Heartbeat {
        group: "g".into(),
        member_id: joined.member_id.clone(),
        instance_id: None,
        generation: joined.generation,
    }
}

fn commit() -> CommitOffsets {
    let offset = OffsetToCommit {
        topic: "t".into(),
        partition: PartitionIndex(0),
        offset: Offset(4),
        leader_epoch: LeaderEpoch(-1),
        metadata: "".into(),
    };
    CommitOffsets {
        group: "g".into(),
        member_id: "".into(),
        instance_id: None,
        generation: Generation::NONE,
        retention_ms: None,
        offsets: vec![offset],
    }
}

#[tokio::test]
async fn member_survives_coordinator_restart() {
    let world = World::new(TestLog::working(), Vec::new());
    let joined = world.settled_member().await;
    let loaded = world.log.records.lock().unwrap().clone();
    let successor = World::new(TestLog::working(), loaded);
    successor
        .coordinator
        .heartbeat(beat(&joined))
        .await
        .unwrap();
}

#[tokio::test]
async fn commit_response_waits_for_durability() {
    let world = World::new(TestLog::holding(), Vec::new());
    let coordinator = world.coordinator.clone();
    let committed = tokio::spawn(async move { coordinator.commit_offsets(commit()).await });
    while world.log.held.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!committed.is_finished());
    let done = world.log.held.lock().unwrap().remove(0);
    std::thread::spawn(move || done(Ok(())));
    assert_eq!(committed.await.unwrap(), Ok(vec![Ok(())]));
    let query = OffsetsQuery {
        group: "g".into(),
        partitions: None,
    };
    let fetched = world.coordinator.fetch_offsets(vec![query]).await.unwrap();
    assert_eq!(
        fetched[0].offsets[0].committed.as_ref().unwrap().offset,
        Offset(4)
    );
}

#[tokio::test]
async fn dropped_append_callback_is_a_failure() {
    let world = World::new(TestLog::holding(), Vec::new());
    let coordinator = world.coordinator.clone();
    let committed = tokio::spawn(async move { coordinator.commit_offsets(commit()).await });
    while world.log.held.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    world.log.held.lock().unwrap().clear();
    assert_eq!(committed.await.unwrap(), Err(StoreFailed.into()));
}

#[tokio::test]
async fn session_expires_without_requests() {
    let world = World::new(TestLog::working(), Vec::new());
    let joined = world.settled_member().await;
    world.pass(9_999);
    world.coordinator.heartbeat(beat(&joined)).await.unwrap();
    world.pass(10_000);
    world.until(|group| group.state == GroupState::Empty).await;
    let late = world.coordinator.heartbeat(beat(&joined)).await;
    assert_eq!(late, Err(GroupError::UnknownMember));
}

#[tokio::test]
async fn dropped_request_does_not_block_the_group() {
    let world = World::new(TestLog::working(), Vec::new());
    let joined = world.settled_member().await;
    let coordinator = world.coordinator.clone();
    let waiting = tokio::spawn(async move { coordinator.join(join()).await });
    world
        .until(|group| group.state == GroupState::PreparingRebalance)
        .await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    let again = JoinGroup {
        member_id: joined.member_id.clone(),
        ..join()
    };
    let again = world.coordinator.join(again).await.unwrap();
    assert_eq!((again.generation, again.members.len()), (Generation(2), 2));
    // The new member never syncs, so its session expires.
    world
        .coordinator
        .sync(sync(&again, Vec::new()))
        .await
        .unwrap();
    world.pass(9_000);
    world.coordinator.heartbeat(beat(&again)).await.unwrap();
    world.pass(1_000);
    world.until(|group| group.members.len() == 1).await;
}

#[tokio::test]
async fn shutdown_rejects_waiting_and_new_requests() {
    let world = World::new(TestLog::working(), Vec::new());
    world.settled_member().await;
    let coordinator = world.coordinator.clone();
    let waiting = tokio::spawn(async move { coordinator.join(join()).await });
    world
        .until(|group| group.state == GroupState::PreparingRebalance)
        .await;
    world.coordinator.shutdown();
    assert_eq!(
        waiting.await.unwrap(),
        Err(GroupError::CoordinatorNotAvailable)
    );
    let late = world.coordinator.list(ListGroups::default()).await;
    assert_eq!(late, Err(GroupError::CoordinatorNotAvailable));
}

#[tokio::test]
async fn groups_are_left_and_deleted() {
    let world = World::new(TestLog::working(), Vec::new());
    let coordinator = &world.coordinator;
    coordinator.commit_offsets(commit()).await.unwrap();
    let joined = world.settled_member().await;
    let deleted = coordinator
        .delete_groups(vec!["g".into(), "x".into()])
        .await;
    assert_eq!(
        deleted,
        [
            Err(GroupError::NonEmptyGroup),
            Err(GroupError::GroupIdNotFound)
        ]
    );
    let member = LeavingMember {
        member_id: joined.member_id,
        instance_id: None,
    };
    let leave = LeaveGroup {
        group: "g".into(),
        members: vec![member],
    };
    assert_eq!(coordinator.leave(leave).await, Ok(vec![Ok(())]));
    coordinator.topic_deleted(&"t".into());
    let listed = coordinator.list(ListGroups::default()).await.unwrap();
    assert_eq!(listed[0].state, GroupState::Empty);
    assert_eq!(coordinator.delete_groups(vec!["g".into()]).await, [Ok(())]);
    let partitions = vec![("t".into(), PartitionIndex(0))];
    let request = DeleteOffsets {
        group: "g".into(),
        partitions,
    };
    let gone = coordinator.delete_offsets(request).await;
    assert_eq!(gone, Err(GroupError::GroupIdNotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_members_get_assignments() {
    let world = World::new(TestLog::working(), Vec::new());
    let members = (0..16).map(|_| tokio::spawn(work_and_leave(world.coordinator.clone())));
    let ends = futures_util::future::join_all(members).await;
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    world.until(|group| group.state == GroupState::Empty).await;
}

/// Joins until the member has an assignment, commits three times, and leaves.
async fn work_and_leave(coordinator: Arc<Coordinator>) {
    let mut member_id = crate::group::MemberId::from("");
    let mut commits = 0;
    while commits < 3 {
        let request = JoinGroup {
            member_id: member_id.clone(),
            requires_known_member: true,
            ..join()
        };
        let joined = match coordinator.join(request).await {
            Ok(joined) => joined,
            Err(GroupError::MemberIdRequired { member_id: given }) => {
                member_id = given;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        let members = joined.members.iter();
        let work = members
            .map(|member| (member.member_id.clone(), Bytes::from("work")))
            .collect();
        match coordinator.sync(sync(&joined, work)).await {
            Ok(synced) => assert_eq!(synced.assignment, "work"),
            Err(GroupError::RebalanceInProgress | GroupError::IllegalGeneration { .. }) => continue,
            Err(error) => panic!("{error}"),
        }
        while commits < 3 && coordinator.heartbeat(beat(&joined)).await.is_ok() {
            let (member_id, generation) = (joined.member_id.clone(), joined.generation);
            let request = CommitOffsets {
                member_id,
                generation,
                retention_ms: None,
                ..commit()
            };
            match coordinator.commit_offsets(request).await {
                Ok(outcomes) => assert_eq!(outcomes, [Ok(())]),
                Err(GroupError::RebalanceInProgress | GroupError::IllegalGeneration { .. }) => {
                    break;
                }
                Err(error) => panic!("{error}"),
            }
            commits += 1;
        }
    }
    let members = vec![LeavingMember {
        member_id,
        instance_id: None,
    }];
    let leave = LeaveGroup {
        group: "g".into(),
        members,
    };
    assert_eq!(coordinator.leave(leave).await, Ok(vec![Ok(())]));
}
