//! Endpoints: handlers together with their OpenAPI documentation. Router and document are built from
//! the same list, so neither can have a route that the other lacks.

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
    route: Route,
}

/// Lists handlers that are annotated with `#[utoipa::path]` as [`Endpoint`]s. The handlers must be
/// in the module of the call, because the attribute generates a type beside each of them.
#[macro_export]
macro_rules! endpoints {
    [$($handler:ident),* $(,)?] => {
        $crate::__private::paste! {
            vec![$(
                $crate::Endpoint::new::<[<__path_ $handler>]>($crate::__private::web::to($handler))
            ),*]
        }
    };
}

impl Endpoint {
    /// Joins a handler with the documentation that `#[utoipa::path]` generated for it.
    #[doc(hidden)]
    #[must_use]
    pub fn new<D>(handler: Route) -> Self
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
            route: handler,
        }
    }

    fn into_route(self) -> Route {
        let methods = self.methods;
        let has_method = move |context: &GuardContext<'_>| {
            let method = context.head().method.as_str();
            methods.iter().any(|served| name(served) == method)
        };
        self.route.guard(fn_guard(has_method))
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
/// router tries them in this order. A method that a path does not have gets status 405.
pub fn resources(endpoints: Vec<Endpoint>) -> impl Iterator<Item = (Rc<str>, Resource)> {
    let mut by_path: Vec<(Rc<str>, Vec<Endpoint>)> = Vec::new();
    for endpoint in endpoints {
        match by_path.iter_mut().find(|(path, _)| **path == endpoint.path) {
            Some((_, methods)) => methods.push(endpoint),
            None => by_path.push((endpoint.path.as_str().into(), vec![endpoint])),
        }
    }
    by_path.into_iter().map(|(path, methods)| {
        let resource = web::resource(&*path).default_service(web::to(method_not_allowed));
        let add = |resource: Resource, endpoint: Endpoint| resource.route(endpoint.into_route());
        (path, methods.into_iter().fold(resource, add))
    })
}

/// Adds the endpoints' routes to an application, each wrapped in [`traced`].
pub fn mount(endpoints: Vec<Endpoint>, application: &mut ServiceConfig) {
    for (_, resource) in resources(endpoints) {
        application.service(resource.wrap(from_fn(traced)));
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
