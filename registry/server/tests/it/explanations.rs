//! What the registry says on request beyond Confluent's words.

use reqwest::Method;
use serde_json::json;

use crate::server::{INT_A, REQUIRED_B, TestServer, record};

const POST: Method = Method::POST;

#[tokio::test]
async fn an_incompatible_schema_is_explained_in_parts_with_both_places() {
    let server = TestServer::start().await;
    server.register("s", &record(&[INT_A])).await;
    let text = record(&[INT_A, REQUIRED_B]);
    let body = Some(json!({ "schema": text }));
    let terse = server
        .call(POST, "/subjects/s/versions", body.clone())
        .await;
    assert_eq!(terse.1.get("findings"), None, "nobody asked");
    let (status, answer) = server
        .call(POST, "/subjects/s/versions?explain=true", body.clone())
        .await;
    assert_eq!((status, &answer["error_code"]), (409, &json!(40901)));
    let finding = &answer["findings"][0];
    assert_eq!(finding["kind"], "READER_FIELD_MISSING_DEFAULT_VALUE");
    assert_eq!(
        (&finding["version"], &finding["direction"]),
        (&json!(1), &json!("BACKWARD"))
    );
    let at = |end: &str| usize::try_from(finding["new"][end].as_u64().unwrap()).unwrap();
    assert_eq!(&text[at("start")..at("end")], REQUIRED_B);
    assert!(
        finding["suggestion"].as_str().unwrap().contains("default"),
        "{finding}"
    );
    let path = "/compatibility/subjects/s/versions?explain=true";
    let verdict = server.ok(POST, path, body).await;
    assert_eq!(verdict["is_compatible"], false);
    assert_eq!(verdict["findings"], answer["findings"]);
}

#[tokio::test]
async fn a_look_up_that_almost_matched_says_what_differs() {
    let server = TestServer::start().await;
    server.set_level("s", "NONE").await;
    server.register("s", "\"string\"").await;
    server.register("s", &record(&[INT_A])).await;
    let text = record(&[r#"{"name":"a","type":{"type":"int","avro.java.string":"String"}}"#]);
    let body = Some(json!({ "schema": text }));
    let (status, answer) = server
        .call(POST, "/subjects/s?explain=true", body.clone())
        .await;
    assert_eq!((status, &answer["error_code"]), (404, &json!(40403)));
    let closest = &answer["closest"];
    assert_eq!(
        (&closest["subject"], &closest["version"]),
        (&json!("s"), &json!(2))
    );
    let difference = closest["differences"][0].as_str().unwrap();
    assert!(difference.contains("/a"), "{difference}");
    let terse = server.call(POST, "/subjects/s", body).await;
    assert_eq!(
        terse.1,
        json!({ "error_code": 40403, "message": "Schema not found" })
    );
}
