//! Endpoints: handlers together with their OpenAPI documentation. Router and document are built
//! from the same list, so neither can have a route that the other lacks.

use std::fmt;
use std::rc::Rc;

use actix_web::guard::{GuardContext, fn_guard};
use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, Route};
use utoipa::__dev::{SchemaReferences, Tags};
use utoipa::openapi::path::{HttpMethod, Operation, Paths};
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::{Info, OpenApi, OpenApiBuilder, RefOr, Schema};

use crate::error::method_not_allowed;
use crate::traced::traced;

/// A handler, the methods and the path that it serves, and its documentation.
pub struct Endpoint {
    path: String,
    methods: Vec<HttpMethod>,
    operation: Operation,
    /// Schemas that the operation's bodies refer to, by name.
    schemas: Vec<(String, RefOr<Schema>)>,
    /// Creates a route to the handler; a route cannot be cloned.
    route: fn() -> Route,
}

/// Lists handlers that are annotated with `#[utoipa::path]` as [`Endpoint`]s. The handlers must be
/// in the module of the call, because the attribute generates a type beside each of them.
#[macro_export]
macro_rules! endpoints {
    [$($handler:ident),* $(,)?] => {
        $crate::__private::paste! {
            vec![$(
                $crate::Endpoint::new::<[<__path_ $handler>]>(|| {
                    $crate::__private::web::to($handler)
                })
            ),*]
        }
    };
}

impl Endpoint {
    /// Joins a handler with the documentation that `#[utoipa::path]` generated for it.
    #[doc(hidden)]
    #[must_use]
    pub fn new<D>(route: fn() -> Route) -> Self
    where
        D: utoipa::Path + SchemaReferences + for<'t> Tags<'t>,
    {
        let mut operation = D::operation();
        operation.tags = Some(D::tags().into_iter().map(str::to_owned).collect());
        let mut schemas = Vec::new();
        D::schemas(&mut schemas);
        Self {
            path: D::path(),
            methods: D::methods(),
            operation,
            schemas,
            route,
        }
    }

    fn route(&self) -> Route {
        let methods = self.methods.clone();
        // A guard and not `Route::method`, which has one method only; some paths share a handler.
        let has_method = move |context: &GuardContext<'_>| {
            let method = match context.head().method.as_str() {
                // The response to GET, whose body the server leaves out (RFC 9110, section 9.3.2).
                "HEAD" => "GET",
                method => method,
            };
            methods.iter().any(|served| name(served) == method)
        };
        (self.route)().guard(fn_guard(has_method))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods: Vec<&str> = self.methods.iter().map(name).collect();
        f.debug_struct("Endpoint")
            .field("path", &self.path)
            .field("methods", &methods)
            .finish_non_exhaustive()
    }
}

/// Returns one resource for each path, in the order of the list, with the path as its label. The
/// router tries them in this order. A path with GET also has HEAD; any other method that a path
/// does not have gets status 405.
pub fn resources(endpoints: &[Endpoint]) -> impl Iterator<Item = (Rc<str>, Resource)> {
    resources_with(endpoints, "")
}

fn resources_with<'a>(
    endpoints: &'a [Endpoint],
    suffix: &'a str,
) -> impl Iterator<Item = (Rc<str>, Resource)> + 'a {
    // A list and not a map: the router tries paths in this order.
    let mut by_path: Vec<(Rc<str>, Vec<&Endpoint>)> = Vec::new();
    for endpoint in endpoints {
        match by_path.iter_mut().find(|(path, _)| **path == endpoint.path) {
            Some((_, methods)) => methods.push(endpoint),
            None => by_path.push((endpoint.path.as_str().into(), vec![endpoint])),
        }
    }
    by_path.into_iter().map(move |(path, methods)| {
        let resource = web::resource(format!("{path}{suffix}"));
        let resource = resource.default_service(web::to(method_not_allowed));
        let add = |resource: Resource, endpoint: &Endpoint| resource.route(endpoint.route());
        (path, methods.into_iter().fold(resource, add))
    })
}

/// Adds the endpoints' routes to an application as one service, wrapped in [`traced`]. Every path
/// also works with a trailing slash.
pub fn mount(endpoints: &[Endpoint], application: &mut ServiceConfig) {
    let templates: Vec<Template> = endpoints
        .iter()
        .map(|endpoint| Template::new(&endpoint.path))
        .collect();
    // The router tries services in order. A request for a later one costs these comparisons and not
    // one attempt for each resource.
    let is_served = move |context: &GuardContext<'_>| {
        let path = context.head().uri.path();
        let path = path.strip_suffix('/').unwrap_or(path);
        templates.iter().any(|template| template.matches(path))
    };
    let mut scope = web::scope("").guard(fn_guard(is_served));
    for suffix in ["", "/"] {
        for (_, resource) in resources_with(endpoints, suffix) {
            scope = scope.service(resource);
        }
    }
    application.service(scope.wrap(from_fn(traced)));
}

/// The path of an endpoint, in which `{name}` represents one segment.
struct Template {
    path: String,
    /// Length of the part before the first parameter.
    literal_len: usize,
}

impl Template {
    fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            literal_len: path.find('{').unwrap_or(path.len()),
        }
    }

    fn matches(&self, path: &str) -> bool {
        path.starts_with(&self.path[..self.literal_len])
            && self.path.split('/').count() == path.split('/').count()
            && (self.path.split('/').zip(path.split('/')))
                .all(|(part, segment)| part.starts_with('{') || part == segment)
    }
}

/// Returns the OpenAPI document of the endpoints. `complete` receives path, method and operation of
/// each of them and adds what holds for all.
pub fn document(
    info: Info,
    endpoints: Vec<Endpoint>,
    complete: impl Fn(&str, &HttpMethod, &mut Operation),
) -> OpenApi {
    let mut paths = Paths::new();
    let mut components = ComponentsBuilder::new();
    for endpoint in endpoints {
        components = components.schemas_from_iter(endpoint.schemas);
        for method in endpoint.methods {
            let mut operation = endpoint.operation.clone();
            operation.operation_id = Some(operation_id(&endpoint.path, &method));
            complete(&endpoint.path, &method, &mut operation);
            paths.add_path_operation(&endpoint.path, vec![method], operation);
        }
    }
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(components.build()))
        .build()
}

/// Returns method and path as one identifier, such as `get_schemas_ids_id`.
fn operation_id(path: &str, method: &HttpMethod) -> String {
    let words = path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let method = name(method).to_ascii_lowercase();
    words.fold(method, |id, word| format!("{id}_{word}"))
}

/// Returns the method as HTTP spells it.
fn name(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Head => "HEAD",
        HttpMethod::Patch => "PATCH",
        HttpMethod::Trace => "TRACE",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::CONTENT_TYPE;
    use actix_web::http::{Method, StatusCode};
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use actix_web::web::Path;
    use actix_web::{App, HttpResponse};
    use serde_json::{Value, json};

    use super::*;
    use crate::error::{error_response, not_found};
    use crate::request_id::X_REQUEST_ID;

    /// Get an item
    #[utoipa::path(get, path = "/items/{number}", responses((status = 200)))]
    async fn item(number: Path<u8>) -> HttpResponse {
        match *number {
            0 => error_response(StatusCode::CONFLICT, "own message".to_owned()),
            1 => HttpResponse::InternalServerError().body("plain"),
            _ => HttpResponse::Ok().json(json!({"error_code": null})),
        }
    }

    /// Delete an item
    #[utoipa::path(delete, path = "/items/{number}", responses((status = 204)))]
    async fn delete_item() -> HttpResponse {
        HttpResponse::NoContent().finish()
    }

    fn items() -> Vec<Endpoint> {
        crate::endpoints![item, delete_item]
    }

    #[tokio::test]
    async fn error_responses_have_json_body() {
        let app = App::new()
            .configure(|application| mount(&items(), application))
            .default_service(web::to(not_found).wrap(from_fn(traced)));
        let app = init_service(app).await;
        let cases = [
            (TestRequest::get(), "/items/2", 200, json!(null)),
            (TestRequest::get(), "/items/0", 409, json!("own message")),
            (
                TestRequest::get(),
                "/items/1",
                500,
                json!("HTTP 500 Internal Server Error"),
            ),
            (
                TestRequest::get(),
                "/items/x",
                404,
                json!("HTTP 404 Not Found"),
            ),
            (
                TestRequest::get(),
                "/nothing",
                404,
                json!("HTTP 404 Not Found"),
            ),
            (
                TestRequest::put(),
                "/items/2",
                405,
                json!("HTTP 405 Method Not Allowed"),
            ),
        ];
        for (request, path, status, message) in cases {
            let request = request.uri(path).insert_header(("X-Request-ID", "id-7"));
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(response.status().as_u16(), status, "{path}");
            assert_eq!(
                response.headers().get(&X_REQUEST_ID).unwrap(),
                "id-7",
                "{path}"
            );
            assert_eq!(
                response.headers().get(CONTENT_TYPE).unwrap(),
                "application/json"
            );
            let body: Value = read_body_json(response).await;
            assert_eq!(body["message"], message, "{path}");
            let code = if status == 200 {
                json!(null)
            } else {
                json!(status)
            };
            assert_eq!(body["error_code"], code, "{path}");
        }
    }

    #[tokio::test]
    async fn trailing_slash_and_head_equal_get() {
        let app = App::new().configure(|application| mount(&items(), application));
        let app = init_service(app).await;
        for (request, path, status) in [
            (TestRequest::get(), "/items/2/", 200),
            (TestRequest::delete(), "/items/2/", 204),
            (
                TestRequest::with_uri("/").method(Method::HEAD),
                "/items/2",
                200,
            ),
            (
                TestRequest::with_uri("/").method(Method::HEAD),
                "/items/0/",
                409,
            ),
            (TestRequest::put(), "/items/2/", 405),
        ] {
            let response = call_service(&app, request.uri(path).to_request()).await;
            assert_eq!(response.status().as_u16(), status, "{path}");
        }
    }

    #[test]
    fn template_matches_whole_paths() {
        for (path, request, expected) in [
            ("/metrics", "/metrics", true),
            ("/metrics", "/metrics/a", false),
            ("/metrics", "/metricsa", false),
            ("/items/{number}", "/items/2", true),
            ("/items/{number}", "/items", false),
            ("/items/{number}", "/items/2/a", false),
            ("/items/{number}/parts", "/items/2/parts", true),
            ("/items/{number}/parts", "/items/2/others", false),
        ] {
            assert_eq!(
                Template::new(path).matches(request),
                expected,
                "{path} {request}"
            );
        }
    }

    #[tokio::test]
    async fn unserved_path_reaches_next_service() {
        let app = App::new()
            .configure(|application| mount(&items(), application))
            .service(web::scope("").default_service(web::to(HttpResponse::Accepted)));
        let app = init_service(app).await;
        for path in ["/items", "/items/2/parts", "/"] {
            let request = TestRequest::get().uri(path).to_request();
            assert_eq!(call_service(&app, request).await.status(), 202, "{path}");
        }
    }

    #[test]
    fn document_has_every_method_of_a_path() {
        let info = Info::new("test", "1");
        let document = document(info, items(), |_, _, _| ());
        let document = serde_json::to_value(document).unwrap();
        let path = &document["paths"]["/items/{number}"];
        assert_eq!(path["get"]["operationId"], "get_items_number");
        assert_eq!(path["get"]["summary"], "Get an item");
        assert_eq!(path["delete"]["operationId"], "delete_items_number");
    }
}
