//! Checks while the registry changes, is slow or unavailable.

use std::time::Duration;

use futures_util::FutureExt;

use super::*;

#[tokio::test(start_paused = true)]
async fn check_with_cached_schemas_does_not_wait() {
    let world = World::new();
    let policy = policy(&[VALUE]);
    assert_eq!(
        world.check(&policy, &[good()]).await,
        Verdict::Accept { tag: 41 }
    );
    world.registry.hold(true);
    world.registry.changed();
    let ready = world.check(&policy, &[good(), good()]).now_or_never();
    assert_eq!(ready, Some(Verdict::Accept { tag: 41 }));
    assert_eq!(world.registry.looked_up_ids(), [41]);
}

#[tokio::test(start_paused = true)]
async fn rejected_id_passes_once_registered() {
    let world = World::new();
    let policy = policy(&[VALUE]);
    let new = [value(framed(77, &string("x")))];
    assert!(matches!(
        world.check(&policy, &new).await,
        Verdict::Reject { .. }
    ));
    assert!(
        world.check(&policy, &new).now_or_never().is_some(),
        "nothing changed: no lookup"
    );
    world.registry.register(77, "payments-value", 20, KEY);
    assert_eq!(
        world.check(&policy, &new).await,
        Verdict::Accept { tag: 77 }
    );
}

#[tokio::test(start_paused = true)]
async fn foreign_id_passes_once_registered_here() {
    let world = World::new();
    let policy = policy(&[VALUE]);
    let order = [value(framed(ORDER_ID, &[2]))];
    assert!(matches!(
        world.check(&policy, &order).await,
        Verdict::Reject { .. }
    ));
    assert!(matches!(
        world.check(&policy, &order).await,
        Verdict::Reject { .. }
    ));
    assert_eq!(world.registry.looked_up_ids(), [7]);
    world
        .registry
        .register(ORDER_ID, "payments-value", 20, ORDER);
    assert_eq!(
        world.check(&policy, &order).await,
        Verdict::Accept { tag: 7 }
    );
}

#[tokio::test(start_paused = true)]
async fn soft_deletion_is_effective_immediately() {
    let world = World::new();
    let strict = policy(&[VALUE, ("avouch.version.deleted", "reject")]);
    assert_eq!(
        world.check(&strict, &[good()]).await,
        Verdict::Accept { tag: 41 }
    );
    world.registry.soft_delete("payments-value");
    assert!(matches!(
        world.check(&strict, &[good()]).await,
        Verdict::Reject { .. }
    ));
    assert_eq!(
        world.check(&policy(&[VALUE]), &[good()]).await,
        Verdict::Accept { tag: 41 }
    );
}

#[tokio::test(start_paused = true)]
async fn outage_rejects_unknown_ids_only() {
    let world = World::new();
    let strict = policy(&[VALUE, ("avouch.version.deleted", "reject")]);
    assert_eq!(
        world.check(&strict, &[good()]).await,
        Verdict::Accept { tag: 41 }
    );
    world.registry.fail(true);
    world.registry.touch(PAYMENT_ID);
    assert_eq!(
        world.check(&strict, &[good()]).await,
        Verdict::Accept { tag: 41 }
    );
    let unknown = [good(), value(framed(77, &[]))];
    assert_eq!(
        world.check(&strict, &unknown).await,
        Verdict::Unavailable {
            reason: "schema id 77 not visible yet: connection refused".to_owned()
        }
    );
    assert!(world.reported().is_empty());
    // Shadow mode rejects nothing, so an outage rejects nothing either.
    let shadow = policy(&[VALUE, ("avouch.enforcement", "shadow")]);
    assert!(matches!(
        world.check(&shadow, &unknown).await,
        Verdict::Accept { .. }
    ));
}

// Conformance: contract/3g
#[tokio::test(start_paused = true)]
async fn wait_for_a_hanging_registry_is_bounded() {
    let world = World::new();
    world.registry.hold(true);
    let start = tokio::time::Instant::now();
    let verdict = world.check(&policy(&[VALUE]), &[good()]).await;
    assert!(
        matches!(verdict, Verdict::Unavailable { .. }),
        "{verdict:?}"
    );
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn broken_schema_rejects_its_records() {
    let world = World::new();
    let verdict = world
        .check(&policy(&[VALUE]), &[value(framed(BROKEN_ID, &[0]))])
        .await;
    assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn references_are_part_of_a_schema() {
    let world = World::new();
    let user = r#"{"type": "record", "name": "User", "namespace": "n", "fields": [
        {"name": "at", "type": "n.Place"}]}"#;
    let place = r#"{"type": "record", "name": "Place", "namespace": "n", "fields": [
        {"name": "name", "type": "string"}]}"#;
    world
        .registry
        .register_as("AVRO", 60, "payments-value", 30, user, &[place]);
    let policy = policy(&[VALUE]);
    let verdict = world
        .check(&policy, &[value(framed(60, &string("x")))])
        .await;
    assert_eq!(verdict, Verdict::Accept { tag: 60 });
    world.check(&policy, &[value(framed(60, &[8, b'x']))]).await;
    let message = &world.messages()[0];
    assert!(
        message.contains("(id 60): /at/name: truncated"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn auto_is_decided_when_the_subject_exists() {
    let world = World::new();
    let auto = policy(&[]);
    let decide = async |topic: &str, empty| {
        world
            .contracts
            .decide_auto(&auto, topic, empty, &world.contracts.start_request())
            .await
            .map(|decided| {
                if empty {
                    decided.if_empty.1
                } else {
                    decided.if_used.1
                }
            })
    };
    assert_eq!(decide("payments", true).await, Ok(Decision::Payload));
    assert_eq!(decide("payments", false).await, Ok(Decision::PayloadShadow));
    assert_eq!(decide("clicks", true).await, Ok(Decision::Undecided));
    world.registry.register(200, "clicks-value", 1, KEY);
    assert_eq!(decide("clicks", true).await, Ok(Decision::Payload));
    assert_eq!(decide("payments-dlq", true).await, Ok(Decision::None));
    // The subject of an excluded topic is not looked up, so an outage has no effect.
    world.registry.fail(true);
    assert_eq!(decide("clicks-dlq", true).await, Ok(Decision::None));
    assert!(decide("visits", true).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn any_listed_subject_decides_auto() {
    let world = World::new();
    let auto = policy(&[("avouch.value.subjects", "none-yet,orders-value")]);
    let decide = async |policy, topic| {
        let context = world.contracts.start_request();
        let decided = world
            .contracts
            .decide_auto(policy, topic, true, &context)
            .await;
        decided.map(|decided| decided.if_empty)
    };
    let decided = decide(&auto, "clicks").await;
    assert_eq!(decided, Ok((Decision::Undecided, Decision::Payload)));
    let keys = policy(&[
        ("avouch.key.validation", "auto"),
        ("avouch.value.validation", "none"),
    ]);
    let decided = decide(&keys, "payments").await;
    assert_eq!(decided, Ok((Decision::Payload, Decision::Undecided)));
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_final() {
    let world = World::new();
    let decided = decided(&[], Decision::PayloadShadow);
    assert!(!decided.is_undecided());
    let context = world.contracts.start_request();
    let again = world
        .contracts
        .decide_auto(&decided, "payments", true, &context)
        .await;
    let nothing = (Decision::Undecided, Decision::Undecided);
    assert_eq!(again.map(|decided| decided.if_empty), Ok(nothing));
    assert!(world.registry.looked_up_subjects().is_empty());
}

const OTHER: &str = r#"{"type": "record", "name": "Other", "fields": [
    {"name": "id", "type": "string"}]}"#;

/// Valid under [`OTHER`] only.
fn other() -> Rec {
    value(framed(PAYMENT_ID, &string("hi")))
}

async fn reason(world: &World, records: &[Rec]) -> Option<&'static str> {
    let before = world.reported().len();
    let verdict = world.check(&policy(&[VALUE]), records).await;
    match verdict {
        Verdict::Accept { .. } => None,
        Verdict::Reject { .. } => Some(world.reported()[before].2),
        Verdict::Unavailable { .. } | Verdict::Failed { .. } => panic!("{verdict:?}"),
    }
}

// Conformance: contract/3j
#[tokio::test(start_paused = true)]
async fn a_deleted_id_is_unknown_at_once() {
    let world = World::new();
    assert_eq!(reason(&world, &[good()]).await, None);
    world.registry.delete(PAYMENT_ID);
    assert_eq!(reason(&world, &[good()]).await, Some("unknown-id"));
}

// Conformance: contract/3j
#[tokio::test(start_paused = true)]
async fn replaced_id_is_checked_with_new_schema() {
    let world = World::new();
    assert_eq!(reason(&world, &[good()]).await, None);
    assert_eq!(reason(&world, &[other()]).await, Some("truncated"));
    world.registry.replace(PAYMENT_ID, "payments-value", OTHER);
    assert_eq!(reason(&world, &[other()]).await, None);
    assert_eq!(reason(&world, &[good()]).await, Some("trailing-bytes"));
    // Moved to another subject, it no longer belongs to the topic.
    world.registry.replace(PAYMENT_ID, "orders-value", OTHER);
    assert_eq!(reason(&world, &[other()]).await, Some("wrong-subject"));
}

// Conformance: contract/3j
#[tokio::test(start_paused = true)]
async fn broken_schema_can_be_replaced() {
    let world = World::new();
    let policy = policy(&[VALUE]);
    let broken = [value(framed(BROKEN_ID, &string("x")))];
    let verdict = world.check(&policy, &broken).await;
    assert!(matches!(verdict, Verdict::Failed { .. }), "{verdict:?}");
    world.registry.replace(BROKEN_ID, "payments-value", KEY);
    assert_eq!(reason(&world, &broken).await, None);
}

// Conformance: contract/3k
#[tokio::test(start_paused = true)]
async fn replaced_reference_changes_the_check() {
    let world = World::new();
    let user = r#"{"type": "record", "name": "User", "fields": [{"name": "at", "type": "Place"}]}"#;
    let place =
        r#"{"type": "record", "name": "Place", "fields": [{"name": "n", "type": "string"}]}"#;
    let moved = r#"{"type": "record", "name": "Place", "fields": [{"name": "n", "type": "long"}]}"#;
    let register = |reference| {
        world.registry.delete(60);
        let (subject, references) = ("payments-value", [reference]);
        world
            .registry
            .register_as("AVRO", 60, subject, 30, user, &references);
    };
    register(place);
    let records = [value(framed(60, &string("x")))];
    assert_eq!(reason(&world, &records).await, None);
    register(moved);
    assert_eq!(reason(&world, &records).await, Some("trailing-bytes"));
}

// Conformance: contract/3k
#[tokio::test(start_paused = true)]
async fn deleted_and_restored_versions_count_at_once() {
    let world = World::new();
    let strict = policy(&[VALUE, ("avouch.version.deleted", "reject")]);
    let newer = policy(&[VALUE, ("avouch.value.version.min", "5")]);
    let accepts = async |policy| {
        let verdict = world.check(policy, &[good()]).await;
        matches!(verdict, Verdict::Accept { .. })
    };
    assert!(accepts(&strict).await && !accepts(&newer).await);
    world.registry.soft_delete("payments-value");
    assert!(!accepts(&strict).await && !accepts(&newer).await);
    world
        .registry
        .register(PAYMENT_ID, "payments-value", 31, PAYMENT);
    assert!(accepts(&strict).await && accepts(&newer).await);
}

// Conformance: contract/3m
#[tokio::test(start_paused = true)]
async fn unrelated_changes_cost_no_lookup() {
    let world = World::new();
    let policy = policy(&[VALUE]);
    assert_eq!(reason(&world, &[good()]).await, None);
    world.registry.hold(true);
    for id in 1_000..2_000 {
        world.registry.register(id, "elsewhere", id, KEY);
        let ready = world.check(&policy, &[good()]).now_or_never();
        assert_eq!(ready, Some(Verdict::Accept { tag: 41 }));
    }
    assert_eq!(world.registry.looked_up_ids(), [PAYMENT_ID]);
}

// Conformance: contract/3l
#[tokio::test(start_paused = true)]
async fn change_after_verdict_invalidates_basis() {
    let world = World::new();
    let policy = policy(&[VALUE]);
    let holds = |accepted: &Accepted| {
        let mut conditions = world.contracts.conditions(&accepted.basis);
        conditions.all(|(current, expected)| current.load(Ordering::SeqCst) == expected)
    };
    assert_eq!(reason(&world, &[good()]).await, None);
    let accepted = world
        .inline_check("User:ANONYMOUS", &policy, &[good()])
        .unwrap();
    world.registry.register(1_000, "elsewhere", 1, KEY);
    assert!(holds(&accepted), "another id changed");
    world.registry.replace(PAYMENT_ID, "payments-value", OTHER);
    assert!(!holds(&accepted));
    let again = world.inline_check("User:ANONYMOUS", &policy, &[good()]);
    assert!(again.is_none(), "the registry must be queried");
}

// Conformance: contract/3j
#[tokio::test(start_paused = true)]
async fn remote_change_counts_once_delivered() {
    let world = World::apart();
    assert_eq!(reason(&world, &[good()]).await, None);
    world.registry.replace(PAYMENT_ID, "payments-value", OTHER);
    assert_eq!(reason(&world, &[good()]).await, None, "not delivered yet");
    world.registry.deliver(Some(PAYMENT_ID));
    assert_eq!(reason(&world, &[good()]).await, Some("trailing-bytes"));
    world.registry.delete(PAYMENT_ID);
    world.registry.deliver(None);
    assert_eq!(reason(&world, &[good()]).await, Some("unknown-id"));
}

// Conformance: contract/3n
#[tokio::test(start_paused = true)]
async fn unreachable_registry_keeps_the_last_schema() {
    let world = World::apart();
    let policy = policy(&[VALUE]);
    assert_eq!(reason(&world, &[good()]).await, None);
    world.registry.delete(PAYMENT_ID);
    world.registry.deliver(Some(PAYMENT_ID));
    world.registry.hold(true);
    world.registry.set_reachable(false);
    for _ in 0..100 {
        let ready = world.check(&policy, &[good()]).now_or_never();
        assert_eq!(
            ready,
            Some(Verdict::Accept { tag: 41 }),
            "it waits for nothing"
        );
    }
    world.registry.hold(false);
    world.registry.set_reachable(true);
    assert_eq!(reason(&world, &[good()]).await, Some("unknown-id"));
}

// Conformance: contract/3n
#[tokio::test(start_paused = true)]
async fn restored_schema_counts_until_registry_responds() {
    let before = World::apart();
    assert_eq!(reason(&before, &[good()]).await, None);
    let kept = before.contracts.schemas().known_schemas();

    let world = World::apart();
    world.contracts.schemas().restore(kept).await;
    world.registry.delete(PAYMENT_ID);
    world.registry.fail(true);
    assert_eq!(
        reason(&world, &[good()]).await,
        None,
        "the last known state"
    );
    world.registry.fail(false);
    assert_eq!(reason(&world, &[good()]).await, Some("unknown-id"));
    assert!(world.contracts.schemas().known_schemas().is_empty());
}
