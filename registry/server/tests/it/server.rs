//! A running registry for the tests.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer};
use avouch_registry::{Database, Registry, RegistryConfig};
use avouch_registry_api::error::http_status;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Creation time of all versions.
pub(crate) const NOW_MS: i64 = 1_790_000_000_000;

/// A running registry with a temporary directory.
pub(crate) struct TestServer {
    pub(crate) registry: Registry,
    pub(crate) url: String,
    http: reqwest::Client,
    handle: ServerHandle,
    database: Database,
    directory: Option<TempDir>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut RegistryConfig)) -> Self {
        let mut config = RegistryConfig::default();
        change(&mut config);
        let directory = TempDir::new().unwrap();
        let database = Database::Sqlite(directory.path().join("registry.db"));
        Self::serve(database, Some(directory), config).await
    }

    /// Starts a node on an existing database.
    pub(crate) async fn start_on(database: Database) -> Self {
        Self::serve(database, None, RegistryConfig::default()).await
    }

    async fn serve(database: Database, directory: Option<TempDir>, config: RegistryConfig) -> Self {
        let config = RegistryConfig {
            clock: Arc::new(|| NOW_MS),
            ..config
        };
        let registry = Registry::open(&database, config).await.unwrap();
        let app_config = registry.app_config();
        let application = move || App::new().configure(app_config.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = HttpServer::new(application).workers(1).disable_signals();
        let server = server.listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            registry,
            url,
            http: reqwest::Client::new(),
            handle,
            database,
            directory,
        }
    }

    /// Restarts the registry on the same database.
    pub(crate) async fn restart(self) -> Self {
        self.handle.stop(true).await;
        self.registry.close().await;
        Self::serve(self.database, self.directory, RegistryConfig::default()).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<String>) -> Response {
        let url = format!("{}{path}", self.url);
        let request = self.http.request(method, url);
        let request = match body {
            Some(body) => request
                .header("content-type", "application/json")
                .body(body),
            None => request,
        };
        request.send().await.unwrap()
    }

    /// Returns status and JSON body of a response; null if the body is empty.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let response = self
            .send(method, path, body.map(|body| body.to_string()))
            .await;
        let status = response.status().as_u16();
        let body = response.text().await.unwrap();
        let body = if body.is_empty() { "null" } else { &body };
        (status, serde_json::from_str(body).unwrap())
    }

    /// Returns the body of a request that must succeed.
    pub(crate) async fn ok(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, response) = self.call(method.clone(), path, body).await;
        assert_eq!(status, 200, "{method} {path}: {response}");
        response
    }

    /// Returns error code and message of a request that must fail.
    pub(crate) async fn rejected(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u64, String) {
        let (status, response) = self.call(method.clone(), path, body).await;
        assert!(status >= 400, "{method} {path}: {status} {response}");
        let code = response["error_code"].as_u64().unwrap();
        let expected = http_status(u32::try_from(code).unwrap());
        assert_eq!(status, expected, "{method} {path}: {response}");
        (code, response["message"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ok(Method::GET, path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Value {
        self.ok(Method::DELETE, path, None).await
    }

    /// Registers an Avro schema and returns ID and version.
    pub(crate) async fn register(&self, subject: &str, schema: &str) -> (i64, i64) {
        self.register_body(subject, json!({ "schema": schema }))
            .await
    }

    pub(crate) async fn register_body(&self, subject: &str, body: Value) -> (i64, i64) {
        let path = format!("/subjects/{subject}/versions");
        let response = self.ok(Method::POST, &path, Some(body)).await;
        (
            response["id"].as_i64().unwrap(),
            response["version"].as_i64().unwrap(),
        )
    }

    pub(crate) async fn set_level(&self, subject: &str, level: &str) {
        let body = json!({ "compatibility": level });
        self.ok(Method::PUT, &format!("/config/{subject}"), Some(body))
            .await;
    }
}

/// Returns a record `n.R` with the given fields.
pub(crate) fn record(fields: &[&str]) -> String {
    let fields = fields.join(",");
    format!(r#"{{"type":"record","name":"R","namespace":"n","fields":[{fields}]}}"#)
}

pub(crate) const INT_A: &str = r#"{"name":"a","type":"int"}"#;
pub(crate) const STRING_A: &str = r#"{"name":"a","type":"string"}"#;
pub(crate) const OPTIONAL_B: &str = r#"{"name":"b","type":"int","default":0}"#;
pub(crate) const REQUIRED_B: &str = r#"{"name":"b","type":"int"}"#;
