//! The fast path for `GET /schemas/ids/{id}`: cached responses equal those of the route and are
//! current.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::server::TestServer;

/// An unknown parameter, with which a request does not take the fast path.
const ROUTED: &str = "routed=true";

async fn parts(response: Response) -> (u16, Vec<(String, String)>, String) {
    let status = response.status().as_u16();
    let headers = response.headers().iter();
    let mut headers: Vec<_> = headers
        .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (status, headers, response.text().await.unwrap())
}

async fn get(server: &TestServer, path: &str, accept: Option<&str>) -> Response {
    let request = reqwest::Client::new().get(format!("{}{path}", server.url));
    let request = match accept {
        Some(accept) => request.header("accept", accept),
        None => request,
    };
    request.send().await.unwrap()
}

// Conformance: registry/stores-11b
#[tokio::test]
async fn cached_response_equals_routed_response() {
    let server = TestServer::start().await;
    let tagged = json!({
        "schema": "\"int\"",
        "metadata": {"properties": {"owner": "\"a\" & b"}},
    });
    server.register_body("s", tagged).await;
    server.register("t", "\"long\"").await;
    server.register(":.c:u", "\"string\"").await;
    let nick = json!({"alias": "s"});
    server.ok(Method::PUT, "/config/nick", Some(nick)).await;
    let paths = [
        "/schemas/ids/1?",
        "/schemas/ids/01?",
        "/schemas/ids/1?subject=",
        "/schemas/ids/1?subject=s",
        "/schemas/ids/1?subject=s&subject=t",
        "/schemas/ids/1?fetchMaxId=false&subject=s",
        "/schemas/ids/1?fetchMaxId=true",
        "/schemas/ids/1?subject=nick",
        "/schemas/ids/1?subject=t",
        "/schemas/ids/1?subject=u",
        "/schemas/ids/1?subject=%3A.c%3A",
        "/schemas/ids/1?subject=:.c:u",
        "/schemas/ids/2?subject=none",
        "/schemas/ids/9?",
        "/schemas/ids/-1?",
        "/schemas/ids/x?",
        "/schemas/ids/2147483648?",
        "/schemas/ids/1/?",
        "/schemas/ids/?",
        "/schemas/ids/1/schema?",
    ];
    let accepts = [
        None,
        Some("application/json"),
        Some("text/html, */*;q=0.1"),
        Some("text/html"),
    ];
    for path in paths {
        for accept in accepts {
            let routed = get(&server, &format!("{path}&{ROUTED}"), accept).await;
            let routed = parts(routed).await;
            for _ in 0..2 {
                let cached = parts(get(&server, path, accept).await).await;
                assert_eq!(cached, routed, "{path} {accept:?}");
            }
        }
    }
}

// Conformance: registry/stores-11b
#[tokio::test]
async fn cached_response_is_current() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    let by_id = async |query: &str| server.get(&format!("/schemas/ids/1{query}")).await;
    let expect = async |query: &str, field: &str, expected: Value| {
        for _ in 0..2 {
            assert_eq!(by_id(query).await[field], expected, "{query} {field}");
        }
    };
    expect("", "deleted", json!(false)).await;
    expect("?subject=t", "subject", Value::Null).await;
    server.register("t", "\"int\"").await;
    expect("?subject=t", "subject", json!("t")).await;
    expect("?subject=nick", "subject", Value::Null).await;
    let nick = json!({"alias": "t"});
    server.ok(Method::PUT, "/config/nick", Some(nick)).await;
    expect("?subject=nick", "subject", json!("t")).await;
    for subject in ["s", "t"] {
        server.delete(&format!("/subjects/{subject}")).await;
    }
    expect("", "deleted", json!(true)).await;
    for subject in ["s", "t"] {
        let path = format!("/subjects/{subject}?permanent=true");
        server.delete(&path).await;
    }
    let (code, _) = server.rejected(Method::GET, "/schemas/ids/1", None).await;
    assert_eq!(code, 40403);
}

// Conformance: operation/5
#[tokio::test]
async fn cached_response_has_request_id() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    let too_long = "x".repeat(129);
    for path in ["/schemas/ids/1", "/schemas/ids/1?routed=true"] {
        for (sent, is_kept) in [
            ("deploy-42", true),
            ("two words", false),
            (&too_long, false),
        ] {
            let request = reqwest::Client::new().get(format!("{}{path}", server.url));
            let response = request.header("x-request-id", sent).send().await.unwrap();
            let id = response.headers()["x-request-id"].to_str().unwrap();
            assert_eq!(id == sent, is_kept, "{path}: {id}");
        }
    }
}
