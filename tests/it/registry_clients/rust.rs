//! All Avro calls of `schema_registry_converter`, a registry client for Rust.

use anyhow::{Context as _, Result};
use apache_avro::types::Value;
use avouch_tests::node::Node;
use avouch_tests::registry::register;
use schema_registry_converter::async_impl::avro::{AvroDecoder, AvroEncoder};
use schema_registry_converter::async_impl::easy_avro::{EasyAvroDecoder, EasyAvroEncoder};
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_all_subjects, get_all_versions, get_referenced_schema, get_schema_by_guid,
    get_schema_by_id, get_schema_by_id_and_type, get_schema_by_subject,
    get_schema_by_subject_and_version, is_compatible_schema, post_schema,
};
use schema_registry_converter::schema_registry_common::{
    SchemaType, SubjectNameStrategy, SuppliedReference, SuppliedSchema,
};
use serde::Serialize;

const MONEY: &str = concat!(
    r#"{"type":"record","name":"Money","namespace":"shop","#,
    r#""fields":[{"name":"cents","type":"long"}]}"#
);
/// This client resolves a reference only by its simple name.
const PRICED: &str = concat!(
    r#"{"type":"record","name":"Priced","namespace":"shop","#,
    r#""fields":[{"name":"price","type":"Money"}]}"#
);
const NAME: &str = "shop.Money";

#[derive(Serialize)]
struct Money {
    cents: i64,
}

// Conformance: registry/clients
#[tokio::test]
async fn subject_name_strategies_round_trip() -> Result<()> {
    let (_node, settings) = registry()?;
    let (encoder, decoder) = coders(&settings);
    let strategies = [
        SubjectNameStrategy::TopicNameStrategyWithSchema("bills".into(), false, money()),
        SubjectNameStrategy::TopicNameStrategyWithSchema("bills".into(), true, money()),
        SubjectNameStrategy::RecordNameStrategyWithSchema(money()),
        SubjectNameStrategy::TopicRecordNameStrategyWithSchema("bills".into(), money()),
        // The schemas are registered now, so the subject names are sufficient.
        SubjectNameStrategy::TopicNameStrategy("bills".into(), false),
        SubjectNameStrategy::TopicNameStrategy("bills".into(), true),
        SubjectNameStrategy::RecordNameStrategy(NAME.into()),
        SubjectNameStrategy::TopicRecordNameStrategy("bills".into(), NAME.into()),
    ];
    for strategy in strategies {
        let framed = encoder.encode(cents(5), strategy.clone()).await?;
        let struct_framed = encoder.encode_struct(Money { cents: 5 }, &strategy).await?;
        let value_framed = encoder.encode_value(value(5), &strategy).await?;
        assert_eq!(framed, [0, 0, 0, 0, 1, 10], "equal schemas have one id");
        assert_eq!([&struct_framed, &value_framed], [&framed, &framed]);
        let read = decoder.decode(Some(&framed)).await?;
        assert_eq!(
            (read.name.map(|name| name.fullname(None)), read.value),
            (Some(NAME.into()), value(5))
        );
    }
    let mut subjects = get_all_subjects(&settings).await?;
    subjects.sort();
    assert_eq!(
        subjects,
        ["bills-key", "bills-shop.Money", "bills-value", NAME]
    );
    Ok(())
}

// Conformance: registry/clients
#[tokio::test]
async fn header_guids_resolve_to_schema() -> Result<()> {
    let (_node, settings) = registry()?;
    let strategy = SubjectNameStrategy::TopicNameStrategyWithSchema("bills".into(), false, money());
    let encoder = EasyAvroEncoder::new(settings.clone());
    let decoder = EasyAvroDecoder::new(settings.clone());
    let (datum, header) = encoder
        .encode_with_header_id(cents(7), strategy.clone(), false)
        .await?;
    let (struct_datum, _) = encoder
        .encode_struct_with_header_id(Money { cents: 7 }, &strategy, false)
        .await?;
    let (value_datum, _) = encoder
        .encode_value_with_header_id(value(7), &strategy, false)
        .await?;
    assert_eq!([&datum, &struct_datum, &value_datum], [&[14]; 3]);
    let read = decoder
        .decode_with_header_id(Some(&header.value), Some(&datum))
        .await?;
    assert_eq!(read.value, value(7));
    let read = decoder
        .decode_with_schema_with_header_id(Some(&header.value), Some(&datum))
        .await?;
    let guid = read
        .context("no datum")?
        .schema
        .guid
        .clone()
        .context("no GUID")?;
    assert_eq!(get_schema_by_guid(&guid, &settings).await?.schema, MONEY);
    Ok(())
}

// Conformance: registry/clients
#[tokio::test]
async fn supplied_schema_registers_references_first() -> Result<()> {
    let (_node, settings) = registry()?;
    let (encoder, decoder) = coders(&settings);
    let reference = SuppliedReference::new(NAME.into(), "money".into(), MONEY.into());
    let properties = [("owner".to_owned(), "shop".to_owned())].into();
    let priced = SuppliedSchema::new(Some("shop.Priced".into()), SchemaType::Avro, PRICED.into())
        .with_references(vec![reference])
        .with_properties(properties);
    let strategy = SubjectNameStrategy::TopicNameStrategyWithSchema("carts".into(), false, priced);
    let framed = encoder.encode(vec![("price", value(9))], strategy).await?;
    let read = decoder
        .decode_with_schema(Some(&framed))
        .await?
        .context("no datum")?;
    assert_eq!(read.value, Value::Record(vec![("price".into(), value(9))]));
    assert_eq!(
        read.schema.properties.as_ref().context("no metadata")?["owner"],
        "shop"
    );
    let registered = get_schema_by_id(read.schema.id, &settings).await?;
    let reference = registered.references.first().context("no reference")?;
    assert_eq!(
        (reference.subject.as_str(), reference.version),
        ("money", 1)
    );
    assert_eq!(
        get_referenced_schema(&settings, reference).await?.schema,
        MONEY
    );
    Ok(())
}

// Conformance: registry/clients
#[tokio::test]
async fn schemas_are_registered_found_and_compared() -> Result<()> {
    let (_node, settings) = registry()?;
    let posted = post_schema(&settings, "money".into(), money()).await?;
    assert_eq!(posted.id, 1);
    let by_id = get_schema_by_id_and_type(1, &settings, SchemaType::Avro).await?;
    let strategy = SubjectNameStrategy::RecordNameStrategy("money".into());
    let by_subject = get_schema_by_subject(&settings, &strategy).await?;
    let by_version = get_schema_by_subject_and_version(&settings, "money", Some(1)).await?;
    for found in [by_id, by_subject, by_version] {
        assert_eq!((found.id, found.schema.as_str()), (1, MONEY));
    }
    assert_eq!(get_all_versions(&settings, "money".into()).await?, [1]);
    let wrong = SuppliedSchema::new(None, SchemaType::Avro, r#""string""#.into());
    assert!(is_compatible_schema(&settings, "money".into(), money()).await?);
    assert!(!is_compatible_schema(&settings, "money".into(), wrong).await?);
    Ok(())
}

// Conformance: registry/clients
#[tokio::test]
async fn client_caches_errors_until_cleared() -> Result<()> {
    let (node, settings) = registry()?;
    let (encoder, decoder) = coders(&settings);
    let strategy = || SubjectNameStrategy::TopicNameStrategy("bills".into(), false);
    let framed = [0, 0, 0, 0, 1, 10];
    for _ in 0..2 {
        assert!(encoder.encode(cents(5), strategy()).await.is_err());
        assert!(decoder.decode(Some(&framed)).await.is_err());
    }
    let again = decoder.decode(Some(&framed)).await;
    assert!(again.is_err_and(|error| error.cached && !error.retriable));
    let url = node.url();
    let registering = tokio::task::spawn_blocking(move || register(&url, "bills-value", MONEY));
    assert_eq!(registering.await??, 1);
    assert!(
        decoder.decode(Some(&framed)).await.is_err(),
        "the error is still cached"
    );
    encoder.remove_errors_from_cache();
    decoder.remove_errors_from_cache();
    assert_eq!(encoder.encode(cents(5), strategy()).await?, framed);
    assert_eq!(decoder.decode(Some(&framed)).await?.value, value(5));
    assert_eq!(decoder.decode(None).await?.value, Value::Null);
    assert!(decoder.decode(Some(&[1, 2])).await.is_err(), "not framed");
    Ok(())
}

fn registry() -> Result<(Node, SrSettings)> {
    let node = Node::start()?;
    let settings = SrSettings::new(node.url());
    Ok((node, settings))
}

fn coders(settings: &SrSettings) -> (AvroEncoder, AvroDecoder) {
    (
        AvroEncoder::new(settings.clone()),
        AvroDecoder::new(settings.clone()),
    )
}

fn money() -> SuppliedSchema {
    SuppliedSchema::new(Some(NAME.into()), SchemaType::Avro, MONEY.into())
}

fn cents(cents: i64) -> Vec<(&'static str, Value)> {
    vec![("cents", Value::Long(cents))]
}

fn value(cents: i64) -> Value {
    Value::Record(vec![("cents".into(), Value::Long(cents))])
}
