//! Other spellings of a path: with a trailing slash, and within one context as
//! `/contexts/{context}/...`. The middleware rewrites the request so
//! that the context is where the plain path has it: in the subject, in the prefix of a listing, or
//! in the query parameter `subject` beside an ID.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, Uri};
use actix_web::middleware::Next;

/// Rewrites the request before it is routed.
///
/// # Errors
/// Those of the wrapped service.
pub(crate) async fn in_context<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if let Some(uri) = rewritten(request.method(), request.uri()) {
        // The router reads the path from here, handlers read the query from the URI.
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    next.call(request).await
}

/// Returns the context of a path segment, which is `.context`, `context`, or `:.context:`.
pub(crate) fn context_named(segment: &str) -> String {
    let name = segment.trim_matches(':');
    if name.starts_with('.') {
        name.to_owned()
    } else {
        format!(".{name}")
    }
}

/// Returns the equivalent URI without a trailing slash and without a context path; `None` if it has
/// neither. Confluent's clients send both forms of a path.
fn rewritten(method: &Method, uri: &Uri) -> Option<Uri> {
    let path = match uri.path().strip_suffix('/') {
        Some("") | None => uri.path(),
        Some(path) => path,
    };
    let query = uri.query().unwrap_or_default();
    let has_slash = path.len() < uri.path().len();
    let in_context = path.strip_prefix("/contexts/").and_then(|rest| {
        let parts = rest.split_once('/');
        // `/contexts/c/` is the root path within the context, except that DELETE is for the
        // context.
        parts.or((has_slash && method != Method::DELETE).then_some((rest, "")))
    });
    let (path, query) = match in_context {
        Some((segment, path)) => {
            // The segment is still percent-encoded.
            let context = format!(":{}:", context_named(&segment.replace("%3A", ":")));
            (path_in(&context, path), query_in(&context, path, query))
        }
        None if !has_slash => return None,
        None => (path.to_owned(), query.to_owned()),
    };
    let rewritten = if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rewritten.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Qualifies the segment that contains the subject; global settings become those of the context.
fn path_in(context: &str, path: &str) -> String {
    let segments: Vec<&str> = path.split('/').collect();
    let subject_at = match segments.as_slice() {
        ["subjects" | "config" | "mode", ..] => Some(1),
        ["compatibility", "subjects", ..] => Some(2),
        _ => None,
    };
    // The context of a listing is a query parameter.
    let is_listing = matches!(segments.as_slice(), ["subjects"]);
    let mut path = String::new();
    for (at, segment) in segments.iter().enumerate() {
        path.push('/');
        if subject_at == Some(at) && !is_listing {
            path.push_str(&qualified(context, segment));
        } else {
            path.push_str(segment);
        }
    }
    if subject_at == Some(segments.len()) && !is_listing {
        path.push('/');
        path.push_str(context);
    }
    path
}

/// Qualifies `subject` and `subjectPrefix`, or adds the one that the path supports.
fn query_in(context: &str, path: &str, query: &str) -> String {
    let wanted = match path {
        "subjects" | "schemas" => Some("subjectPrefix"),
        path if path.starts_with("schemas/ids/") => Some("subject"),
        _ => None,
    };
    let mut pairs = Vec::new();
    let mut is_given = false;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        is_given |= Some(name) == wanted;
        pairs.push(match name {
            "subject" | "subjectPrefix" => format!("{name}={}", qualified(context, value)),
            _ => pair.to_owned(),
        });
    }
    if let Some(name) = wanted.filter(|_| !is_given) {
        pairs.push(format!("{name}={context}"));
    }
    pairs.join("&")
}

/// Returns the name in the context, unless it contains one itself. The name is percent-encoded.
fn qualified(context: &str, name: &str) -> String {
    let has_context = [":.", ":*:", "%3A.", "%3a.", "%3A*"];
    if has_context.iter().any(|start| name.starts_with(start)) {
        name.to_owned()
    } else {
        format!("{context}{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: registry/contexts-1
    #[test]
    fn context_path_becomes_plain_path() {
        let table = [
            ("/contexts/.c/subjects", "/subjects?subjectPrefix=:.c:"),
            (
                "/contexts/.c/subjects?subjectPrefix=pay&deleted=true",
                "/subjects?subjectPrefix=:.c:pay&deleted=true",
            ),
            (
                "/contexts/:.c:/subjects/a%2Fb/versions/1?deleted=true",
                "/subjects/:.c:a%2Fb/versions/1?deleted=true",
            ),
            (
                "/contexts/.c/subjects/%3A.d%3As/versions",
                "/subjects/%3A.d%3As/versions",
            ),
            ("/contexts/c/config", "/config/:.c:"),
            ("/contexts/.c/mode/s", "/mode/:.c:s"),
            (
                "/contexts/.c/compatibility/subjects/s/versions/latest",
                "/compatibility/subjects/:.c:s/versions/latest",
            ),
            ("/contexts/.c/schemas/ids/1", "/schemas/ids/1?subject=:.c:"),
            (
                "/contexts/.c/schemas/ids/1/versions?subject=s",
                "/schemas/ids/1/versions?subject=:.c:s",
            ),
            ("/contexts/.c/schemas", "/schemas?subjectPrefix=:.c:"),
            ("/contexts/.c/schemas/types", "/schemas/types"),
            ("/contexts/.c/subjects/", "/subjects?subjectPrefix=:.c:"),
            ("/contexts/.c/config/", "/config/:.c:"),
            ("/contexts/.c/", "/"),
            (
                "/config/?defaultToGlobal=true",
                "/config?defaultToGlobal=true",
            ),
            ("/subjects/s/versions/", "/subjects/s/versions"),
        ];
        for (uri, expected) in table {
            let rewritten = rewritten(&Method::GET, &uri.parse().unwrap());
            assert_eq!(rewritten.unwrap().to_string(), expected, "{uri}");
        }
        for plain in [
            "/",
            "/contexts",
            "/contexts/.c",
            "/subjects/contexts/versions",
        ] {
            let rewritten = rewritten(&Method::GET, &plain.parse().unwrap());
            assert!(rewritten.is_none(), "{plain}");
        }
        let deleted = rewritten(&Method::DELETE, &"/contexts/.c/".parse().unwrap());
        assert_eq!(deleted.unwrap(), "/contexts/.c");
    }
}
