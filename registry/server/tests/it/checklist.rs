//! Every method and path of Confluent's REST surface that has to do with Avro, in order, as data:
//! `checklist.txt` says what is asked and what must come back.

use reqwest::Method;
use serde_json::Value;

use crate::server::TestServer;

/// Stories, each on a registry of its own and in order.
const CHECKLIST: &str = include_str!("checklist.txt");

// Conformance: registry/rest-1, registry/rule-8, registry/rule-13
#[tokio::test]
async fn every_endpoint_answers_as_the_checklist_says() {
    let stories = CHECKLIST.split("\n== ").skip(1);
    let mut calls = 0;
    for story in stories {
        let (title, rows) = story.split_once('\n').unwrap();
        let server = TestServer::start().await;
        for row in rows.lines().filter(|row| !row.trim().is_empty()) {
            play(&server, title, row).await;
            calls += 1;
        }
    }
    assert!(calls > 150, "{calls}");
}

async fn play(server: &TestServer, title: &str, row: &str) {
    let cells: Vec<&str> = row.splitn(3, " | ").map(str::trim).collect();
    let [call, body, expected] = cells[..] else {
        panic!("{title}: not three cells: {row}")
    };
    let (method, path) = call.split_once(' ').unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let body = (!body.is_empty()).then(|| body.to_owned());
    let answer = server.send(method, path.trim(), body).await;
    let status = answer.status().as_u16();
    let text = answer.text().await.unwrap();
    let told: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let (first, rest) = expected.split_once(' ').unwrap_or((expected, ""));
    let place = format!("{title}: {row}\n  answered {status} {text}");
    if first == "200" {
        assert_eq!(status, 200, "{place}");
        expect(rest, &text, &told, &place);
    } else {
        let code: u64 = first.parse().unwrap();
        let digits = if code > 999 { code / 100 } else { code };
        assert_eq!(u64::from(status), digits, "{place}");
        assert_eq!(told["error_code"].as_u64(), Some(code), "{place}");
        assert_eq!(told["message"].as_str(), Some(rest), "{place}");
    }
}

/// `~` before an object asks for its properties only, `=` before a text for exactly that, and
/// nothing for anything.
fn expect(wanted: &str, text: &str, told: &Value, place: &str) {
    if let Some(raw) = wanted.strip_prefix('=') {
        assert_eq!(text, raw, "{place}");
    } else if let Some(part) = wanted.strip_prefix('~') {
        let part: Value = serde_json::from_str(part).expect(place);
        for (name, value) in part.as_object().unwrap() {
            assert_eq!(
                told.get(name).unwrap_or(&Value::Null),
                value,
                "{name} in {place}"
            );
        }
    } else if !wanted.is_empty() {
        let whole: Value = serde_json::from_str(wanted).expect(place);
        assert_eq!(told, &whole, "{place}");
    }
}
