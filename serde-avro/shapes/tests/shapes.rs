//! Generated types of many schemas: the bytes of other implementations, defaults, errors and names.

#![expect(clippy::approx_constant, reason = "a default that is near a constant")]

use std::collections::BTreeMap;

use avouch_avro::codec::{AvroType, Decode, Encode};
use avouch_avro::validator::Validator;
use avouch_avro::{from_slice, to_vec};
use avouch_avro_testing::{Random, datum};
use avouch_codegen_shapes as shapes;
use serde_json::Value;

/// Decodes, encodes and validates a datum; returns the encoded form.
type Recode = fn(&[u8]) -> Vec<u8>;

fn recode<T: AvroType + Encode + for<'de> Decode<'de>>(datum: &[u8]) -> Vec<u8> {
    let value: T = from_slice(datum).unwrap_or_else(|error| panic!("{}: {error}", T::FULL_NAME));
    Validator::compile(T::schema())
        .unwrap()
        .validate(datum)
        .unwrap();
    to_vec(&value).unwrap()
}

macro_rules! types {
    ($($file:literal: $($path:ident)::+,)*) => {
        [$({
            type T = shapes::$($path)::+;
            assert_eq!(T::FINGERPRINT, T::schema().rabin_fingerprint());
            ($file, recode::<T> as Recode)
        },)*]
    };
}

fn types() -> BTreeMap<&'static str, Recode> {
    let types = types![
        "all_decimals": shapes::logical::Decimals,
        "all_defaults": shapes::defaults::Defaults,
        "all_times": shapes::logical::Times,
        "bank_transfer": bank::transfer::v3::Transfer,
        "cdc_envelope": cdc::customers::Envelope,
        "clash": shop::v1::Order,
        "clickstream": web::click::Event,
        "durations": shapes::logical::Leave,
        "employee": com::example::hr::Employee,
        "empty_in_collections": shapes::empty::Holder,
        "empty_record": shapes::empty::Empty,
        "error_type": shapes::errors::Failure,
        "expression": shapes::recursion::Expression,
        "fixed_zero": shapes::fixed::Zero,
        "health_patient": health::r4::Patient,
        "hostile_docs": shapes::docs::Documented,
        "invalid_logical": shapes::logical::Ignored,
        "linked_union": shapes::recursion::Chain,
        "log_entry": ops::log::Entry,
        "manifest_entry": lake::ManifestEntry,
        "module_inception": a::a::a::A,
        "mutual": shapes::recursion::Folder,
        "nested_nullable_arrays": shapes::nested::Outer,
        "nested_unions": shapes::unions::Nested,
        "no_namespace": Loose,
        "null_last_unions": shapes::unions::NullLast,
        "prelude_names": shapes::prelude::Option_,
        "references_a": shapes::refs::First,
        "references_b": shapes::refs::Second,
        "references_c": shapes::refs::Unit,
        "reserved_words": r#type::r#match::self_::Impl,
        "root_array": RootArray,
        "root_enum": shapes::roots::TrafficLight,
        "root_fixed": shapes::roots::Digest,
        "root_map": RootMap,
        "root_primitive": RootPrimitive,
        "root_union": RootUnion,
        "rust_name": shapes::names::Money,
        "sensor_reading": iot::v1::Reading,
        "sky_alert": sky::alerts::Alert,
        "snake_clash": shapes::clash::Fields,
        "some_defaults": shapes::defaults::Partial,
        "symbol_clash": shapes::clash::Symbols,
        "tree": shapes::recursion::Tree,
        "two_addresses": shop::v2::Parcel,
        "type_clash": shapes::clash::Types2,
        "uuids": shapes::logical::Uuids,
        "wide_union": shapes::unions::Wide,
        "zero_defaults": shapes::defaults::Zeros,
    ];
    types.into()
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = (0..hex.len()).step_by(2);
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    digits.map(byte).collect()
}

// Conformance: codegen/4
#[test]
fn generated_types_write_the_vectors() {
    let types = types();
    let mut seen = BTreeMap::new();
    for line in include_str!("../vectors.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let file = vector["file"].as_str().unwrap().trim_end_matches(".avsc");
        let datum = bytes_of(vector["hex"].as_str().unwrap());
        assert_eq!(types[file](&datum), datum, "{file}");
        *seen.entry(file.to_owned()).or_insert(0) += 1;
    }
    assert!(
        seen.len() == types.len() && types.len() >= 40,
        "{}",
        seen.len()
    );
}

// Conformance: codegen/4
#[test]
fn large_records_round_trip() {
    use shapes::large::{Many, deep::Level0};
    let mut random = Random::new(7);
    for _ in 0..20 {
        // Random data have numbers in more bytes than necessary.
        let many: Many = from_slice(&datum(&mut random, Many::schema())).unwrap();
        let many = to_vec(&many).unwrap();
        assert_eq!(recode::<Many>(&many), many);
        // The only value is the innermost number.
        let deep = to_vec(&random.number().cast_signed().rem_euclid(1 << 31)).unwrap();
        assert_eq!(recode::<Level0>(&deep), deep);
    }
}

// Conformance: codegen/3
#[test]
fn borrowed_types_write_the_same_bytes() {
    use shapes::web::click::{Event, EventRef};
    let mut vectors = 0;
    for line in include_str!("../vectors.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        if vector["file"] == "clickstream.avsc" {
            let datum = bytes_of(vector["hex"].as_str().unwrap());
            let event: EventRef<'_> = from_slice(&datum).unwrap();
            assert_eq!(to_vec(&event).unwrap(), datum);
            let url = event.page.url.as_bytes().as_ptr_range();
            assert!(datum.as_ptr_range().contains(&url.start) || event.page.url.is_empty());
            vectors += 1;
        }
    }
    assert_eq!(vectors, 3);
    assert_eq!(EventRef::schema(), Event::schema());
}

// Conformance: codegen/2
#[test]
fn defaults_equal_those_of_the_schema() {
    use shapes::shapes::defaults::{Defaults, DefaultsUnion, Kind, PartialBuilder, Zeros};
    let defaults = Defaults::default();
    assert!(defaults.nan.is_nan());
    assert_eq!(
        (defaults.int, defaults.long, defaults.double),
        (-1, 1 << 40, 3.14159)
    );
    assert_eq!(defaults.bytes, [0xff, 0, b'A']);
    assert_eq!((defaults.fixed.0, defaults.kind), (*b"ab", Kind::B));
    assert_eq!((defaults.record.x, defaults.record.y.as_str()), (3, "why"));
    assert_eq!(
        (defaults.maybe.as_deref(), defaults.none),
        (Some("s"), None)
    );
    assert_eq!(defaults.r#union, Some(DefaultsUnion::Int(4)));
    assert_eq!(defaults.date.to_string(), "2022-01-08");
    assert_eq!(defaults.clock.to_string(), "01:00:00");
    assert_eq!(defaults.amount.to_string(), "2.56");
    assert_eq!(to_vec(&Zeros::default()).unwrap(), [0, 0, 0, 0, 0, 0]);
    let partial = PartialBuilder {
        id: "p1".to_owned(),
        amount: 3,
    };
    let partial = partial.build();
    assert_eq!((partial.note, partial.channel.as_str()), (None, "card"));
}

// Conformance: codegen/2
#[test]
fn unknown_symbols_are_the_default() {
    use shapes::shapes::{clash::Level, roots::TrafficLight};
    assert_eq!("GREEN".parse(), Ok(TrafficLight::Green));
    assert_eq!("PURPLE".parse(), Ok(TrafficLight::Red));
    assert!("PURPLE".parse::<Level>().is_err());
    assert_eq!(TrafficLight::default().as_str(), "RED");
    let names = ["LOW", "Low", "low", "HIGH_1", "HIGH1", "_", "_1"];
    let levels = names.map(|name| name.parse::<Level>().unwrap().as_str());
    assert_eq!(levels, names);
}

// Conformance: codegen/3
#[test]
fn dates_out_of_range_name_their_field() {
    use shapes::shapes::logical::Times;
    let epoch = to_vec(&numbers_of_times(0)).unwrap();
    assert!(from_slice::<Times>(&epoch).is_ok());
    let datum = to_vec(&numbers_of_times(i64::MAX)).unwrap();
    let error = from_slice::<Times>(&datum).unwrap_err();
    assert_eq!(error.path(), "/timestamp_millis");
    let error = from_slice::<shapes::with_chrono::shapes::logical::Times>(&datum).unwrap_err();
    assert_eq!(error.path(), "/timestamp_millis");
    let error = from_slice::<shapes::with_time::shapes::logical::Times>(&datum).unwrap_err();
    assert_eq!(error.path(), "/timestamp_millis");
    let plain = from_slice::<shapes::with_numbers::shapes::logical::Times>(&datum).unwrap();
    assert_eq!(plain.timestamp_millis, i64::MAX);
    // A time of day beyond the day.
    let date = [0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let error = from_slice::<Times>(&date).unwrap_err();
    assert_eq!(error.path(), "/timeMillis");
}

/// Returns a datum with the same number in all timestamps.
fn numbers_of_times(number: i64) -> shapes::with_numbers::shapes::logical::Times {
    shapes::with_numbers::shapes::logical::Times {
        date: 0,
        time_millis: 0,
        time_micros: 0,
        timestamp_millis: number,
        timestamp_micros: number,
        timestamp_nanos: number,
        local_timestamp_millis: number,
        local_timestamp_micros: number,
        local_timestamp_nanos: number,
        list: vec![number],
        map: BTreeMap::new(),
        maybe: None,
        nested: vec![Some(number), None],
    }
}

// Conformance: codegen/3
#[test]
fn crates_of_dates_agree() {
    let vectors = include_str!("../vectors.jsonl").lines();
    let times = vectors.filter(|line| line.contains("all_times"));
    let mut count = 0;
    for line in times {
        let vector: Value = serde_json::from_str(line).unwrap();
        let datum = bytes_of(vector["hex"].as_str().unwrap());
        for recode in [
            recode::<shapes::shapes::logical::Times> as Recode,
            recode::<shapes::with_chrono::shapes::logical::Times>,
            recode::<shapes::with_time::shapes::logical::Times>,
            recode::<shapes::with_numbers::shapes::logical::Times>,
        ] {
            assert_eq!(recode(&datum), datum);
        }
        count += 1;
    }
    assert_eq!(count, 3);
}

// Conformance: codegen/2
#[test]
fn options_replace_types_and_names() {
    use shapes::own::{Iban, Money};
    use shapes::with_own_types::bank::transfer::v3::{Currency, Party, PartyRole, Transfer};
    let party = Party {
        role: PartyRole::Debtor,
        iban: Iban("DE89 3704".to_owned()),
        bic: None,
    };
    let read: Party = from_slice(&to_vec(&party).unwrap()).unwrap();
    assert_eq!(read.iban, Iban("DE893704".to_owned()));
    // A space is less than a digit.
    assert!(party < read);
    let amount = |transfer: Transfer| -> Money { transfer.amount };
    let _: fn(Transfer) -> Money = amount;
    assert_eq!(Currency::Eur.as_str(), "EUR");
}

// Conformance: codegen/1
#[test]
fn subjects_come_from_versioned_files() {
    use shapes::com::example::payments::{Currency, Payment};
    assert_eq!(Payment::SUBJECT, Some("payments-value"));
    assert_eq!(Payment::FULL_NAME, "com.example.payments.Payment");
    // The newest version.
    assert!(Payment::SCHEMA.contains("channel"));
    assert_eq!(Currency::SUBJECT, None);
}
