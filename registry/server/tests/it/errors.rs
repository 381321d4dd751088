//! Error bodies of known and unknown routes, and the headers of all responses.

use reqwest::Method;
use serde_json::json;

use crate::server::TestServer;

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;

// Conformance: main-job/5b, registry/rest-2
#[tokio::test]
async fn unknown_routes_return_404_for_all_methods() {
    let server = TestServer::start().await;
    let expected = json!({ "error_code": 404, "message": "HTTP 404 Not Found" });
    let methods = [
        GET,
        POST,
        PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
    ];
    for method in methods {
        for path in [
            "/nothing",
            "/associations:batchGet",
            "/dek-registry/v1/keks",
        ] {
            let response = server.call(method.clone(), path, None).await;
            assert_eq!(response, (404, expected.clone()), "{method} {path}");
        }
    }
    for path in [
        "/schemas/ids/abc",
        "/schemas/ids/99999999999",
        "/subjects/a/b/c",
    ] {
        assert_eq!(
            server.call(GET, path, None).await,
            (404, expected.clone()),
            "{path}"
        );
    }
}

// Conformance: main-job/5b
#[tokio::test]
async fn associations_are_empty_lists() {
    let server = TestServer::start().await;
    let paths = [
        "/associations",
        "/associations?resourceName=t",
        "/associations/?resourceName=t&resourceType=topic",
        "/associations/subjects/s",
        "/associations/resources/default/topic?resourceType=topic",
        "/associations/resources/some-id",
    ];
    let nothing = json!({ "error_code": 404, "message": "HTTP 404 Not Found" });
    for path in paths {
        assert_eq!(server.get(path).await, json!([]), "{path}");
        for method in [POST, PUT, Method::DELETE] {
            let body = Some(json!({}));
            let response = server.call(method.clone(), path, body).await;
            assert_eq!(response, (404, nothing.clone()), "{method} {path}");
        }
    }
    // Serializers ask before their first schema, and stop after an error.
    server.registry.close().await;
    for path in paths {
        assert_eq!(server.get(path).await, json!([]), "{path} without database");
    }
}

/// Content type of the request, accepted content types, status.
// Conformance: registry/rest-2
#[tokio::test]
async fn unsupported_content_types_are_rejected() {
    let server = TestServer::start().await;
    let registry_type = "application/vnd.schemaregistry.v1+json";
    let table = [
        (registry_type, registry_type, 200),
        (
            "application/vnd.schemaregistry+json",
            "application/vnd.schemaregistry+json",
            200,
        ),
        ("application/json; charset=utf-8", "application/json", 200),
        ("application/octet-stream", "*/*", 200),
        (registry_type, "*", 200),
        (registry_type, "text/html, *; q=.2", 200),
        ("", "", 200),
        ("text/plain", "*/*", 415),
        ("application/xml", registry_type, 415),
        (registry_type, "text/html", 406),
        (registry_type, "text/html, application/*;q=0.1", 200),
    ];
    for (sent, accepted, expected) in table {
        let url = format!("{}/subjects/s/versions", server.url);
        let mut request = reqwest::Client::new()
            .post(url)
            .body(r#"{"schema":"\"int\""}"#);
        if !sent.is_empty() {
            request = request.header("Content-Type", sent);
        }
        if !accepted.is_empty() {
            request = request.header("Accept", accepted);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{sent} {accepted}");
        let body: serde_json::Value = response.json().await.unwrap();
        if expected != 200 {
            assert_eq!(body["error_code"], expected, "{sent} {accepted}");
        }
    }
}

// Conformance: registry/rest-2
#[tokio::test]
async fn known_routes_reject_other_methods() {
    let server = TestServer::start().await;
    let expected = json!({ "error_code": 405, "message": "HTTP 405 Method Not Allowed" });
    for (method, path) in [
        (PUT, "/subjects"),
        (POST, "/config"),
        (Method::PATCH, "/mode/s"),
    ] {
        let response = server.call(method.clone(), path, None).await;
        assert_eq!(response, (405, expected.clone()), "{method} {path}");
    }
}

// Conformance: registry/rest-2, registry/rule-16
#[tokio::test]
async fn missing_malformed_and_large_bodies_differ() {
    let server = TestServer::start_with(|config| config.body_bytes = 1_000).await;
    let huge = format!(r#"{{"schema":"{}"}}"#, "x".repeat(1_000));
    let routes = [
        (POST, "/subjects/s/versions"),
        (POST, "/subjects/s"),
        (POST, "/compatibility/subjects/s/versions/latest"),
        (PUT, "/config"),
        (PUT, "/mode/s"),
    ];
    let bodies = [
        ("", 422),
        ("null", 422),
        ("{\"schema\":", 400),
        ("[]", 400),
        (huge.as_str(), 413),
    ];
    for (method, path) in routes {
        for (body, expected) in bodies {
            let response = server
                .send(method.clone(), path, Some(body.to_owned()))
                .await;
            let status = response.status().as_u16();
            let response: serde_json::Value = response.json().await.unwrap();
            assert_eq!(u64::from(status), expected, "{path} {body:.20}: {response}");
            assert_eq!(response["error_code"], expected, "{path}");
        }
    }
}

/// One failing request per line, after the lines that explain the columns.
const ERRORS: &str = include_str!("errors.txt");

// Conformance: main-job/5b, registry/rest-1
#[tokio::test]
async fn errors_have_expected_code_and_message() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    let rows = ERRORS.lines().skip_while(|line| !line.is_empty()).skip(1);
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [call, body, code, message] = cells[..] else {
            panic!("{row}")
        };
        let (method, path) = call.split_once(' ').unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let body = (!body.is_empty()).then(|| serde_json::from_str(body).unwrap());
        let rejected = server.rejected(method, path.trim(), body).await;
        assert_eq!(rejected.0.to_string(), code, "{row}: {}", rejected.1);
        assert!(
            message.is_empty() || rejected.1 == message,
            "{row}: {}",
            rejected.1
        );
    }
}

// Conformance: registry/rule-14
#[tokio::test]
async fn invalid_schema_error_contains_parser_message() {
    let server = TestServer::start().await;
    let texts = [
        "",
        "nonsense",
        r#"{"type":"record","name":"R"}"#,
        r#"{"type":"record","name":"R-x","fields":[]}"#,
        r#"["int","int"]"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#,
        r#""unknown.Type""#,
    ];
    for text in texts {
        let body = Some(json!({ "schema": text }));
        let (code, message) = server.rejected(POST, "/subjects/s/versions", body).await;
        assert_eq!(code, 42201, "{text}: {message}");
        let is_expected = message == "Empty schema"
            || (message.starts_with("Invalid schema {subject=s,version=0,id=-1,guid=")
                && message.contains(" of type AVRO, details: "));
        assert!(is_expected, "{text}: {message}");
    }
}

// Conformance: registry/rest-3
#[tokio::test]
async fn responses_have_request_id_and_content_type() {
    let server = TestServer::start().await;
    let http = reqwest::Client::new();
    for path in [
        "/subjects",
        "/schemas/ids/99",
        "/nothing",
        "/schemas/ids/abc",
        "/",
    ] {
        let url = format!("{}{path}", server.url);
        let response = http
            .get(&url)
            .header("X-Request-ID", "abc-1")
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["x-request-id"], "abc-1", "{path}");
        let content_type = &response.headers()["content-type"];
        assert_eq!(
            content_type, "application/vnd.schemaregistry.v1+json",
            "{path}"
        );

        let other = http
            .get(&url)
            .header("Accept", "application/json")
            .send()
            .await
            .unwrap();
        assert_eq!(
            other.headers()["content-type"],
            "application/json",
            "{path}"
        );
        let id = other.headers()["x-request-id"].to_str().unwrap();
        assert_eq!(id.len(), 36, "{path}: a fresh id, {id}");
    }
}

#[tokio::test]
async fn metadata_endpoints_describe_registry() {
    let server = TestServer::start().await;
    let alone = server.get("/v1/metadata/id").await;
    assert_eq!(alone["scope"]["clusters"]["kafka-cluster"], "avouch");
    server.registry.serve_cluster("c1");
    assert_eq!(server.get("/").await, json!({}));
    assert_eq!(server.ok(POST, "/", None).await, json!({}));
    assert_eq!(server.get("/contexts").await, json!(["."]));
    let id = server.get("/v1/metadata/id").await;
    assert_eq!(id["scope"]["clusters"]["kafka-cluster"], "c1");
    assert_eq!(id["scope"]["path"], json!([]));
    let version = server.get("/v1/metadata/version").await;
    assert!(version["version"].is_string() && version["commitId"].is_string());
}

#[tokio::test]
async fn closed_store_is_error_50001() {
    let server = TestServer::start().await;
    server.registry.close().await;
    let body = Some(json!({ "schema": "\"int\"" }));
    for (method, path, body) in [
        (GET, "/subjects", None),
        (POST, "/subjects/s/versions", body),
    ] {
        let (code, message) = server.rejected(method, path, body).await;
        assert_eq!(code, 50001, "{path}");
        assert!(
            message.starts_with("Error while accessing the registry's store"),
            "{message}"
        );
    }
    assert_eq!(server.get("/").await, json!({}), "the process is alive");
}
