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
