//! Requests to the registry: typed through its client, or as status and JSON body.

use anyhow::{Context as _, Result};
use avouch_registry_api::client::{RegisterOptions, RegistryClient};
use avouch_registry_api::rest::RegisterRequest;
use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use tokio::runtime;

use crate::checkout;

/// Sends a request and returns the response's status and body (`Null` if it is not JSON).
///
/// # Errors
/// Fails if there is no response.
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

/// Sends `GET path`.
///
/// # Errors
/// Fails if there is no response.
pub fn get(url: &str, path: &str) -> Result<(u16, Value)> {
    request(url, Method::GET, path, None)
}

/// Sends a registration and returns the response's status and body.
///
/// # Errors
/// Fails if there is no response.
pub fn try_register(url: &str, subject: &str, schema: &str) -> Result<(u16, Value)> {
    let body = json!({ "schema": schema });
    let path = format!("/subjects/{subject}/versions");
    request(url, Method::POST, &path, Some(&body))
}

/// Registers a version of `subject` and returns its schema id.
///
/// # Errors
/// Fails if the registration is rejected.
pub fn register(url: &str, subject: &str, schema: &str) -> Result<u32> {
    let client = RegistryClient::new(url)?;
    let request = RegisterRequest::avro(schema);
    let registered = client.register(subject, &request, RegisterOptions::default());
    let registered = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(registered)?;
    let id = registered.id.context("the registry returned no id")?;
    Ok(u32::try_from(id.get())?)
}

/// Returns the content of a file of the checkout.
///
/// # Errors
/// Fails if the file cannot be read.
pub fn file(path: &str) -> Result<String> {
    std::fs::read_to_string(checkout().join(path)).with_context(|| path.to_owned())
}
