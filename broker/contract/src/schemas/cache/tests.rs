//! The cache against a registry whose answers, delays and outages a test decides.

use super::*;
use crate::tests::fake_source::{FakeRegistry, tokio_clock};

const TEXT: &str = r#"{"type": "string"}"#;

fn schemas(registry: &Arc<FakeRegistry>) -> Schemas {
    schemas_with(registry, CacheConfig::default())
}

fn schemas_with(registry: &Arc<FakeRegistry>, config: CacheConfig) -> Schemas {
    Schemas::new(
        Arc::clone(registry) as Arc<dyn SchemaSource>,
        config,
        tokio_clock(),
    )
}

/// Registers types that need no compiling.
fn register(registry: &FakeRegistry, id: i32) {
    registry.register_as("JSON", id, "s", 1, TEXT, &[]);
}

async fn is_known(schemas: &Schemas, id: i32) -> Result<bool, String> {
    let arrival = schemas.arrive();
    loop {
        let answered = schemas.look_up(id, &arrival).await?;
        match answered.answer {
            Answer::Known(_) => return Ok(true),
            Answer::Unknown => {
                let epoch = schemas.epoch(id).load(Ordering::SeqCst);
                if schemas.stands(answered.asked_at, epoch, &arrival, Doubt::Unheard) {
                    return Ok(false);
                }
            }
        }
    }
}

async fn exists(schemas: &Schemas, subject: &str) -> Result<bool, SourceError> {
    let arrival = schemas.arrive();
    schemas.subject_exists(subject, &arrival, true).await
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

// Conformance: contract/3b
#[tokio::test(start_paused = true)]
async fn an_id_registered_just_now_is_known() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    assert_eq!(is_known(&schemas, 1).await, Ok(false));
    register(&registry, 1);
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
    assert_eq!(registry.asked_ids(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_no_that_was_asked_for_before_a_registration_does_not_count_after_it() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    registry.hold(true);
    let before = tokio::spawn({
        let schemas = schemas.clone();
        async move { is_known(&schemas, 1).await }
    });
    settle().await;
    register(&registry, 1);
    let after = tokio::spawn({
        let schemas = schemas.clone();
        async move { is_known(&schemas, 1).await }
    });
    settle().await;
    registry.hold(false);
    assert_eq!(
        before.await.unwrap(),
        Ok(false),
        "it asked before the registration"
    );
    assert_eq!(after.await.unwrap(), Ok(true));
    // The old "no" came in, in whatever order, without hiding the newer answer.
    assert!(matches!(
        schemas.remembered(1).unwrap().answer,
        Answer::Known(_)
    ));
    assert_eq!(registry.asked_ids(), [1, 1]);
}

// Conformance: contract/3b
#[tokio::test(start_paused = true)]
async fn a_no_holds_while_nothing_changes() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    for _ in 0..1_000 {
        assert_eq!(is_known(&schemas, 1).await, Ok(false));
    }
    assert_eq!(registry.asked_ids(), [1]);
}

// Conformance: validator/3d
#[tokio::test(start_paused = true)]
async fn a_hundred_concurrent_askers_share_one_look_up_and_one_program() {
    let registry = FakeRegistry::new();
    registry.register(1, "s", 1, TEXT);
    let schemas = schemas(&registry);
    registry.hold(true);
    let askers: Vec<_> = (0..100)
        .map(|_| {
            let schemas = schemas.clone();
            tokio::spawn(async move { schemas.look_up(1, &schemas.arrive()).await })
        })
        .collect();
    settle().await;
    registry.hold(false);
    let mut bodies = Vec::new();
    for asker in askers {
        match asker.await.unwrap().unwrap().answer {
            Answer::Known(schema) => bodies.push(Arc::clone(&schema.body)),
            Answer::Unknown => panic!("it is registered"),
        }
    }
    assert_eq!(registry.asked_ids(), [1]);
    assert!(bodies.iter().all(|body| Arc::ptr_eq(body, &bodies[0])));
    assert!(matches!(*bodies[0], Body::Avro { .. }));
}

// Conformance: validator/3d
#[tokio::test(start_paused = true)]
async fn a_look_up_for_new_versions_keeps_the_program() {
    let registry = FakeRegistry::new();
    registry.register(1, "s", 1, TEXT);
    let schemas = schemas(&registry);
    let known = |answer| match answer {
        Answer::Known(schema) => schema,
        Answer::Unknown => panic!("it is registered"),
    };
    let first = known(schemas.look_up(1, &schemas.arrive()).await.unwrap().answer);
    registry.register(1, "other", 7, TEXT);
    let second = known(schemas.look_up(1, &schemas.arrive()).await.unwrap().answer);
    assert_eq!((first.versions.len(), second.versions.len()), (1, 2));
    assert!(Arc::ptr_eq(&first.body, &second.body));
}

// Conformance: contract/3a
#[tokio::test(start_paused = true)]
async fn an_id_is_looked_up_ten_times_a_second_at_most() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    for turn in 0..25 {
        registry.touch(1);
        assert_eq!(is_known(&schemas, 1).await.is_ok(), turn < 10, "{turn}");
    }
    assert_eq!(registry.asked_ids().len(), 10);
    tokio::time::advance(Duration::from_millis(999)).await;
    assert!(is_known(&schemas, 1).await.is_err());
    tokio::time::advance(Duration::from_millis(1)).await;
    register(&registry, 1);
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
}

// Conformance: contract/3a
#[tokio::test(start_paused = true)]
async fn all_ids_are_looked_up_a_hundred_times_a_second_at_most() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    for id in 1..=250 {
        assert_eq!(is_known(&schemas, id).await.is_ok(), id <= 100, "{id}");
    }
    assert_eq!(registry.asked_ids().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_no_answer_and_hides_nothing_known() {
    let registry = FakeRegistry::new();
    register(&registry, 1);
    let schemas = schemas(&registry);
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
    registry.fail(true);
    registry.touch(1);
    assert_eq!(
        is_known(&schemas, 2).await,
        Err("connection refused".to_owned())
    );
    assert!(is_known(&schemas, 1).await.is_err());
    assert!(matches!(
        schemas.remembered(1).unwrap().answer,
        Answer::Known(_)
    ));
    assert!(schemas.remembered(2).is_none(), "an outage is not a no");
    registry.fail(false);
    register(&registry, 2);
    assert_eq!(is_known(&schemas, 2).await, Ok(true));
}

// Conformance: contract/3g
#[tokio::test(start_paused = true)]
async fn a_registry_that_hangs_is_waited_for_two_seconds() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    registry.hold(true);
    let start = tokio::time::Instant::now();
    let error = is_known(&schemas, 1).await.unwrap_err();
    assert_eq!(error, "no answer within 2000 ms");
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    let error = exists(&schemas, "s").await.unwrap_err();
    assert_eq!(error.reason, "no answer within 2000 ms");
    registry.hold(false);
    assert_eq!(is_known(&schemas, 1).await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn a_look_up_goes_on_when_its_asker_goes_away() {
    let registry = FakeRegistry::new();
    register(&registry, 1);
    let schemas = schemas(&registry);
    registry.hold(true);
    let asker = tokio::spawn({
        let schemas = schemas.clone();
        async move { is_known(&schemas, 1).await }
    });
    settle().await;
    asker.abort();
    settle().await;
    registry.hold(false);
    while schemas.remembered(1).is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
    assert_eq!(registry.asked_ids(), [1]);
}

// Conformance: validator/3d
#[tokio::test(start_paused = true)]
async fn the_longest_unused_schemas_go_when_the_cache_is_full() {
    let registry = FakeRegistry::new();
    let one = {
        register(&registry, 1);
        let schemas = schemas(&registry);
        assert_eq!(is_known(&schemas, 1).await, Ok(true));
        schemas.memory_bytes()
    };
    for id in 2..=4 {
        register(&registry, id);
    }
    let config = CacheConfig {
        bytes_max: 7 * one / 2,
        ..CacheConfig::default()
    };
    let schemas = schemas_with(&registry, config);
    for id in [1, 2, 3] {
        assert_eq!(is_known(&schemas, id).await, Ok(true));
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert!(schemas.remembered(1).is_some(), "used again");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(is_known(&schemas, 4).await, Ok(true));
    let kept: Vec<bool> = (1..=4).map(|id| schemas.remembered(id).is_some()).collect();
    assert_eq!(kept, [true, false, true, true]);
    assert_eq!(schemas.memory_bytes(), 3 * one);
}

// Conformance: validator/3d
#[tokio::test(start_paused = true)]
async fn a_full_cache_makes_room_for_several_schemas_at_once() {
    let registry = FakeRegistry::new();
    let one = {
        register(&registry, 1);
        let schemas = schemas(&registry);
        assert_eq!(is_known(&schemas, 1).await, Ok(true));
        schemas.memory_bytes()
    };
    let config = CacheConfig {
        bytes_max: 80 * one,
        ..CacheConfig::default()
    };
    let schemas = schemas_with(&registry, config);
    let mut largest = 0;
    (2..=81).for_each(|id| register(&registry, id));
    for id in 1..=81 {
        assert_eq!(is_known(&schemas, id).await, Ok(true));
        largest = largest.max(schemas.memory_bytes());
        tokio::time::advance(Duration::from_millis(20)).await;
    }
    assert_eq!(largest, 80 * one);
    assert_eq!(schemas.memory_bytes(), 70 * one);
    let kept = (1..=81).filter(|id| schemas.remembered(*id).is_some());
    assert_eq!(kept.collect::<Vec<_>>(), (12..=81).collect::<Vec<_>>());
}

// Conformance: validator/3d
#[tokio::test(start_paused = true)]
async fn a_schema_larger_than_the_cache_is_used_and_not_kept() {
    let registry = FakeRegistry::new();
    register(&registry, 1);
    let config = CacheConfig {
        bytes_max: 10,
        ..CacheConfig::default()
    };
    let schemas = schemas_with(&registry, config);
    for _ in 0..2 {
        assert_eq!(is_known(&schemas, 1).await, Ok(true));
        assert_eq!(schemas.memory_bytes(), 0);
    }
    assert_eq!(registry.asked_ids(), [1, 1]);
}

// Conformance: contract/3c
#[tokio::test(start_paused = true)]
async fn a_subject_that_does_not_exist_is_asked_for_once_a_change() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    for _ in 0..100 {
        assert_eq!(exists(&schemas, "s").await, Ok(false));
    }
    assert_eq!(registry.asked_subjects(), ["s"]);
    register(&registry, 1);
    assert_eq!(exists(&schemas, "s").await, Ok(true));
    assert_eq!(registry.asked_subjects().len(), 2);
    registry.soft_delete("s");
    assert_eq!(exists(&schemas, "s").await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn concurrent_askers_for_a_subject_share_one_look_up() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    registry.hold(true);
    let ask = || {
        let schemas = schemas.clone();
        tokio::spawn(async move { exists(&schemas, "s").await })
    };
    let before: Vec<_> = (0..100).map(|_| ask()).collect();
    settle().await;
    register(&registry, 1);
    let after = ask();
    settle().await;
    registry.hold(false);
    for asker in before {
        assert_eq!(asker.await.unwrap(), Ok(false));
    }
    assert_eq!(
        after.await.unwrap(),
        Ok(true),
        "it came after the registration"
    );
    assert_eq!(registry.asked_subjects().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_absent_is_remembered_within_bounds() {
    let mut absent = HashMap::new();
    for id in 0..25_000 {
        insert_bounded(&mut absent, id, Stamp { epoch: 1, sent: 1 });
        assert!(absent.len() <= ABSENT_MAX);
    }
    assert!(absent.contains_key(&24_999));
}

#[tokio::test(start_paused = true)]
async fn an_older_answer_that_comes_late_does_not_replace_a_newer_one() {
    let registry = FakeRegistry::new();
    register(&registry, 1);
    let schemas = schemas(&registry);
    let known = schemas.look_up(1, &schemas.arrive()).await.unwrap().answer;
    let inner = &schemas.inner;
    let remember = |answer, sent| {
        let asked_at = Stamp { epoch: 1, sent };
        inner.remember(&mut inner.lock_ids(), 1, answer, asked_at);
    };
    let is_known = || matches!(schemas.remembered(1).unwrap().answer, Answer::Known(_));
    let now = schemas.arrive().sent;
    remember(&Answer::Unknown, now - 1);
    assert!(is_known());
    remember(&Answer::Unknown, now + 2);
    assert!(!is_known());
    remember(&known, now + 1);
    assert!(!is_known());
}

// Conformance: contract/3a
#[tokio::test(start_paused = true)]
async fn a_registry_whose_changes_are_not_heard_of_is_asked_again_after_a_no() {
    let registry = FakeRegistry::new();
    registry.lag();
    let schemas = schemas(&registry);
    assert_eq!(is_known(&schemas, 1).await, Ok(false));
    assert_eq!(exists(&schemas, "s").await, Ok(false));
    register(&registry, 1);
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
    assert_eq!(exists(&schemas, "s").await, Ok(true));
    assert_eq!(registry.asked_ids(), [1, 1]);
}

// Conformance: contract/3a
#[tokio::test(start_paused = true)]
async fn late_askers_wait_for_the_look_up_under_way_and_then_share_one() {
    let registry = FakeRegistry::new();
    registry.lag();
    let schemas = schemas(&registry);
    registry.hold(true);
    let ask = || {
        let schemas = schemas.clone();
        tokio::spawn(async move { is_known(&schemas, 1).await })
    };
    let first = ask();
    settle().await;
    let late: Vec<_> = (0..100).map(|_| ask()).collect();
    settle().await;
    registry.hold(false);
    assert_eq!(first.await.unwrap(), Ok(false));
    for asker in late {
        assert_eq!(asker.await.unwrap(), Ok(false));
    }
    assert_eq!(registry.asked_ids(), [1, 1]);
    for turn in 2..25 {
        assert_eq!(is_known(&schemas, 1).await.is_ok(), turn < 10, "{turn}");
    }
}

// Conformance: contract/3c
#[tokio::test(start_paused = true)]
async fn a_used_topics_missing_subject_is_asked_for_again_only_after_a_change() {
    let registry = FakeRegistry::new();
    registry.lag();
    let schemas = schemas(&registry);
    for _ in 0..10 {
        let asked = schemas.subject_exists("s", &schemas.arrive(), false).await;
        assert_eq!(asked, Ok(false));
    }
    assert_eq!(registry.asked_subjects().len(), 1);
}

// Conformance: contract/3e
#[tokio::test(start_paused = true)]
async fn restored_schemas_are_in_force_while_the_registry_is_away() {
    let registry = FakeRegistry::new();
    register(&registry, 1);
    registry.register(2, "t", 1, TEXT);
    let before = schemas(&registry);
    let mut changes = before.known_changes();
    assert_eq!(is_known(&before, 1).await, Ok(true));
    assert_eq!(is_known(&before, 2).await, Ok(true));
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    let kept = before.known_schemas();
    assert_eq!(kept.len(), 2);

    registry.lag();
    registry.fail(true);
    let after = schemas(&registry);
    after.restore(kept.clone()).await;
    assert_eq!(after.known_schemas(), kept);
    for id in [1, 2] {
        assert!(matches!(
            after.remembered(id).unwrap().answer,
            Answer::Known(_)
        ));
    }
    assert_eq!(
        exists(&after, "t").await,
        Ok(true),
        "a version of it is known"
    );
    assert!(exists(&after, "u").await.is_err());
    assert!(is_known(&after, 3).await.is_err(), "an outage is not a no");
}

// Conformance: contract/3m
#[tokio::test(start_paused = true)]
async fn every_change_of_a_known_id_is_looked_up() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    register(&registry, 1);
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
    for turn in 1..50 {
        registry.replace(
            1,
            "s",
            &format!(r#"{{"type": "fixed", "name": "F", "size": {turn}}}"#),
        );
        assert_eq!(is_known(&schemas, 1).await, Ok(true), "{turn}");
    }
    assert_eq!(registry.asked_ids().len(), 50);
    // A registry that does not respond is queried at the usual pace.
    registry.fail(true);
    registry.touch(1);
    for _ in 0..50 {
        assert!(is_known(&schemas, 1).await.is_err());
    }
    assert!(registry.asked_ids().len() <= 61);
}

// Conformance: contract/3n
#[tokio::test(start_paused = true)]
async fn a_refresh_looks_up_only_what_changed() {
    let registry = FakeRegistry::new();
    registry.lag();
    for id in 1..=3 {
        register(&registry, id);
    }
    let schemas = schemas(&registry);
    for id in 1..=3 {
        assert_eq!(is_known(&schemas, id).await, Ok(true));
    }
    registry.delete(2);
    schemas.refresh().await;
    assert_eq!(registry.asked_ids(), [1, 2, 3], "nothing delivered");
    registry.deliver(Some(2));
    registry.set_reachable(false);
    schemas.refresh().await;
    assert_eq!(registry.asked_ids(), [1, 2, 3], "unreachable");
    registry.set_reachable(true);
    schemas.refresh().await;
    assert_eq!(registry.asked_ids(), [1, 2, 3, 2]);
    let ids: Vec<_> = schemas
        .known_schemas()
        .iter()
        .map(|known| known.id.get())
        .collect();
    assert_eq!(ids, [1, 3]);
}
