//! Avouch's additions to Confluent's API: structured errors, dry runs, plans, undelete, histories.

use reqwest::Method;
use serde_json::json;

use crate::server::{INT_A, NOW_MS, REQUIRED_B, TestServer, record};

const POST: Method = Method::POST;

// Conformance: registry/v1-1
#[tokio::test]
async fn explained_error_has_both_locations() {
    let server = TestServer::start().await;
    server.register("s", &record(&[INT_A])).await;
    let text = record(&[INT_A, REQUIRED_B]);
    let body = Some(json!({ "schema": text }));
    let terse = server
        .call(POST, "/subjects/s/versions", body.clone())
        .await;
    assert_eq!(terse.1.get("findings"), None, "nobody asked");
    let (status, response) = server
        .call(POST, "/subjects/s/versions?explain=true", body.clone())
        .await;
    assert_eq!((status, &response["error_code"]), (409, &json!(40901)));
    let finding = &response["findings"][0];
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
    assert_eq!(verdict["findings"], response["findings"]);
}

// Conformance: registry/v1-2
#[tokio::test]
async fn failed_lookup_returns_closest_version() {
    let server = TestServer::start().await;
    server.set_level("s", "NONE").await;
    server.register("s", "\"string\"").await;
    server.register("s", &record(&[INT_A])).await;
    let text = record(&[r#"{"name":"a","type":{"type":"int","avro.java.string":"String"}}"#]);
    let body = Some(json!({ "schema": text }));
    let (status, response) = server
        .call(POST, "/subjects/s?explain=true", body.clone())
        .await;
    assert_eq!((status, &response["error_code"]), (404, &json!(40403)));
    let closest = &response["closest"];
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

// Conformance: registry/v1-3
#[tokio::test]
async fn dry_run_writes_nothing() {
    let server = TestServer::start().await;
    let body = Some(json!({ "schema": record(&[INT_A]) }));
    let path = "/subjects/s/versions";
    let trial = server
        .ok(POST, "/subjects/s/versions?dryRun=true", body.clone())
        .await;
    assert_eq!((&trial["id"], &trial["version"]), (&json!(1), &json!(1)));
    assert_eq!(server.get("/subjects").await, json!([]));
    assert_eq!(server.ok(POST, path, body).await, trial);
    let bad = Some(json!({ "schema": record(&[INT_A, REQUIRED_B]) }));
    let rejected = server
        .rejected(POST, "/subjects/s/versions?dryRun=true", bad)
        .await;
    assert_eq!(rejected.0, 40901);
}

// Conformance: registry/v1-3
#[tokio::test]
async fn plan_is_applied_atomically() {
    let server = TestServer::start().await;
    server.register("old", "\"int\"").await;
    let money = r#"{"type":"record","name":"n.Money","fields":[]}"#;
    let good = json!([
        { "subject": "money", "schema": money },
        { "subject": "order", "schema": r#"["null","n.Money"]"#,
          "references": [{ "name": "n.Money", "subject": "money", "version": 1 }] },
        { "subject": "old", "schema": "\"int\"" },
    ]);
    let actions = |plan: &serde_json::Value| -> Vec<String> {
        let steps = plan["steps"].as_array().unwrap();
        let action = |step: &serde_json::Value| step["action"].as_str().unwrap().to_owned();
        steps.iter().map(action).collect()
    };
    let mut bad = good.clone();
    bad[2]["schema"] = json!("\"string\"");
    let plan = server
        .ok(POST, "/v1/plan", Some(json!({ "subjects": bad })))
        .await;
    assert_eq!(actions(&plan), ["REGISTER", "REGISTER", "REFUSED"]);
    assert_eq!(
        (&plan["applicable"], &plan["applied"]),
        (&json!(false), &json!(false))
    );
    let error = &plan["steps"][2]["error"];
    assert_eq!(error["error_code"], 40901);
    assert_eq!(error["findings"][0]["kind"], "TYPE_MISMATCH");
    let (status, rejected) = server
        .call(POST, "/v1/apply", Some(json!({ "subjects": bad })))
        .await;
    assert_eq!((status, &rejected["error_code"]), (409, &json!(40901)));
    let message = rejected["message"].as_str().unwrap();
    let returned = "nothing was registered: schema 3 of 3, subject old: Schema being registered";
    assert!(message.starts_with(returned), "{message}");
    assert_eq!(server.get("/subjects").await, json!(["old"]), "nothing was");

    let plan = server
        .ok(POST, "/v1/plan", Some(json!({ "subjects": good })))
        .await;
    assert_eq!(actions(&plan), ["REGISTER", "REGISTER", "EXISTING"]);
    assert_eq!(
        server.get("/subjects").await,
        json!(["old"]),
        "only planned"
    );
    let applied = server
        .ok(POST, "/v1/apply", Some(json!({ "subjects": good })))
        .await;
    assert_eq!(
        (&applied["applied"], actions(&applied)),
        (&json!(true), actions(&plan))
    );
    assert_eq!(
        server.get("/subjects").await,
        json!(["money", "old", "order"])
    );
    let empty = server.rejected(POST, "/v1/apply", Some(json!({}))).await;
    assert_eq!(empty.0, 400);
}

// Conformance: registry/v1-4
#[tokio::test]
async fn undelete_restores_version_number() {
    let server = TestServer::start().await;
    server.register("s", &record(&[INT_A])).await;
    server.delete("/subjects/s/versions/1").await;
    let path = "/v1/subjects/s/versions/1/undelete";
    let back = server.ok(POST, path, None).await;
    assert_eq!(
        (&back["version"], &back["deleted"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(server.get("/subjects/s/versions").await, json!([1]));
    assert_eq!(
        server.ok(POST, path, None).await,
        back,
        "again changes nothing"
    );

    server.delete("/subjects/s/versions/1").await;
    server.register("s", "\"string\"").await;
    assert_eq!(
        server.rejected(POST, path, None).await.0,
        40901,
        "it breaks what came since"
    );
    server.ok(POST, &format!("{path}?force=true"), None).await;
    assert_eq!(server.get("/subjects/s/versions").await, json!([1, 2]));
    let table = [
        ("/v1/subjects/s/versions/9/undelete", 40402),
        ("/v1/subjects/s/versions/latest/undelete", 42202),
        ("/v1/subjects/x/versions/1/undelete", 40401),
    ];
    for (path, code) in table {
        assert_eq!(server.rejected(POST, path, None).await.0, code, "{path}");
    }
}

// Conformance: registry/v1-4
#[tokio::test]
async fn history_has_creation_times() {
    let server = TestServer::start().await;
    let (id, _) = server.register("s", "\"int\"").await;
    server.delete("/subjects/s/versions/1").await;
    let history = server.get("/v1/subjects/s/versions").await;
    let guid = server.get(&format!("/schemas/ids/{id}")).await["guid"].clone();
    let expected = json!([{
        "subject": "s", "version": 1, "id": id, "guid": guid, "schemaType": "AVRO",
        "deleted": true, "createdAtMs": NOW_MS,
    }]);
    assert_eq!(history, expected);
    let unknown = server
        .rejected(Method::GET, "/v1/subjects/x/versions", None)
        .await;
    assert_eq!(unknown.0, 40401);
}
