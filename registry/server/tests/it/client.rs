//! The registry client against the registry: every method, errors, limits, and TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use avouch_registry_api::client::{
    ApplyOutcome, ClientError, CompatibilityOptions, DeleteMode, Deleted, Format, LookupOptions,
    Page, RegisterOptions, RegistryClient, SchemaOptions, SchemasOptions, VersionOptions,
};
use avouch_registry_api::error::ErrorCode;
use avouch_registry_api::rest::{
    PlanRequest, PlanStepRequest, ReferenceRequest, RegisterRequest, StoredConfigBody, TagRequest,
};
use avouch_registry_api::types::{CompatibilityLevel, Mode, Version, VersionSelector};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::schema_id;
use crate::server::{NOW_MS, TestServer};

const MONEY: &str = r#"{"type":"fixed","name":"Money","namespace":"n","size":8}"#;
const LATEST: VersionSelector = VersionSelector::Latest;

fn avro(schema: &str) -> RegisterRequest {
    RegisterRequest::avro(schema)
}

fn version(number: i32) -> Version {
    Version::new(number).unwrap()
}

async fn start() -> (TestServer, RegistryClient) {
    let server = TestServer::start().await;
    let client = RegistryClient::new(&server.url).unwrap();
    (server, client)
}

async fn register(client: &RegistryClient, subject: &str, request: &RegisterRequest) -> i32 {
    let options = RegisterOptions::default();
    let registered = client.register(subject, request, options).await.unwrap();
    registered.id.unwrap().get()
}

/// A schema that refers to `MONEY` under the subject `money`.
fn payment() -> RegisterRequest {
    RegisterRequest {
        references: Some(vec![ReferenceRequest {
            name: Some("n.Money".to_owned()),
            subject: Some("money".to_owned()),
            version: Some(1),
        }]),
        ..avro(r#"{"type":"record","name":"P","fields":[{"name":"m","type":"n.Money"}]}"#)
    }
}

#[tokio::test]
async fn schemas_are_read_by_id_and_guid() {
    let (_server, client) = start().await;
    assert_eq!(register(&client, "money", &avro(MONEY)).await, 1);
    let id = schema_id(register(&client, "pay/ments", &payment()).await);
    let options = SchemaOptions {
        subject: Some("pay/ments"),
        max_id: true,
        ..SchemaOptions::default()
    };
    let schema = client.schema(id, options).await.unwrap();
    assert_eq!(schema.subject.as_deref(), Some("pay/ments"));
    assert_eq!(
        (schema.max_id, schema.version),
        (Some(id), Some(version(1)))
    );
    assert_eq!(schema.references[0].version, version(1));
    let resolved = client
        .schema_text(id, None, Format::Resolved)
        .await
        .unwrap();
    assert!(resolved.contains("fixed"), "{resolved}");
    let stored = client.schema_text(id, None, Format::Stored).await.unwrap();
    assert_eq!(stored, schema.schema);

    let all = Page::default();
    let subjects = client.schema_subjects(id, None, false, all).await.unwrap();
    assert_eq!(subjects, ["pay/ments"]);
    let places = client.schema_versions(id, None, false, all).await.unwrap();
    assert_eq!(places[0].version, version(1));
    let guid = schema.guid.unwrap();
    let by_guid = client.schema_by_guid(&guid, Format::Stored).await.unwrap();
    assert_eq!(by_guid.schema, schema.schema);
    assert_eq!(client.ids_by_guid(&guid).await.unwrap()[0].id, id);
    let listed = SchemasOptions {
        subject_prefix: Some("mon"),
        ..SchemasOptions::default()
    };
    let listed = client.schemas(listed).await.unwrap();
    assert_eq!(listed[0].schema, MONEY);
    assert_eq!(client.schema_types().await.unwrap().len(), 3);
    let page = Page {
        offset: 1,
        limit: Some(1),
    };
    let page = client.subjects(None, Deleted::Exclude, page).await.unwrap();
    assert_eq!(page, ["pay/ments"]);
    let referrers = client.referenced_by("money", LATEST, false, all).await;
    assert_eq!(referrers.unwrap(), [id]);
}

#[tokio::test]
async fn versions_are_registered_checked_and_deleted() {
    let (_server, client) = start().await;
    register(&client, "s", &avro("\"int\"")).await;
    let dry_run = RegisterOptions {
        dry_run: true,
        ..RegisterOptions::default()
    };
    let tried = client
        .register("s", &avro("\"long\""), dry_run)
        .await
        .unwrap();
    assert_eq!(tried.version, Some(version(2)));
    register(&client, "s", &avro("\"long\"")).await;
    let found = client
        .look_up("s", &avro("\"int\""), LookupOptions::default())
        .await
        .unwrap();
    assert_eq!(found.version, Some(version(1)));
    let latest = client.version("s", LATEST, VersionOptions::default()).await;
    assert_eq!(latest.unwrap().schema, "\"long\"");
    let text = client
        .version_text("s", version(1), false, Format::Stored)
        .await;
    assert_eq!(text.unwrap(), "\"int\"");

    let verbose = CompatibilityOptions {
        verbose: true,
        ..CompatibilityOptions::default()
    };
    let checked = client
        .check_compatibility("s", &avro("\"string\""), verbose)
        .await
        .unwrap();
    assert!(!checked.is_compatible && !checked.messages.unwrap().is_empty());
    let checked = client
        .check_version_compatibility("s", version(1), &avro("\"long\""), verbose)
        .await
        .unwrap();
    assert!(checked.is_compatible);
    let tags = serde_json::from_str::<TagRequest>(r#"{"metadata":{"properties":{"a":"b"}}}"#);
    let tagged = client
        .update_tags("s", LATEST, &tags.unwrap())
        .await
        .unwrap();
    assert_eq!(tagged.version, Some(version(3)));
    let found = client
        .version_with_metadata("s", &[("a", "b")], false, Format::Stored)
        .await
        .unwrap();
    assert_eq!(found.version, Some(version(3)));

    let deleted = client
        .delete_version("s", version(1), DeleteMode::Soft)
        .await;
    assert_eq!(deleted.unwrap(), version(1));
    let only = client.versions("s", Deleted::Only, Page::default()).await;
    assert_eq!(only.unwrap(), [version(1)]);
    let history = client.history("s", Page::default()).await.unwrap();
    assert!(history[0].deleted && history[0].created_at_ms == NOW_MS);
    let restored = client.undelete("s", version(1), true).await.unwrap();
    assert_eq!(restored.version, Some(version(1)));
    client.delete_subject("s", DeleteMode::Soft).await.unwrap();
    let gone = client.delete_subject("s", DeleteMode::Permanent).await;
    assert_eq!(gone.unwrap(), [1, 2, 3].map(version));
}

#[tokio::test]
async fn settings_and_contexts_are_changed() {
    let (_server, client) = start().await;
    register(&client, ":.c:s", &avro("\"int\"")).await;
    assert_eq!(
        client.contexts(None, Page::default()).await.unwrap(),
        [".", ".c"]
    );
    let error = client.delete_context(".c").await.unwrap_err();
    assert!(error.is(ErrorCode::ContextNotEmpty), "{error}");
    client.delete_context(".none").await.unwrap();

    let full = StoredConfigBody {
        compatibility: Some(CompatibilityLevel::Full),
        ..StoredConfigBody::default()
    };
    for subject in [None, Some("s")] {
        assert_eq!(client.set_config(subject, &full).await.unwrap(), full);
        let config = client.config(subject, false).await.unwrap();
        assert_eq!(config.compatibility_level, CompatibilityLevel::Full);
        client.delete_config(subject).await.unwrap();
        client
            .set_mode(subject, Some(Mode::Readonly), false)
            .await
            .unwrap();
        assert_eq!(
            client.mode(subject, false).await.unwrap(),
            Some(Mode::Readonly)
        );
        assert_eq!(
            client.delete_mode(subject, false).await.unwrap(),
            Some(Mode::Readonly)
        );
    }
    let none = client.config(Some("s"), false).await.unwrap_err();
    assert!(none.is(ErrorCode::SubjectConfigNotFound), "{none}");
    assert!(client.config(Some("s"), true).await.is_ok(), "inherited");
}

#[tokio::test]
async fn server_information_and_associations_are_read() {
    let (_server, client) = start().await;
    client.ping().await.unwrap();
    assert!(client.cluster_id().await.unwrap().scope.clusters.len() == 2);
    assert!(!client.build().await.unwrap().version.is_empty());
    assert!(client.deployment().await.unwrap().attributes.is_empty());
    let all = avouch_registry_api::client::AssociationOptions::default();
    assert!(
        client
            .subject_associations("s", all)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        client
            .resource_associations("r", all)
            .await
            .unwrap()
            .is_empty()
    );
    let named = client.named_resource_associations("ns", "topic", all).await;
    assert!(named.unwrap().is_empty());
}

#[tokio::test]
async fn plans_apply_completely_or_not_at_all() {
    let (_server, client) = start().await;
    let step = |schema: &str| PlanStepRequest {
        subject: "s".to_owned(),
        schema: avro(schema),
        ..PlanStepRequest::default()
    };
    let plan = |schemas: &[&str]| PlanRequest {
        subjects: schemas.iter().map(|schema| step(schema)).collect(),
    };
    let planned = client
        .plan(&plan(&["\"int\"", "\"string\""]))
        .await
        .unwrap();
    assert!(!planned.applicable);
    let rejected = client
        .apply(&plan(&["\"int\"", "\"string\""]))
        .await
        .unwrap();
    let ApplyOutcome::Rejected(rejected) = rejected else {
        panic!("{rejected:?}");
    };
    assert_eq!(rejected.error.error_code, 40901);
    let applied = client.apply(&plan(&["\"int\"", "\"long\""])).await.unwrap();
    assert!(matches!(applied, ApplyOutcome::Applied(plan) if plan.steps.len() == 2));
    let seq = client.changes(0, Duration::ZERO).await.unwrap().seq;
    assert!(seq > 0);
}

#[tokio::test]
async fn export_moves_a_registry() {
    let (_server, client) = start().await;
    for number in 0..50 {
        register(&client, &format!("s{number}"), &avro("\"int\"")).await;
    }
    let mut export = client.export().await.unwrap();
    let mut records = Vec::new();
    while let Some(record) = export.next().await.unwrap() {
        records.push(record);
    }
    assert_eq!(records.len(), 51, "a context and its versions");
    let (_other_server, other) = start().await;
    let rejected = other.import(records.clone()).await.unwrap_err();
    assert!(rejected.is(ErrorCode::NotPermitted), "{rejected}");
    other
        .set_mode(None, Some(Mode::Import), false)
        .await
        .unwrap();
    assert_eq!(other.import(records).await.unwrap(), 51);
    let subjects = other
        .subjects(None, Deleted::Exclude, Page::default())
        .await;
    assert_eq!(subjects.unwrap().len(), 50);
}

#[tokio::test]
async fn rejections_carry_code_message_and_findings() {
    let (_server, client) = start().await;
    register(&client, "s", &avro("\"int\"")).await;
    let explain = RegisterOptions {
        explain: true,
        ..RegisterOptions::default()
    };
    let error = client
        .register("s", &avro("\"string\""), explain)
        .await
        .unwrap_err();
    assert!(error.is(ErrorCode::Incompatible));
    let ClientError::Rejected(rejection) = error else {
        panic!("{error}");
    };
    assert_eq!(rejection.status, 409);
    assert_eq!(rejection.body.findings[0].kind, "TYPE_MISMATCH");
    let missing = client
        .schema(schema_id(99), SchemaOptions::default())
        .await
        .unwrap_err();
    assert!(
        missing
            .to_string()
            .ends_with("/schemas/ids/99: Schema 99 not found (error code 40403)"),
        "{missing}"
    );
}

#[tokio::test]
async fn response_size_is_limited() {
    let (server, client) = start().await;
    register(&client, "s", &avro("\"int\"")).await;
    let small = RegistryClient::builder(&server.url)
        .max_response_bytes(64)
        .build()
        .unwrap();
    let error = small
        .schema(schema_id(1), SchemaOptions::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::TooLarge { max_bytes: 64, .. }),
        "{error}"
    );
    assert_eq!(
        small
            .subjects(None, Deleted::Exclude, Page::default())
            .await
            .unwrap(),
        ["s"]
    );
}

/// Accepts one request and responds with these bytes, then keeps the connection open.
async fn respond_with(response: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(connection.read(&mut request).await.unwrap() > 0);
        connection.write_all(response.as_bytes()).await.unwrap();
        let _closed_by_client = connection.read(&mut request).await;
    });
    url
}

#[tokio::test]
async fn slow_responses_time_out() {
    for response in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let url = respond_with(response).await;
        let timeout = Duration::from_millis(100);
        let client = RegistryClient::builder(&url)
            .timeout(timeout)
            .build()
            .unwrap();
        let error = client.build().await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout { .. }), "{error}");
    }
}

#[tokio::test]
async fn foreign_and_malformed_responses_are_errors() {
    let url = respond_with("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\n\r\nno\n").await;
    let error = RegistryClient::new(&url)
        .unwrap()
        .build()
        .await
        .unwrap_err();
    assert!(
        matches!(error, ClientError::Status { status: 502, .. }),
        "{error}"
    );
    let url = respond_with("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nno\n").await;
    let error = RegistryClient::new(&url)
        .unwrap()
        .build()
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Invalid { .. }), "{error}");
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", unused.local_addr().unwrap());
    drop(unused);
    let error = RegistryClient::new(&url).unwrap().ping().await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
}

/// Serves TLS with this certificate and forwards to the registry at `target`.
async fn serve_tls(certificate: &CertifiedKey<rcgen::KeyPair>, target: SocketAddr) -> u16 {
    let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(certificate.cert.der().to_vec())];
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that rejects the certificate ends the handshake.
                let Ok(mut connection) = acceptor.accept(connection).await else {
                    return;
                };
                let mut registry = TcpStream::connect(target).await.unwrap();
                let _closed = copy_bidirectional(&mut connection, &mut registry).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn https_requires_a_trusted_certificate() {
    let server = TestServer::start().await;
    let target = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let certificate = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let port = serve_tls(&certificate, target).await;
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, certificate.cert.pem()).unwrap();

    let trusting = |host: &str| {
        let builder = RegistryClient::builder(&format!("https://{host}:{port}"));
        builder.ca_file(&ca_file).build().unwrap()
    };
    let client = trusting("localhost");
    assert_eq!(register(&client, "s", &avro("\"int\"")).await, 1);

    let by_address = trusting("127.0.0.1").ping().await.unwrap_err();
    assert!(
        matches!(by_address, ClientError::Tls { .. }),
        "another name: {by_address}"
    );
    let untrusting = RegistryClient::new(&format!("https://localhost:{port}")).unwrap();
    let error = untrusting.ping().await.unwrap_err();
    assert!(matches!(error, ClientError::Tls { .. }), "{error:?}");
    let message = format!(
        "https://localhost:{port}/: TLS handshake failed: invalid peer certificate: UnknownIssuer"
    );
    assert_eq!(error.to_string(), message);
}
