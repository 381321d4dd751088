//! The registry as a broker asks it: in the same process and over HTTP, with the same answers.

use std::future::ready;

use avouch_registry_api::remote::RemoteSource;
use avouch_registry_api::source::{SchemaSource, SubjectVersion};
use avouch_registry_api::types::{SchemaType, Version};
use serde_json::json;

use crate::schema_id;
use crate::server::TestServer;

const MONEY: &str = r#"{"type":"fixed","name":"Money","namespace":"n","size":8}"#;
const PAYMENT: &str = concat!(
    r#"{"type":"record","name":"Payment","namespace":"n","#,
    r#""fields":[{"name":"amount","type":"Money"}]}"#
);

async fn filled() -> TestServer {
    let server = TestServer::start().await;
    server.register("money", MONEY).await;
    let reference = json!({ "name": "n.Money", "subject": "money", "version": 1 });
    let payment = json!({ "schema": PAYMENT, "references": [reference] });
    server
        .register_body("pay%2Fments-value", payment.clone())
        .await;
    server.register_body("a", payment).await;
    server.delete("/subjects/a").await;
    server
}

#[tokio::test]
async fn both_sources_tell_the_same() {
    let server = filled().await;
    let local = server.registry.source();
    let remote = RemoteSource::new(&server.url).unwrap();
    let schema = local.schema(schema_id(2)).await.unwrap().unwrap();
    assert_eq!(schema.text, PAYMENT);
    assert_eq!(schema.references, [MONEY]);
    assert_eq!(schema.schema_type, SchemaType::Avro);
    let place = |subject: &str, deleted| SubjectVersion {
        subject: subject.to_owned(),
        version: Version::FIRST,
        deleted,
    };
    assert_eq!(
        schema.versions,
        [place("a", true), place("pay/ments-value", false)]
    );
    assert_eq!(remote.schema(schema_id(2)).await.unwrap().unwrap(), schema);
    for source in [local.as_ref(), &remote as &dyn SchemaSource] {
        assert_eq!(source.schema(schema_id(99)).await.unwrap(), None);
        assert!(source.subject_exists("pay/ments-value").await.unwrap());
        assert!(!source.subject_exists("a").await.unwrap(), "soft-deleted");
        assert!(!source.subject_exists("none").await.unwrap());
    }
}

#[tokio::test]
async fn a_remembered_answer_holds_only_while_nothing_changes() {
    let server = filled().await;
    let source = server.registry.source();
    assert_eq!(
        source
            .schema(schema_id(2))
            .await
            .unwrap()
            .unwrap()
            .versions
            .len(),
        2
    );
    let before = source.change_seq();
    assert_eq!(
        server.get("/v1/changes?since=0").await,
        json!({ "seq": before })
    );
    server.delete("/subjects/a?permanent=true").await;
    assert!(source.change_seq() > before);
    assert_eq!(
        source
            .schema(schema_id(2))
            .await
            .unwrap()
            .unwrap()
            .versions
            .len(),
        1
    );
    server.delete("/subjects/pay%2Fments-value").await;
    server
        .delete("/subjects/pay%2Fments-value?permanent=true")
        .await;
    assert_eq!(source.schema(schema_id(2)).await.unwrap(), None);
}

#[tokio::test]
async fn the_change_sequence_survives_a_restart_and_grows_only_with_changes() {
    let server = filled().await;
    let seq = server.registry.source().change_seq();
    server.register("money", MONEY).await;
    assert_eq!(
        server.registry.source().change_seq(),
        seq,
        "registered before"
    );
    let server = server.restart().await;
    assert_eq!(server.registry.source().change_seq(), seq);
    server.set_level("money", "NONE").await;
    assert!(server.registry.source().change_seq() > seq);
}

#[tokio::test]
async fn a_remote_source_hears_of_changes_and_of_a_registry_that_is_gone() {
    let server = filled().await;
    let remote = RemoteSource::new(&server.url).unwrap();
    assert_eq!(remote.change_seq(), 0);
    remote.poll_changes().await.unwrap();
    assert_eq!((remote.change_seq(), remote.reset_seq()), (1, 1));
    remote.poll_changes().await.unwrap();
    assert_eq!(remote.change_seq(), 1, "nothing changed");
    assert!(!remote.is_current() && server.registry.source().is_current());
    remote.follow_changes(ready(())).await;

    // Followed, a change is heard without asking.
    let before = remote.change_seq();
    let heard = async {
        while remote.change_seq() == before {
            tokio::task::yield_now().await;
        }
    };
    let change = async {
        server.set_level("money", "NONE").await;
        heard.await;
    };
    remote.follow_changes(change).await;
    assert_eq!(remote.change_seq(), before + 1);

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let gone = RemoteSource::new(&url).unwrap();
    assert!(gone.schema(schema_id(1)).await.is_err());
    assert!(gone.subject_exists("s").await.is_err());
    assert!(gone.poll_changes().await.is_err());
}
