//! Every method and path of Confluent's REST API for Avro, as data: `checklist.txt` has requests
//! and expected responses.

use reqwest::Method;
use serde_json::Value;

use crate::server::TestServer;

/// Scenarios, each of which runs on a new registry, in order.
const CHECKLIST: &str = include_str!("checklist.txt");

// Conformance: registry/rest-1, registry/rule-8, registry/rule-13
#[tokio::test]
async fn endpoints_respond_as_in_checklist() {
    let scenarios = CHECKLIST.split("\n== ").skip(1);
    let mut calls = 0;
    for scenario in scenarios {
        let (title, rows) = scenario.split_once('\n').unwrap();
        let server = TestServer::start().await;
        for row in rows.lines().filter(|row| !row.trim().is_empty()) {
            run(&server, title, row).await;
            calls += 1;
        }
    }
    assert!(calls > 150, "{calls}");
}

async fn run(server: &TestServer, title: &str, row: &str) {
    let cells: Vec<&str> = row.splitn(3, " | ").map(str::trim).collect();
    let [call, body, expected] = cells[..] else {
        panic!("{title}: not three cells: {row}")
    };
    let (method, path) = call.split_once(' ').unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let body = (!body.is_empty()).then(|| body.to_owned());
    let response = server.send(method, path.trim(), body).await;
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let json: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let (first, rest) = expected.split_once(' ').unwrap_or((expected, ""));
    let place = format!("{title}: {row}\n  responded {status} {text}");
    if first == "200" {
        assert_eq!(status, 200, "{place}");
        expect(rest, &text, &json, &place);
    } else {
        let code: u64 = first.parse().unwrap();
        let digits = if code > 999 { code / 100 } else { code };
        assert_eq!(u64::from(status), digits, "{place}");
        assert_eq!(json["error_code"].as_u64(), Some(code), "{place}");
        assert_eq!(json["message"].as_str(), Some(rest), "{place}");
    }
}

/// Checks a body. `~` before an object compares its properties only, `=` compares the exact text,
/// and an empty expectation matches any body.
fn expect(wanted: &str, text: &str, json: &Value, place: &str) {
    if let Some(raw) = wanted.strip_prefix('=') {
        assert_eq!(text, raw, "{place}");
    } else if let Some(part) = wanted.strip_prefix('~') {
        let part: Value = serde_json::from_str(part).expect(place);
        for (name, value) in part.as_object().unwrap() {
            assert_eq!(
                json.get(name).unwrap_or(&Value::Null),
                value,
                "{name} in {place}"
            );
        }
    } else if !wanted.is_empty() {
        let whole: Value = serde_json::from_str(wanted).expect(place);
        assert_eq!(json, &whole, "{place}");
    }
}
