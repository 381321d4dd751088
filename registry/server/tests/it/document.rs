//! The OpenAPI document, compared with the running router.

use reqwest::Method;

use crate::server::TestServer;

/// Every documented operation is routed; a method that a path lacks gets 405.
// Conformance: registry/rest-4
#[tokio::test]
async fn router_serves_exactly_documented_operations() {
    let server = TestServer::start().await;
    let document = serde_json::to_value(avouch_registry::document()).unwrap();
    let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE];
    let mut operations = 0;
    for (path, documented) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "1").replace("{version}", "1");
        let path: String = path.replace(['{', '}'], "");
        for method in &methods {
            let (status, response) = server.call(method.clone(), &path, None).await;
            let name = method.as_str().to_ascii_lowercase();
            let routed = status != 405 && response["message"] != "HTTP 404 Not Found";
            assert_eq!(
                routed,
                documented.get(&name).is_some(),
                "{method} {path}: {response}"
            );
            operations += usize::from(routed);
        }
    }
    assert!(operations > 30, "{operations}");
}

/// Each operation, called without a body, responds with a documented status and error code.
// Conformance: registry/rest-4
#[tokio::test]
async fn error_responses_are_documented() {
    let server = TestServer::start().await;
    let document = serde_json::to_value(avouch_registry::document()).unwrap();
    for (path, documented) in document["paths"].as_object().unwrap() {
        let concrete = path
            .replace("{id}", "1")
            .replace("{version}", "0")
            .replace(['{', '}'], "");
        let operations = documented.as_object().unwrap();
        for (name, operation) in operations {
            let method = Method::from_bytes(name.to_ascii_uppercase().as_bytes()).unwrap();
            let (status, response) = server.call(method, &concrete, None).await;
            let description = &operation["responses"][status.to_string()]["description"];
            let code = format!("`error_code` {}:", response["error_code"]);
            let lists = |all: &str| status < 300 || all.contains(&code);
            let is_documented = description.as_str().is_some_and(lists);
            assert!(
                is_documented,
                "{name} {path}: {status} {response} not in {description}"
            );
        }
    }
}

/// Every path responds with a trailing slash as without, and to HEAD as to GET.
// Conformance: registry/rest-17
#[tokio::test]
async fn trailing_slash_and_head_are_served_everywhere() {
    let server = TestServer::start().await;
    server.register("subject", "\"int\"").await;
    let document = serde_json::to_value(avouch_registry::document()).unwrap();
    let mut paths = 0;
    for (path, documented) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "1").replace("{version}", "1");
        let path: String = path.replace(['{', '}'], "");
        for in_context in ["", "/contexts/:.:"] {
            let path = format!("{in_context}{path}");
            // Deletions last: they change the responses of the others.
            for name in ["get", "post", "put", "delete"] {
                if documented.get(name).is_none() {
                    continue;
                }
                let method = Method::from_bytes(name.to_ascii_uppercase().as_bytes()).unwrap();
                let plain = server.call(method.clone(), &path, None).await;
                let slash = format!("{}/", path.trim_end_matches('/'));
                let slashed = server.call(method.clone(), &slash, None).await;
                // A deletion that succeeded is not repeated.
                if method != Method::DELETE || plain.0 >= 400 {
                    assert_eq!(slashed, plain, "{method} {slash}");
                }
                paths += 1;
            }
            let get = server.send(Method::GET, &path, None).await;
            let head = server.send(Method::HEAD, &path, None).await;
            assert_eq!(head.status(), get.status(), "HEAD {path}");
            if documented.get("get").is_some() {
                let content_type =
                    |response: &reqwest::Response| response.headers().get("content-type").cloned();
                assert_ne!(head.status(), 405, "HEAD {path}");
                assert_eq!(content_type(&head), content_type(&get), "HEAD {path}");
            }
            assert!(head.bytes().await.unwrap().is_empty(), "HEAD {path}");
        }
    }
    assert!(paths > 100, "{paths}");
}
