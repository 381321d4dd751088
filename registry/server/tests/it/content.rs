//! Metadata, rules and tags of a schema, from the request, the previous version and the
//! configuration.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{INT_A, OPTIONAL_B, TestServer, record};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;

fn owner(name: &str) -> Value {
    json!({ "properties": { "owner": name } })
}

// Conformance: registry/rest-5
#[tokio::test]
async fn configuration_returns_all_stored_properties() {
    let server = TestServer::start().await;
    let rules = json!({ "domainRules": [
        { "name": "r", "kind": "CONDITION", "mode": "WRITE", "type": "CEL", "expr": "true" },
    ] });
    let everything = json!({
        "alias": "other", "aliasForDeks": "deks", "normalize": true, "validateFields": true,
        "validateNewSchemas": false, "validateRules": true, "compatibilityPolicy": "LENIENT",
        "compatibilityGroup": "major", "defaultMetadata": owner("a"),
        "overrideMetadata": owner("b"), "defaultRuleSet": rules, "overrideRuleSet": rules,
        "compatibility": "FULL",
    });
    let stored = server.ok(PUT, "/config/s", Some(everything.clone())).await;
    assert_eq!(stored, everything);
    let server = server.restart().await;
    let mut shown = everything;
    let level = shown
        .as_object_mut()
        .unwrap()
        .remove("compatibility")
        .unwrap();
    shown["compatibilityLevel"] = level;
    assert_eq!(server.get("/config/s").await, shown);
    let cleared = json!({ "alias": null, "overrideRuleSet": null, "compatibility": "NONE" });
    let left = server.ok(PUT, "/config/s", Some(cleared)).await;
    assert_eq!(left["compatibility"], "NONE");
    assert_eq!(
        (left.get("alias"), left.get("overrideRuleSet")),
        (None, None)
    );
    assert_eq!(left["compatibilityGroup"], "major");
    shown = server.delete("/config/s").await;
    assert_eq!(shown["compatibilityLevel"], "NONE");
    assert_eq!(server.rejected(GET, "/config/s", None).await.0, 40408);
}

// Conformance: registry/rule-8
#[tokio::test]
async fn alias_resolves_to_subject() {
    let server = TestServer::start().await;
    server.register("real", "\"int\"").await;
    let alias = Some(json!({ "alias": "real" }));
    server.ok(PUT, "/config/nick", alias).await;
    let found = server.get("/subjects/nick/versions/latest").await;
    assert_eq!(found["subject"], "real");
    assert_eq!(server.get("/subjects/nick/versions").await, json!([1]));
    assert_eq!(server.register("nick", "\"long\"").await, (2, 2));
    let by_id = server.get("/schemas/ids/1?subject=nick").await;
    assert_eq!(by_id["subject"], "real");
    let body = Some(json!({ "schema": "\"string\"" }));
    let path = "/compatibility/subjects/nick/versions/latest";
    let verdict = server.ok(POST, path, body).await;
    assert_eq!(
        verdict["is_compatible"], false,
        "the check goes to the real subject too"
    );
    assert_eq!(server.get("/subjects").await, json!(["real"]));
    assert_eq!(
        server.get("/config/nick").await["alias"],
        "real",
        "settings are the alias's own"
    );
    assert_eq!(server.delete("/subjects/nick").await, json!([1, 2]));
}

// Conformance: registry/rest-6
#[tokio::test]
async fn metadata_and_rules_are_merged() {
    let server = TestServer::start().await;
    let text = record(&[INT_A]);
    let first = json!({
        "schema": text, "metadata": owner("pay"),
        "ruleSet": { "domainRules": [{ "name": "a", "type": "CEL" }] },
    });
    server.register_body("s", first).await;
    let next = json!({ "schema": record(&[INT_A, OPTIONAL_B]) });
    let next = server.ok(POST, "/subjects/s/versions", Some(next)).await;
    assert_eq!(next["metadata"], owner("pay"), "from the version before");
    let read_in = json!({ "domainRules": [
        { "name": "a", "kind": "TRANSFORM", "mode": "WRITEREAD", "type": "CEL" },
    ] });
    assert_eq!(next["ruleSet"], read_in);

    let config = json!({
        "defaultMetadata": { "properties": { "owner": "default", "tier": "2" } },
        "overrideMetadata": { "properties": { "region": "eu" } },
        "overrideRuleSet": { "domainRules": [{ "name": "b", "type": "CEL" }] },
    });
    server.ok(PUT, "/config/s", Some(config)).await;
    let merged = json!({ "schema": text });
    let merged = server.ok(POST, "/subjects/s/versions", Some(merged)).await;
    let properties = json!({ "owner": "pay", "tier": "2", "region": "eu" });
    assert_eq!(merged["metadata"]["properties"], properties);
    assert_eq!(
        merged["ruleSet"]["domainRules"].as_array().map(Vec::len),
        Some(2)
    );
    let found = Some(json!({ "schema": text, "metadata": owner("pay") }));
    let found = server.ok(POST, "/subjects/s", found).await;
    assert_eq!(found["version"], 3, "completed as a registration would be");
    let path = "/subjects/s/metadata?key=region&value=eu&key=owner&value=pay";
    assert_eq!(server.get(path).await["version"], merged["version"]);
}

// Conformance: registry/rest-6
#[tokio::test]
async fn invalid_rule_sets_are_rejected_everywhere() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    let bad = json!({ "domainRules": [{ "name": "r", "type": "CEL", "mode": "UPGRADE" }] });
    let message = "Domain rules can only be WRITE, READ, WRITEREAD".to_owned();
    let calls = [
        (
            POST,
            "/subjects/s/versions",
            json!({ "schema": "\"int\"", "ruleSet": bad }),
        ),
        (
            POST,
            "/subjects/s/versions/1/tags",
            json!({ "ruleSet": bad }),
        ),
        (
            POST,
            "/subjects/s/versions/1/tags",
            json!({ "rulesToMerge": bad }),
        ),
        (PUT, "/config", json!({ "defaultRuleSet": bad })),
        (PUT, "/config/s", json!({ "overrideRuleSet": bad })),
    ];
    for (method, path, body) in calls {
        let rejected = server.rejected(method, path, Some(body)).await;
        assert_eq!(rejected, (42210, message.clone()), "{path}");
    }
    let both = json!({ "ruleSet": {}, "rulesToRemove": ["r"] });
    let rejected = server
        .rejected(POST, "/subjects/s/versions/1/tags", Some(both))
        .await;
    assert_eq!(rejected.0, 42210);
}

// Conformance: registry/rule-5
#[tokio::test]
async fn version_minus_one_is_stored_in_metadata() {
    let server = TestServer::start().await;
    let text = record(&[INT_A]);
    let body = json!({ "schema": text, "version": -1 });
    let path = "/subjects/s/versions";
    let first = server.ok(POST, path, Some(body.clone())).await;
    assert_eq!(first["metadata"]["properties"]["confluent:version"], "1");
    let again = server.ok(POST, path, Some(body)).await;
    assert_eq!(
        (&again["version"], &again["id"]),
        (&first["version"], &first["id"])
    );
    let plain = server
        .ok(POST, "/subjects/s", Some(json!({ "schema": text })))
        .await;
    assert_eq!(plain["version"], 1, "found without the note");
    assert_eq!(
        server.register("s", &text).await,
        (1, 1),
        "and registered without it"
    );
    let next = server
        .register_body("s", json!({ "schema": record(&[INT_A, OPTIONAL_B]) }))
        .await;
    let next = server
        .get(&format!("/subjects/s/versions/{}", next.1))
        .await;
    assert_eq!(
        next["metadata"]["properties"]["confluent:version"], "2",
        "kept up from then on"
    );
}

// Conformance: registry/rest-7
#[tokio::test]
async fn tags_are_added_with_or_without_registration() {
    let server = TestServer::start().await;
    let text = record(&[INT_A]);
    let tag = |path: &str, kind: &str, tag: &str| {
        let entity = json!({ "entityPath": path, "entityType": kind });
        json!([{ "schemaEntity": entity, "tags": [tag] }])
    };
    let body = json!({ "schema": text, "schemaTagsToAdd": tag("n.R.a", "sr_field", "PII") });
    let first = server.ok(POST, "/subjects/s/versions", Some(body)).await;
    let tagged = first["schema"].as_str().unwrap();
    assert!(tagged.contains(r#""confluent:tags":["PII"]"#), "{tagged}");

    let change = json!({
        "tagsToAdd": tag("n.R", "sr_record", "TABLE"),
        "tagsToRemove": tag("n.R.a", "sr_field", "PII"),
        "metadata": owner("pay"),
        "rulesToMerge": { "domainRules": [{ "name": "a", "type": "CEL" }] },
    });
    let path = "/subjects/s/versions/latest/tags";
    let second = server.ok(POST, path, Some(change)).await;
    assert_eq!(second["version"], 2);
    assert_eq!(second["metadata"]["properties"]["owner"], "pay");
    assert_eq!(second["metadata"]["properties"]["confluent:version"], "2");
    assert_eq!(second["ruleSet"]["domainRules"][0]["name"], "a");
    let shown = server.get("/subjects/s/versions/2?findTags=*").await;
    assert_eq!(shown["schemaTags"], tag("n.R", "sr_record", "TABLE"));

    let propagated = json!({ "schema": record(&[INT_A, OPTIONAL_B]), "propagateSchemaTags": true });
    let third = server
        .ok(POST, "/subjects/s/versions", Some(propagated))
        .await;
    let id = &third["id"];
    let shown = server
        .get(&format!("/schemas/ids/{id}?findTags=TABLE&findTags=X"))
        .await;
    assert_eq!(shown["schemaTags"], tag("n.R", "sr_record", "TABLE"));
    let shown = server.get(&format!("/schemas/ids/{id}?findTags=X")).await;
    assert_eq!(shown.get("schemaTags"), None);

    let nowhere = json!({ "schema": text, "schemaTagsToAdd": tag("n.Q", "sr_record", "X") });
    let (code, message) = server
        .rejected(POST, "/subjects/s/versions", Some(nowhere))
        .await;
    assert_eq!(code, 42201);
    assert!(
        message.ends_with("details: No matching path 'n.Q' found in the schema"),
        "{message}"
    );
    let dropped = json!({ "rulesToRemove": ["a"] });
    let fourth = server.ok(POST, path, Some(dropped)).await;
    assert_eq!(fourth["ruleSet"], json!({}), "empty lists are omitted");
}

// Conformance: registry/rule-2
#[tokio::test]
async fn inlined_references_equal_referencing_schema() {
    let server = TestServer::start().await;
    let money = r#"{"type":"record","name":"n.Money","fields":[{"name":"cents","type":"long"}]}"#;
    server.register("money", money).await;
    let order =
        r#"{"type":"record","name":"n.Order","fields":[{"name":"price","type":"n.Money"}]}"#;
    let body = json!({
        "schema": order,
        "references": [{ "name": "n.Money", "subject": "money", "version": -1 }],
    });
    server.register_body("order", body).await;
    let written_out = order.replace("\"n.Money\"", money);
    let found = server
        .ok(
            POST,
            "/subjects/order",
            Some(json!({ "schema": written_out })),
        )
        .await;
    assert_eq!(found["id"], 2);
    assert_eq!(server.register("order", &written_out).await, (2, 1));
}

// Conformance: registry/rule-8
#[tokio::test]
async fn listing_selects_by_alias_and_rule_type() {
    let server = TestServer::start().await;
    server.register("a", "\"int\"").await;
    let ruled = json!({
        "schema": "\"long\"", "ruleSet": { "domainRules": [{ "name": "r", "type": "CEL" }] },
    });
    server.register_body("b", ruled).await;
    let alias = Some(json!({ "alias": "a" }));
    server.ok(PUT, "/config/nick", alias).await;
    let subjects = |listed: Value| -> Vec<String> {
        let subject = |schema: &Value| schema["subject"].as_str().unwrap().to_owned();
        listed.as_array().unwrap().iter().map(subject).collect()
    };
    let table: [(&str, &[&str]); 7] = [
        ("/schemas?ruleType=", &["a", "b"]),
        ("/schemas?resourceType=topic&lifecycle=NONE", &["a", "b"]),
        ("/schemas?ruleType=CEL", &["b"]),
        ("/schemas?ruleType=CEL&offset=1", &[]),
        ("/schemas?aliases=true", &["a", "b"]),
        ("/schemas?aliases=true&subjectPrefix=nick", &["a"]),
        ("/schemas?subjectPrefix=nick", &[]),
    ];
    for (path, expected) in table {
        assert_eq!(subjects(server.get(path).await), expected, "{path}");
    }
    let listed = server.get("/schemas?aliases=true&limit=1").await;
    assert_eq!(listed[0]["aliases"], json!(["nick"]));
}
