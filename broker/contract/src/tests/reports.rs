//! Responses to producers, and counts of violations.

use super::*;

#[tokio::test(start_paused = true)]
async fn producer_receives_record_field_and_reason() {
    let world = World::new();
    // 31 letters and their length, a count, three prices: the fourth would begin at byte 57.
    let mut cut = payment(&"x".repeat(31), 4);
    cut.truncate(57);
    let records = [
        good(),
        value(framed(PAYMENT_ID, &cut)),
        value(framed(ORDER_ID, &[2])),
    ];
    let fault = "value: payments-value v3 (id 41): /items[3]/price: truncated at byte 57 of 57, \
                 double needs 8";
    let wrong = "value: id 7 is registered as orders-value v2, not under payments-value";
    let error = |index, message: &str| RecordError {
        index,
        message: Some(message.to_owned()),
    };
    assert_eq!(
        world.check(&policy(&[VALUE]), &records).await,
        Verdict::Reject {
            record_errors: vec![error(1, fault), error(2, wrong)],
            message: format!(
                "2 of 3 records violate the contract of topic payments; record 1: {fault}"
            ),
        }
    );
    let page = world.contracts.report.feed.since(0, Some("payments"));
    let entry = &page.entries[0];
    assert_eq!(
        (entry.partition, entry.client_id.as_deref()),
        (2, Some("till-1"))
    );
    assert_eq!(
        (entry.subject.as_deref(), entry.version),
        (Some("payments-value"), Some(3))
    );
    assert_eq!((entry.schema_id, entry.mode), (Some(41), "enforce"));
    assert!(
        world
            .contracts
            .report
            .feed
            .since(0, Some("orders"))
            .entries
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn violations_are_listed_and_sixteen_described() {
    let world = World::new();
    let Verdict::Reject {
        record_errors,
        message,
    } = world.check(&policy(&[VALUE]), &vec![bad(); 40]).await
    else {
        panic!("every record is bad");
    };
    let indexes: Vec<i32> = record_errors.iter().map(|error| error.index).collect();
    assert_eq!(indexes, (0..40).collect::<Vec<_>>());
    let described: Vec<bool> = record_errors
        .iter()
        .map(|error| error.message.is_some())
        .collect();
    assert_eq!(described, [vec![true; 16], vec![false; 24]].concat());
    assert!(message.starts_with("40 of 40 records"), "{message}");
    assert_eq!(world.messages().len(), 16);
    let counted = counted(&world);
    assert_eq!(
        counted,
        [("enforce".to_owned(), "truncated".to_owned(), 40.0)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_names_256_schemas_at_most() {
    let world = World::new();
    let policy = policy(&[VALUE]);
    let records: Vec<Rec> = (1_000..1_300)
        .map(|id| value(framed(id, &string("x"))))
        .collect();
    for (at, id) in (1_000..1_300).enumerate() {
        world
            .registry
            .register(id, "payments-value", i32::try_from(at).unwrap() + 100, KEY);
    }
    // A hundred lookups are sent each second.
    let mut verdict = world.check(&policy, &records).await;
    for _ in 0..2 {
        assert!(
            matches!(verdict, Verdict::Unavailable { .. }),
            "{verdict:?}"
        );
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        verdict = world.check(&policy, &records).await;
    }
    let Verdict::Reject { record_errors, .. } = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(record_errors.len(), 300 - check::SCHEMAS_MAX);
    assert_eq!(record_errors[0].index, 256);
    assert!(
        world
            .reported()
            .iter()
            .all(|(.., code)| *code == "too-complex")
    );
}

// Conformance: contract/3r
#[tokio::test(start_paused = true)]
async fn apicurio_records_get_a_hint() {
    let world = World::new();
    let bare = value(payment("p1", 1)).header("apicurio.value.globalId", Some(vec![0; 8]));
    let plain = value(payment("p1", 1));
    let verdict = world.check(&policy(&[VALUE]), &[bare, plain]).await;
    let Verdict::Reject { record_errors, .. } = verdict else {
        panic!("{verdict:?}")
    };
    let fault = "value: no magic byte, expected 0x00 before a schema id";
    let hint = "; Apicurio serdes need apicurio.registry.headers.enabled=false, \
                as-confluent=true, use-id=contentId";
    let messages: Vec<_> = record_errors
        .into_iter()
        .map(|error| error.message.unwrap())
        .collect();
    assert_eq!(messages, [format!("{fault}{hint}"), fault.to_owned()]);
}

// Conformance: contract/3r
#[tokio::test(start_paused = true)]
async fn int_beyond_32_bits_is_reported() {
    let world = World::new();
    world
        .registry
        .register(100, "payments-value", 20, r#""int""#);
    let wide = value(framed(100, &[0x80, 0xf8, 0x82, 0xad, 0x16]));
    world.check(&policy(&[VALUE]), &[wide]).await;
    let expected = "value: payments-value v20 (id 100): /: bad-varint at byte 0 of 5, \
                    3000000000 is beyond 32 bits";
    assert_eq!(world.messages(), [expected]);
}

/// The metric's samples: mode, reason, value.
fn counted(world: &World) -> Vec<(String, String, f64)> {
    let families = world.metrics.gather();
    let family = families
        .iter()
        .find(|f| f.name() == "avouch_contract_violations_total");
    let mut samples = Vec::new();
    for metric in family.map_or(&[][..], |family| family.get_metric()) {
        let label = |name| {
            let found = metric.get_label().iter().find(|label| label.name() == name);
            found
                .map(|label| label.value().to_owned())
                .unwrap_or_default()
        };
        assert_eq!(
            (label("topic").as_str(), label("part").as_str()),
            ("payments", "value")
        );
        samples.push((
            label("mode"),
            label("reason"),
            metric.get_counter().get_value(),
        ));
    }
    samples
}

#[tokio::test(start_paused = true)]
async fn shadow_reports_and_lets_pass() {
    let shadow = ("avouch.enforcement", "shadow");
    for policy in [
        policy(&[VALUE, shadow]),
        decided(&[], Decision::PayloadShadow),
    ] {
        let world = World::new();
        let verdict = world.check(&policy, &[good(), bad()]).await;
        assert_eq!(verdict, Verdict::Accept { tag: 0 });
        assert_eq!(world.reported(), [(1, "value", "truncated")]);
        assert_eq!(
            counted(&world),
            [("shadow".to_owned(), "truncated".to_owned(), 1.0)]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn topics_without_contract_are_not_checked() {
    let off = ("avouch.enforcement", "off");
    let table = [
        ("undecided", decided(&[], Decision::Undecided), false),
        ("excluded", decided(&[], Decision::None), false),
        ("off", policy(&[VALUE, off]), false),
        (
            "none",
            policy(&[("avouch.value.validation", "none")]),
            false,
        ),
        ("decided", decided(&[], Decision::Payload), true),
        ("level set", policy(&[VALUE]), true),
        (
            "level set over a decision",
            decided(&[VALUE], Decision::PayloadShadow),
            true,
        ),
        (
            "an unreadable decision",
            EffectivePolicy::resolve(Policy::default(), "", "?", 1),
            true,
        ),
    ];
    for (name, policy, checked) in table {
        let world = World::new();
        assert_eq!(Contracts::needs_check(&policy), checked, "{name}");
        let accepted = world.check(&policy, &[bad()]).await == Verdict::Accept { tag: 0 };
        assert_eq!(accepted, !checked, "{name}");
    }
    let world = World::new();
    let bypass = policy(&[VALUE, ("avouch.bypass.principals", "User:mirror")]);
    let verdict = world.check_as("User:mirror", &bypass, &[bad()]).await;
    assert_eq!(verdict, Verdict::Accept { tag: 0 });
    let verdict = world.check_as("User:mirror2", &bypass, &[bad()]).await;
    assert!(matches!(verdict, Verdict::Reject { .. }));
}

#[tokio::test(start_paused = true)]
async fn tag_is_the_only_schema_id() {
    let key = || framed(KEY_ID, &string("k"));
    let table = [
        (vec![good(), good()], 41),
        (vec![good(), Rec::default()], 41),
        (vec![good(), value(framed(NULL_ID, &[]))], 0),
        (vec![good().key(key())], 0),
        (vec![Rec::default().key(key())], 5),
        (vec![Rec::default()], 0),
    ];
    for (records, tag) in table {
        let verdict = World::new().check(&policy(&BOTH), &records).await;
        assert_eq!(verdict, Verdict::Accept { tag });
    }
}
