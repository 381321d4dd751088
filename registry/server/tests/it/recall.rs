//! A schema by its id is told from memory before the request is routed: in the words of its route,
//! and as it is now.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::server::TestServer;

/// A parameter that nobody knows; with it a request takes its route.
const ROUTED: &str = "routed=true";

async fn told(answer: Response) -> (u16, Vec<(String, String)>, String) {
    let status = answer.status().as_u16();
    let headers = answer.headers().iter();
    let mut headers: Vec<_> = headers
        .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (status, headers, answer.text().await.unwrap())
}

async fn asked(server: &TestServer, path: &str, accept: Option<&str>) -> Response {
    let request = reqwest::Client::new().get(format!("{}{path}", server.url));
    let request = match accept {
        Some(accept) => request.header("accept", accept),
        None => request,
    };
    request.send().await.unwrap()
}

// Conformance: registry/stores-11b
#[tokio::test]
async fn an_answer_out_of_memory_is_the_routes_word_for_word() {
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
    let questions = [
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
        "/schemas/ids/2?subject=nobody",
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
    for question in questions {
        for accept in accepts {
            let routed = asked(&server, &format!("{question}&{ROUTED}"), accept).await;
            let routed = told(routed).await;
            for _ in 0..2 {
                let answer = told(asked(&server, question, accept).await).await;
                assert_eq!(answer, routed, "{question} {accept:?}");
            }
        }
    }
}

// Conformance: registry/stores-11b
#[tokio::test]
async fn an_answer_out_of_memory_tells_what_is_so_now() {
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
    let (code, _) = server.refused(Method::GET, "/schemas/ids/1", None).await;
    assert_eq!(code, 40403);
}

// Conformance: operation/5
#[tokio::test]
async fn an_answer_out_of_memory_has_the_callers_name_if_that_is_usable() {
    let server = TestServer::start().await;
    server.register("s", "\"int\"").await;
    let too_long = "x".repeat(129);
    for path in ["/schemas/ids/1", "/schemas/ids/1?routed=true"] {
        for (given, comes_back) in [
            ("deploy-42", true),
            ("two words", false),
            (&too_long, false),
        ] {
            let request = reqwest::Client::new().get(format!("{}{path}", server.url));
            let answer = request.header("x-request-id", given).send().await.unwrap();
            let name = answer.headers()["x-request-id"].to_str().unwrap();
            assert_eq!(name == given, comes_back, "{path}: {name}");
        }
    }
}
