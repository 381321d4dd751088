//! The cache against a fake registry with delays and outages.

use avouch_registry_api::source::SourceError;

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

async fn is_known(schemas: &Schemas, id: i32) -> Result<bool, LookupError> {
    let context = schemas.start_request();
    loop {
        let found = schemas.lookup(id, &context).await?;
        let epoch = schemas.epoch(id).load(Ordering::SeqCst);
        let is_valid =
            || schemas.is_valid(found.fetched_at, epoch, &context, Staleness::Unreceived);
        if found.schema.is_some() || is_valid() {
            return Ok(found.schema.is_some());
        }
    }
}

fn is_cached(schemas: &Schemas, id: i32) -> bool {
    schemas
        .cached(id)
        .is_some_and(|lookup| lookup.schema.is_some())
}

fn outage() -> LookupError {
    LookupError::Source(SourceError {
        reason: "connection refused".into(),
    })
}

async fn exists(schemas: &Schemas, subject: &str) -> Result<bool, LookupError> {
    let context = schemas.start_request();
    schemas.subject_exists(subject, &context, true).await
}

/// Lets every task run until it waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

// Conformance: contract/3b
#[tokio::test(start_paused = true)]
async fn new_id_is_found() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    assert_eq!(is_known(&schemas, 1).await, Ok(false));
    register(&registry, 1);
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
    assert_eq!(registry.looked_up_ids(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn absence_from_before_a_registration_is_stale() {
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
        "it arrived before the registration"
    );
    assert_eq!(after.await.unwrap(), Ok(true));
    // The older result does not replace the newer one, whichever ended first.
    assert!(is_cached(&schemas, 1));
    assert_eq!(registry.looked_up_ids(), [1, 1]);
}

// Conformance: contract/3b
#[tokio::test(start_paused = true)]
async fn absence_is_cached_until_a_change() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    for _ in 0..1_000 {
        assert_eq!(is_known(&schemas, 1).await, Ok(false));
    }
    assert_eq!(registry.looked_up_ids(), [1]);
}

// Conformance: validator/3d
#[tokio::test(start_paused = true)]
async fn concurrent_requests_share_one_lookup() {
    let registry = FakeRegistry::new();
    registry.register(1, "s", 1, TEXT);
    let schemas = schemas(&registry);
    registry.hold(true);
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let schemas = schemas.clone();
            tokio::spawn(async move { schemas.lookup(1, &schemas.start_request()).await })
        })
        .collect();
    settle().await;
    registry.hold(false);
    let mut bodies = Vec::new();
    for request in requests {
        let schema = request.await.unwrap().unwrap().schema.unwrap();
        bodies.push(Arc::clone(&schema.body));
    }
    assert_eq!(registry.looked_up_ids(), [1]);
    assert!(bodies.iter().all(|body| Arc::ptr_eq(body, &bodies[0])));
    assert!(matches!(*bodies[0], Body::Avro { .. }));
}

// Conformance: validator/3d
#[tokio::test(start_paused = true)]
async fn new_versions_keep_the_compiled_schema() {
    let registry = FakeRegistry::new();
    registry.register(1, "s", 1, TEXT);
    let schemas = schemas(&registry);
    let look_up = async || {
        let found = schemas.lookup(1, &schemas.start_request()).await;
        found.unwrap().schema.unwrap()
    };
    let first = look_up().await;
    registry.register(1, "other", 7, TEXT);
    let second = look_up().await;
    assert_eq!((first.versions.len(), second.versions.len()), (1, 2));
    assert!(Arc::ptr_eq(&first.body, &second.body));
}

// Conformance: contract/3a
#[tokio::test(start_paused = true)]
async fn lookups_of_one_id_are_limited() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    for turn in 0..25 {
        registry.touch(1);
        assert_eq!(is_known(&schemas, 1).await.is_ok(), turn < 10, "{turn}");
    }
    assert_eq!(registry.looked_up_ids().len(), 10);
    tokio::time::advance(Duration::from_millis(999)).await;
    assert!(is_known(&schemas, 1).await.is_err());
    tokio::time::advance(Duration::from_millis(1)).await;
    register(&registry, 1);
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
}

// Conformance: contract/3a
#[tokio::test(start_paused = true)]
async fn lookups_of_all_ids_are_limited() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    for id in 1..=250 {
        assert_eq!(is_known(&schemas, id).await.is_ok(), id <= 100, "{id}");
    }
    assert_eq!(registry.looked_up_ids().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn outage_hides_no_known_schema() {
    let registry = FakeRegistry::new();
    register(&registry, 1);
    let schemas = schemas(&registry);
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
    registry.fail(true);
    registry.touch(1);
    assert_eq!(is_known(&schemas, 2).await, Err(outage()));
    assert!(is_known(&schemas, 1).await.is_err());
    assert!(is_cached(&schemas, 1));
    assert!(schemas.cached(2).is_none(), "an outage is not an absence");
    registry.fail(false);
    register(&registry, 2);
    assert_eq!(is_known(&schemas, 2).await, Ok(true));
}

// Conformance: contract/3g
#[tokio::test(start_paused = true)]
async fn wait_for_a_hanging_registry_is_bounded() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    registry.hold(true);
    let start = tokio::time::Instant::now();
    let error = is_known(&schemas, 1).await.unwrap_err();
    assert_eq!(error, LookupError::Timeout { wait_ms: 2_000 });
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    let error = exists(&schemas, "s").await.unwrap_err();
    assert_eq!(error, LookupError::Timeout { wait_ms: 2_000 });
    registry.hold(false);
    assert_eq!(is_known(&schemas, 1).await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn lookup_continues_without_its_request() {
    let registry = FakeRegistry::new();
    register(&registry, 1);
    let schemas = schemas(&registry);
    registry.hold(true);
    let request = tokio::spawn({
        let schemas = schemas.clone();
        async move { is_known(&schemas, 1).await }
    });
    settle().await;
    request.abort();
    settle().await;
    registry.hold(false);
    while schemas.cached(1).is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
    assert_eq!(registry.looked_up_ids(), [1]);
}

// Conformance: validator/3d
#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_used_schemas_stay() {
    const CACHED: u64 = 20;
    let registry = FakeRegistry::new();
    let one = {
        register(&registry, 1);
        let schemas = schemas(&registry);
        assert_eq!(is_known(&schemas, 1).await, Ok(true));
        schemas.memory_bytes()
    };
    let bytes_max = CACHED * one;
    let config = CacheConfig {
        bytes_max: usize::try_from(bytes_max).unwrap(),
        lookups_total: 1_000,
        ..CacheConfig::default()
    };
    let schemas = schemas_with(&registry, config);
    for id in 2..=200 {
        register(&registry, id);
        assert_eq!(is_known(&schemas, id).await, Ok(true));
        assert_eq!(is_known(&schemas, 1).await, Ok(true));
        assert!(schemas.memory_bytes() <= bytes_max);
    }
    let lookups = registry.looked_up_ids();
    assert_eq!(
        lookups.iter().filter(|id| **id == 1).count(),
        2,
        "one was to measure it"
    );
    let cached = (1..=200).filter(|id| is_cached(&schemas, *id)).count();
    assert!((10..=20).contains(&cached), "{cached}");
}

// Conformance: validator/3d
#[tokio::test(start_paused = true)]
async fn schema_larger_than_cache_is_usable() {
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
    assert_eq!(registry.looked_up_ids(), [1, 1]);
}

// Conformance: contract/3c
#[tokio::test(start_paused = true)]
async fn absent_subject_is_cached_until_a_change() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    for _ in 0..100 {
        assert_eq!(exists(&schemas, "s").await, Ok(false));
    }
    assert_eq!(registry.looked_up_subjects(), ["s"]);
    register(&registry, 1);
    assert_eq!(exists(&schemas, "s").await, Ok(true));
    assert_eq!(registry.looked_up_subjects().len(), 2);
    registry.soft_delete("s");
    assert_eq!(exists(&schemas, "s").await, Ok(false));
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_share_one_subject_lookup() {
    let registry = FakeRegistry::new();
    let schemas = schemas(&registry);
    registry.hold(true);
    let request = || {
        let schemas = schemas.clone();
        tokio::spawn(async move { exists(&schemas, "s").await })
    };
    let before: Vec<_> = (0..100).map(|_| request()).collect();
    settle().await;
    register(&registry, 1);
    let after = request();
    settle().await;
    registry.hold(false);
    for request in before {
        assert_eq!(request.await.unwrap(), Ok(false));
    }
    assert_eq!(
        after.await.unwrap(),
        Ok(true),
        "it came after the registration"
    );
    assert_eq!(registry.looked_up_subjects().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn absent_ids_are_bounded() {
    let registry = FakeRegistry::new();
    let config = CacheConfig {
        bytes_max: 6_400,
        lookups_total: 1_000,
        ..CacheConfig::default()
    };
    let schemas = schemas_with(&registry, config);
    for id in 1..=500 {
        assert_eq!(is_known(&schemas, id).await, Ok(false));
        assert!(schemas.memory_bytes() <= 6_400);
    }
    assert!(schemas.cached(500).is_some());
}

#[tokio::test(start_paused = true)]
async fn late_older_result_is_discarded() {
    let registry = FakeRegistry::new();
    register(&registry, 1);
    let schemas = schemas(&registry);
    let known = schemas.lookup(1, &schemas.start_request()).await;
    let known = known.unwrap().schema;
    let inner = &schemas.inner;
    let insert = |schema, lookup| {
        let fetched_at = FetchedAt { epoch: 1, lookup };
        inner.insert(&inner.lock(), 1, &CachedLookup { schema, fetched_at });
    };
    let now = schemas.start_request().lookup;
    insert(None, now - 1);
    assert!(is_cached(&schemas, 1));
    insert(None, now + 2);
    assert!(!is_cached(&schemas, 1));
    insert(known, now + 1);
    assert!(!is_cached(&schemas, 1));
}

// Conformance: contract/3a
#[tokio::test(start_paused = true)]
async fn remote_absence_is_always_confirmed() {
    let registry = FakeRegistry::new();
    registry.lag();
    let schemas = schemas(&registry);
    assert_eq!(is_known(&schemas, 1).await, Ok(false));
    assert_eq!(exists(&schemas, "s").await, Ok(false));
    register(&registry, 1);
    assert_eq!(is_known(&schemas, 1).await, Ok(true));
    assert_eq!(exists(&schemas, "s").await, Ok(true));
    assert_eq!(registry.looked_up_ids(), [1, 1]);
}

// Conformance: contract/3a
#[tokio::test(start_paused = true)]
async fn late_requests_share_the_next_lookup() {
    let registry = FakeRegistry::new();
    registry.lag();
    let schemas = schemas(&registry);
    registry.hold(true);
    let request = || {
        let schemas = schemas.clone();
        tokio::spawn(async move { is_known(&schemas, 1).await })
    };
    let first = request();
    settle().await;
    let late: Vec<_> = (0..100).map(|_| request()).collect();
    settle().await;
    registry.hold(false);
    assert_eq!(first.await.unwrap(), Ok(false));
    for request in late {
        assert_eq!(request.await.unwrap(), Ok(false));
    }
    assert_eq!(registry.looked_up_ids(), [1, 1]);
    for turn in 2..25 {
        assert_eq!(is_known(&schemas, 1).await.is_ok(), turn < 10, "{turn}");
    }
}

// Conformance: contract/3c
#[tokio::test(start_paused = true)]
async fn absence_without_confirmation_stays_cached() {
    let registry = FakeRegistry::new();
    registry.lag();
    let schemas = schemas(&registry);
    for _ in 0..10 {
        let context = schemas.start_request();
        let exists = schemas.subject_exists("s", &context, false).await;
        assert_eq!(exists, Ok(false));
    }
    assert_eq!(registry.looked_up_subjects().len(), 1);
}

// Conformance: contract/3e
#[tokio::test(start_paused = true)]
async fn restored_schemas_are_used_during_an_outage() {
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
        assert!(is_cached(&after, id));
    }
    assert_eq!(
        exists(&after, "t").await,
        Ok(true),
        "a version of it is known"
    );
    assert!(exists(&after, "u").await.is_err());
    assert!(
        is_known(&after, 3).await.is_err(),
        "an outage is not an absence"
    );
}

// Conformance: contract/3m
#[tokio::test(start_paused = true)]
async fn changed_ids_are_exempt_from_limits() {
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
    assert_eq!(registry.looked_up_ids().len(), 50);
    // A registry that does not respond is queried at the usual pace.
    registry.fail(true);
    registry.touch(1);
    for _ in 0..50 {
        assert!(is_known(&schemas, 1).await.is_err());
    }
    assert!(registry.looked_up_ids().len() <= 61);
}

// Conformance: contract/3n
#[tokio::test(start_paused = true)]
async fn refresh_looks_up_changed_schemas_only() {
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
    assert_eq!(registry.looked_up_ids(), [1, 2, 3], "nothing delivered");
    registry.deliver(Some(2));
    registry.set_reachable(false);
    schemas.refresh().await;
    assert_eq!(registry.looked_up_ids(), [1, 2, 3], "unreachable");
    registry.set_reachable(true);
    schemas.refresh().await;
    assert_eq!(registry.looked_up_ids(), [1, 2, 3, 2]);
    let ids: Vec<_> = schemas
        .known_schemas()
        .iter()
        .map(|known| known.id.get())
        .collect();
    assert_eq!(ids, [1, 3]);
}
