//! The registry as curl sees it: status and JSON body.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::checkout;

/// Sends a request; the answer's status and body (`Null` if it is not JSON).
///
/// # Errors
/// When there is no answer.
pub fn request(
    url: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Value)> {
    let mut request = Client::new().request(method, format!("{url}{path}"));
    if let Some(body) = body {
        request = request
            .header("Content-Type", "application/vnd.schemaregistry.v1+json")
            .body(body.to_string());
    }
    let response = request.send()?;
    let status = response.status().as_u16();
    let text = response.text()?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// `GET path`.
///
/// # Errors
/// When there is no answer.
pub fn get(url: &str, path: &str) -> Result<(u16, Value)> {
    request(url, Method::GET, path, None)
}

/// Asks for a new version of `subject`; the answer's status and body.
///
/// # Errors
/// When there is no answer.
pub fn try_register(url: &str, subject: &str, schema: &str) -> Result<(u16, Value)> {
    let body = json!({ "schema": schema });
    let path = format!("/subjects/{subject}/versions");
    request(url, Method::POST, &path, Some(&body))
}

/// Registers a version of `subject`; its schema id.
///
/// # Errors
/// When it is refused.
pub fn register(url: &str, subject: &str, schema: &str) -> Result<u32> {
    let (status, body) = try_register(url, subject, schema)?;
    ensure!(status == 200, "{subject}: {status} {body}");
    let id = body["id"].as_u64().with_context(|| body.to_string())?;
    Ok(u32::try_from(id)?)
}

/// The text of a file of the checkout.
///
/// # Errors
/// When it cannot be read.
pub fn file(path: &str) -> Result<String> {
    std::fs::read_to_string(checkout().join(path)).with_context(|| path.to_owned())
}
