//! What passes and what doesn't, as tables.

use super::*;

type Configs<'c> = &'c [(&'c str, &'static str)];
type Expected<'e> = &'e [(i32, &'static str, &'static str)];

/// Checks each case in a world of its own.
async fn hold(cases: &[(&str, Configs<'_>, Vec<Rec>, Expected<'_>)]) {
    for (name, configs, records, expected) in cases {
        let world = World::new();
        let verdict = world.check(&policy(configs), records).await;
        assert_eq!(
            world.reported(),
            *expected,
            "{name}: {verdict:?} {:?}",
            world.messages()
        );
        match verdict {
            Verdict::Accept { .. } => assert!(expected.is_empty(), "{name}"),
            Verdict::Reject { record_errors, .. } => {
                let mut indexes: Vec<i32> = expected.iter().map(|(index, ..)| *index).collect();
                indexes.dedup();
                let listed: Vec<i32> = record_errors.iter().map(|error| error.index).collect();
                assert_eq!(listed, indexes, "{name}");
                assert!(!indexes.is_empty(), "{name}");
            }
            other @ (Verdict::Unavailable { .. } | Verdict::Failed { .. }) => {
                panic!("{name}: {other:?}")
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_record_of_a_batch_counts() {
    const CUT: &str = "truncated";
    hold(&[
        ("good", &[VALUE], vec![good()], &[]),
        (
            "[bad, good]",
            &[VALUE],
            vec![bad(), good()],
            &[(0, "value", CUT)],
        ),
        (
            "[good, bad]",
            &[VALUE],
            vec![good(), bad()],
            &[(1, "value", CUT)],
        ),
        (
            "[good, bad, good, bad, good]",
            &[VALUE],
            vec![good(), bad(), good(), bad(), good()],
            &[(1, "value", CUT), (3, "value", CUT)],
        ),
        (
            "keys are not looked at",
            &[VALUE],
            vec![good().key(vec![1, 2])],
            &[],
        ),
        (
            "bad key, good value",
            &BOTH,
            vec![good().key(vec![2])],
            &[(0, "key", "no-magic")],
        ),
        (
            "good key, bad value",
            &BOTH,
            vec![bad().key(framed(KEY_ID, &string("k")))],
            &[(0, "value", CUT)],
        ),
        (
            "both bad: one record error",
            &BOTH,
            vec![good(), bad().key(vec![])],
            &[(1, "key", "short"), (1, "value", CUT)],
        ),
        (
            "both good",
            &BOTH,
            vec![good().key(framed(KEY_ID, &string("k"))); 3],
            &[],
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn nulls_pass_unless_they_are_refused() {
    const NO_NULL_KEY: (&str, &str) = ("avouch.key.null", "reject");
    const NO_NULL_VALUE: (&str, &str) = ("avouch.value.null", "reject");
    let key = || framed(KEY_ID, &string("k"));
    hold(&[
        ("tombstone", &BOTH, vec![Rec::default().key(key())], &[]),
        ("null key", &BOTH, vec![good()], &[]),
        ("both null", &BOTH, vec![Rec::default()], &[]),
        (
            "tombstone refused",
            &[BOTH[0], BOTH[1], NO_NULL_VALUE],
            vec![Rec::default().key(key()), good()],
            &[(0, "value", "null")],
        ),
        (
            "null key refused",
            &[BOTH[0], BOTH[1], NO_NULL_KEY],
            vec![good().key(key()), good()],
            &[(1, "key", "null")],
        ),
        (
            "a header does not make a tombstone data",
            &BOTH,
            vec![Rec::default().header("__value_schema_id", Some(vec![9, 9]))],
            &[],
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_value_is_exactly_one_datum_behind_one_prefix() {
    let whole = payment("p1", 1);
    let one = |bytes: Vec<u8>| vec![value(bytes)];
    let fault = |code| [(0, "value", code)];
    let container = [b"Obj\x01".as_slice(), &framed(PAYMENT_ID, &whole)].concat();
    let guid = [&[1_u8; 17], whole.as_slice()].concat();
    hold(&[
        ("zero-length value", &[VALUE], one(vec![]), &fault("short")),
        (
            "four bytes",
            &[VALUE],
            one(vec![0, 0, 0, 0]),
            &fault("short"),
        ),
        (
            "five bytes, no datum",
            &[VALUE],
            one(framed(PAYMENT_ID, &[])),
            &fault("truncated"),
        ),
        (
            "five bytes, an empty datum",
            &[VALUE],
            one(framed(NULL_ID, &[])),
            &[],
        ),
        (
            "a trailing byte",
            &[VALUE],
            one(framed(PAYMENT_ID, &[whole.clone(), vec![0]].concat())),
            &fault("trailing-bytes"),
        ),
        (
            "two data end to end",
            &[VALUE],
            one(framed(PAYMENT_ID, &[whole.clone(), whole.clone()].concat())),
            &fault("trailing-bytes"),
        ),
        (
            "object container file",
            &[VALUE],
            one(container),
            &fault("no-magic"),
        ),
        (
            "bare datum",
            &[VALUE],
            one(whole.clone()),
            &fault("no-magic"),
        ),
        (
            "JSON text",
            &[VALUE],
            one(b"{\"id\":\"p1\"}".to_vec()),
            &fault("no-magic"),
        ),
        ("GUID", &[VALUE], one(guid), &fault("framing")),
        (
            "unknown id",
            &[VALUE],
            one(framed(99_999, &whole)),
            &fault("unknown-id"),
        ),
        (
            "id 0",
            &[VALUE],
            one(framed(0, &whole)),
            &fault("unknown-id"),
        ),
        (
            "negative id",
            &[VALUE],
            one(framed(-1, &whole)),
            &fault("unknown-id"),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn work_is_bounded_whatever_the_bytes_claim() {
    // 2^62 items of no width: a zigzag varint of ten bytes.
    let two_to_62 = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    let nulls = [two_to_62.as_slice(), &[0]].concat();
    let deep = vec![2_u8; 400];
    hold(&[
        (
            "array<null> of 2^62",
            &[VALUE],
            vec![value(framed(NULLS_ID, &nulls))],
            &[(0, "value", "too-complex")],
        ),
        (
            "recursive, 400 bytes",
            &[VALUE],
            vec![value(framed(LIST_ID, &deep))],
            &[(0, "value", "too-deep")],
        ),
        (
            "recursive, shallow",
            &[VALUE],
            vec![value(framed(LIST_ID, &[2, 2, 0]))],
            &[],
        ),
        (
            "few nulls",
            &[VALUE],
            vec![value(framed(NULLS_ID, &[6, 0]))],
            &[],
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_schema_must_belong_to_the_topic() {
    const MIN: &str = "avouch.value.version.min";
    const MAX: &str = "avouch.value.version.max";
    let order = || vec![value(framed(ORDER_ID, &[2]))];
    let deleted = || vec![value(framed(DELETED_ID, &string("x")))];
    let wrong = [(0, "value", "wrong-subject")];
    let outside = [(0, "value", "version-out-of-window")];
    hold(&[
        ("id of another subject", &[VALUE], order(), &wrong),
        (
            "at level id, too",
            &[("avouch.value.validation", "id")],
            order(),
            &wrong,
        ),
        (
            "listed subject",
            &[VALUE, ("avouch.value.subjects", "a,orders-value")],
            order(),
            &[],
        ),
        (
            "the list replaces",
            &[VALUE, ("avouch.value.subjects", "orders-value")],
            vec![good()],
            &wrong,
        ),
        ("soft-deleted", &[VALUE], deleted(), &[]),
        (
            "soft-deleted, refused",
            &[VALUE, ("avouch.version.deleted", "reject")],
            deleted(),
            &[(0, "value", "deleted")],
        ),
        (
            "deleted once, registered again",
            &[VALUE, ("avouch.version.deleted", "reject")],
            vec![good()],
            &[],
        ),
        (
            "in the window",
            &[VALUE, (MIN, "3"), (MAX, "3")],
            vec![good()],
            &[],
        ),
        ("below it", &[VALUE, (MIN, "4")], vec![good()], &outside),
        ("above it", &[VALUE, (MAX, "2")], vec![good()], &outside),
        (
            "JSON checks as id",
            &[VALUE],
            vec![value(framed(JSON_ID, b"anything"))],
            &[],
        ),
        (
            "level id looks at no datum",
            &[("avouch.value.validation", "id")],
            vec![bad(), value(framed(BROKEN_ID, b"x"))],
            &[],
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn record_strategies_go_by_the_schemas_name() {
    const STRATEGY: &str = "avouch.value.subject.name.strategy";
    let table = [
        // strategy, subject, text, datum, passes
        (
            "RecordNameStrategy",
            "pay.Payment",
            PAYMENT,
            payment("p", 0),
            true,
        ),
        (
            "RecordNameStrategy",
            "Payment",
            PAYMENT,
            payment("p", 0),
            false,
        ),
        (
            "RecordNameStrategy",
            "payments-value",
            PAYMENT,
            payment("p", 0),
            false,
        ),
        (
            "TopicRecordNameStrategy",
            "payments-pay.Payment",
            PAYMENT,
            payment("p", 0),
            true,
        ),
        (
            "TopicRecordNameStrategy",
            "pay.Payment",
            PAYMENT,
            payment("p", 0),
            false,
        ),
        (
            "TopicRecordNameStrategy",
            "orders-pay.Payment",
            PAYMENT,
            payment("p", 0),
            false,
        ),
        ("RecordNameStrategy", "string", KEY, string("x"), true),
    ];
    for (strategy, subject, text, datum, passes) in table {
        let world = World::new();
        world.registry.register(100, subject, 1, text);
        let policy = policy(&[VALUE, (STRATEGY, strategy)]);
        let verdict = world.check(&policy, &[value(framed(100, &datum))]).await;
        let accepted = verdict == Verdict::Accept { tag: 100 };
        assert_eq!(accepted, passes, "{strategy} {subject}: {verdict:?}");
        let wrong = [(0, "value", "wrong-subject")];
        assert_eq!(
            world.reported(),
            if passes { &[][..] } else { &wrong },
            "{subject}"
        );
    }
    // The name of a type that isn't Avro is not known here, so no subject can admit it.
    let world = World::new();
    let policy = policy(&[VALUE, (STRATEGY, "RecordNameStrategy")]);
    world.check(&policy, &[value(framed(JSON_ID, b"{}"))]).await;
    assert_eq!(world.reported(), [(0, "value", "wrong-subject")]);
}

#[tokio::test(start_paused = true)]
async fn headers_come_first_as_consumers_read_them() {
    const HEADER: &str = "__value_schema_id";
    const FRAMING: &str = "avouch.value.framing";
    let id = |id: i32| Some(framing::prefix(id).to_vec());
    let bare = || value(payment("p1", 1));
    let trailing = Some([framing::prefix(PAYMENT_ID).as_slice(), &[0]].concat());
    let framing = [(0, "value", "framing")];
    hold(&[
        (
            "header",
            &[VALUE],
            vec![bare().header(HEADER, id(PAYMENT_ID))],
            &[],
        ),
        (
            "the last header wins",
            &[VALUE],
            vec![
                bare()
                    .header(HEADER, id(99_999))
                    .header(HEADER, id(PAYMENT_ID)),
            ],
            &[],
        ),
        (
            "the last header wins, though it is the bad one",
            &[VALUE],
            vec![
                bare()
                    .header(HEADER, id(PAYMENT_ID))
                    .header(HEADER, id(99_999)),
            ],
            &[(0, "value", "unknown-id")],
        ),
        (
            "header and prefix that differ: the prefix is data",
            &[VALUE],
            vec![value(framed(NULL_ID, &[])).header(HEADER, id(PAYMENT_ID))],
            &[(0, "value", "trailing-bytes")],
        ),
        (
            "the key's header is not the value's",
            &[VALUE],
            vec![bare().header("__key_schema_id", id(PAYMENT_ID))],
            &[(0, "value", "no-magic")],
        ),
        (
            "null header",
            &[VALUE],
            vec![bare().header(HEADER, None)],
            &framing,
        ),
        (
            "long header",
            &[VALUE],
            vec![bare().header(HEADER, trailing)],
            &framing,
        ),
        (
            "short header",
            &[VALUE],
            vec![bare().header(HEADER, Some(vec![0, 1]))],
            &framing,
        ),
        (
            "GUID header",
            &[VALUE],
            vec![bare().header(HEADER, Some(vec![1; 17]))],
            &framing,
        ),
        (
            "only prefixes",
            &[VALUE, (FRAMING, "prefix")],
            vec![good().header(HEADER, id(PAYMENT_ID))],
            &framing,
        ),
        (
            "only headers",
            &[VALUE, (FRAMING, "header")],
            vec![good()],
            &framing,
        ),
        (
            "only headers, and there is one",
            &[VALUE, (FRAMING, "header")],
            vec![bare().header(HEADER, id(PAYMENT_ID))],
            &[],
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_producer_is_told_which_record_which_field_and_why() {
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
    let told = |index, message: &str| RecordError {
        index,
        message: Some(message.to_owned()),
    };
    assert_eq!(
        world.check(&policy(&[VALUE]), &records).await,
        Verdict::Reject {
            record_errors: vec![told(1, fault), told(2, wrong)],
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
async fn all_bad_records_are_listed_and_the_first_sixteen_told() {
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
    let told: Vec<bool> = record_errors
        .iter()
        .map(|error| error.message.is_some())
        .collect();
    assert_eq!(told, [vec![true; 16], vec![false; 24]].concat());
    assert!(message.starts_with("40 of 40 records"), "{message}");
    assert_eq!(world.messages().len(), 16);
    let counted = counted(&world);
    assert_eq!(
        counted,
        [("enforce".to_owned(), "truncated".to_owned(), 40)]
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
    // The pace of look-ups lets a hundred in each second.
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

/// The metric's samples: mode, reason, value.
fn counted(world: &World) -> Vec<(String, String, u64)> {
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
            metric.get_counter().value() as u64,
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
            [("shadow".to_owned(), "truncated".to_owned(), 1)]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_under_contract_is_not_checked() {
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
async fn the_tag_is_the_one_id_of_a_batch() {
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
