//! Checks while the registry changes, is slow or away.

use std::time::Duration;

use futures_util::FutureExt;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_check_with_known_schemas_is_ready_at_once() {
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
    assert_eq!(world.registry.asked_ids(), [41]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_id_passes_as_soon_as_it_is_registered() {
    let world = World::new();
    let policy = policy(&[VALUE]);
    let new = [value(framed(77, &string("x")))];
    assert!(matches!(
        world.check(&policy, &new).await,
        Verdict::Reject { .. }
    ));
    assert!(
        world.check(&policy, &new).now_or_never().is_some(),
        "nothing changed: no look-up"
    );
    world.registry.register(77, "payments-value", 20, KEY);
    assert_eq!(
        world.check(&policy, &new).await,
        Verdict::Accept { tag: 77 }
    );
}

#[tokio::test(start_paused = true)]
async fn an_id_of_another_subject_passes_once_it_is_registered_here_too() {
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
    assert_eq!(world.registry.asked_ids(), [7]);
    world
        .registry
        .register(ORDER_ID, "payments-value", 20, ORDER);
    assert_eq!(
        world.check(&policy, &order).await,
        Verdict::Accept { tag: 7 }
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_counts_at_once_where_deleted_versions_are_refused() {
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
async fn an_outage_is_no_violation_and_stops_nothing_known() {
    let world = World::new();
    let strict = policy(&[VALUE, ("avouch.version.deleted", "reject")]);
    assert_eq!(
        world.check(&strict, &[good()]).await,
        Verdict::Accept { tag: 41 }
    );
    world.registry.fail(true);
    world.registry.changed();
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
    // In shadow nothing is refused, so an outage refuses nothing either.
    let shadow = policy(&[VALUE, ("avouch.enforcement", "shadow")]);
    assert!(matches!(
        world.check(&shadow, &unknown).await,
        Verdict::Accept { .. }
    ));
}

// Conformance: contract/3g
#[tokio::test(start_paused = true)]
async fn a_registry_that_hangs_is_waited_for_two_seconds() {
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
async fn a_schema_that_does_not_compile_refuses() {
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
            .decide_auto(&auto, topic, empty, &world.contracts.arrive())
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
    // An excluded topic's subject is not asked for, so an outage doesn't matter.
    world.registry.fail(true);
    assert_eq!(decide("clicks-dlq", true).await, Ok(Decision::None));
    assert!(decide("visits", true).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn auto_of_listed_subjects_is_decided_by_any_of_them() {
    let world = World::new();
    let auto = policy(&[("avouch.value.subjects", "none-yet,orders-value")]);
    let decide = async |policy, topic| {
        let arrival = world.contracts.arrive();
        let decided = world
            .contracts
            .decide_auto(policy, topic, true, &arrival)
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
async fn a_decision_once_made_is_not_made_again() {
    let world = World::new();
    let decided = decided(&[], Decision::PayloadShadow);
    assert!(!decided.is_undecided());
    let arrival = world.contracts.arrive();
    let again = world
        .contracts
        .decide_auto(&decided, "payments", true, &arrival)
        .await;
    let nothing = (Decision::Undecided, Decision::Undecided);
    assert_eq!(again.map(|decided| decided.if_empty), Ok(nothing));
    assert!(world.registry.asked_subjects().is_empty());
}
