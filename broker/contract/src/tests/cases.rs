//! Tables of records that pass and records that violate.

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
async fn inline_check_needs_cached_schemas() {
    let world = World::new();
    let policy = policy(&[VALUE]);
    let inline_check = |records: &[Rec]| {
        let accepted = world.inline_check("User:ANONYMOUS", &policy, records);
        accepted.map(|accepted| accepted.tag)
    };
    assert_eq!(inline_check(&[good()]), None, "not remembered");
    let verdict = world.check(&policy, &[good(), good()]).await;
    let tag = PAYMENT_ID.unsigned_abs();
    assert_eq!(verdict, Verdict::Accept { tag });
    assert_eq!(inline_check(&[good(), good()]), Some(tag));
    assert_eq!(inline_check(&[good(), bad()]), None);
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
async fn nulls_pass_unless_rejected() {
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
async fn value_is_one_prefix_and_one_datum() {
    let whole = payment("p1", 1);
    let one = |bytes: Vec<u8>| vec![value(bytes)];
    let fault = |code| [(0, "value", code)];
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
    ])
    .await;
}

// Conformance: contract/3p
#[tokio::test(start_paused = true)]
async fn any_bytes_are_valid_under_bytes() {
    let strategy = ("avouch.value.subject.name.strategy", "RecordNameStrategy");
    let bytes = || vec![value(framed(BYTES_ID, &[8, 1, 0xff]))];
    hold(&[
        ("bare", &[VALUE], bytes(), &[]),
        ("empty", &[VALUE], vec![value(framed(BYTES_ID, &[]))], &[]),
        (
            "with a length",
            &[VALUE],
            vec![value(framed(BYTES_ID, &[4, 1, 2]))],
            &[],
        ),
        (
            "as a key",
            &BOTH,
            vec![good().key(framed(BYTES_ID, &[9]))],
            &[],
        ),
        (
            "named after its type",
            &[VALUE, strategy],
            bytes(),
            &[(0, "value", "wrong-subject")],
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn value_starts_with_a_schema_id() {
    let whole = payment("p1", 1);
    let one = |bytes: Vec<u8>| vec![value(bytes)];
    let fault = |code| [(0, "value", code)];
    let container = [b"Obj\x01".as_slice(), &framed(PAYMENT_ID, &whole)].concat();
    let guid = [&[1_u8; 17], whole.as_slice()].concat();
    hold(&[
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

// Conformance: contract/3q
#[tokio::test(start_paused = true)]
async fn work_is_bounded_whatever_the_bytes_claim() {
    // 2^62 items of no width: a zigzag varint of ten bytes.
    let two_to_62 = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    let nulls = [two_to_62.as_slice(), &[0]].concat();
    let deep = |levels: usize| [vec![2; levels - 1], vec![0]].concat();
    const SHALLOW: (&str, &str) = ("avouch.datum.depth.max", "64");
    const FEW: (&str, &str) = ("avouch.datum.items.max", "2");
    hold(&[
        (
            "array<null> of 2^62",
            &[VALUE],
            vec![value(framed(NULLS_ID, &nulls))],
            &[(0, "value", "too-complex")],
        ),
        (
            "a list of 1,000 nodes",
            &[VALUE],
            vec![value(framed(LIST_ID, &deep(1_000)))],
            &[],
        ),
        (
            "a list of 1,001 nodes",
            &[VALUE],
            vec![value(framed(LIST_ID, &deep(1_001)))],
            &[(0, "value", "too-deep")],
        ),
        (
            "the limit of the topic",
            &[VALUE, SHALLOW],
            vec![
                value(framed(LIST_ID, &deep(64))),
                value(framed(LIST_ID, &deep(65))),
            ],
            &[(1, "value", "too-deep")],
        ),
        (
            "the items of the topic",
            &[VALUE, FEW],
            vec![
                value(framed(NULLS_ID, &[4, 0])),
                value(framed(NULLS_ID, &[6, 0])),
            ],
            &[(1, "value", "too-complex")],
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
    let id = |id: i32| Some(framing::prefix(id).to_vec());
    let bare = || value(payment("p1", 1));
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
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_contract_may_want_headers_or_prefixes() {
    const HEADER: &str = "__value_schema_id";
    const FRAMING: &str = "avouch.value.framing";
    let id = |id: i32| Some(framing::prefix(id).to_vec());
    let bare = || value(payment("p1", 1));
    let trailing = Some([framing::prefix(PAYMENT_ID).as_slice(), &[0]].concat());
    let framing = [(0, "value", "framing")];
    hold(&[
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
