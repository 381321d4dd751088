//! `/contexts/{context}/...`: every path also within a context. The request is rewritten to name
//! the context where the plain path can: in the subject, in a listing's prefix, or beside an id.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::middleware::Next;

/// Wraps the application, so that it comes before routing.
///
/// # Errors
/// What the application fails with.
pub async fn in_context<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    if let Some(uri) = rewritten(request.uri()) {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
    next.call(request).await
}

/// The context that a path's segment names: `.ctx`, or `:.ctx:` as subjects spell it.
pub(crate) fn context_named(segment: &str) -> String {
    let name = segment.trim_matches(':');
    if name.starts_with('.') {
        name.to_owned()
    } else {
        format!(".{name}")
    }
}

/// The same question without a context in its path; `None` if there is none in it.
fn rewritten(uri: &Uri) -> Option<Uri> {
    let (segment, path) = uri.path().strip_prefix("/contexts/")?.split_once('/')?;
    let context = format!(":{}:", context_named(&segment.replace("%3A", ":")));
    let query = uri.query().unwrap_or_default();
    let (path, query) = (path_in(&context, path), query_in(&context, path, query));
    let rewritten = if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(rewritten.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Qualifies the segment that names a subject; settings of everything become the context's.
fn path_in(context: &str, path: &str) -> String {
    let segments: Vec<&str> = path.split('/').collect();
    let subject_at = match segments.as_slice() {
        ["subjects" | "config" | "mode", ..] => Some(1),
        ["compatibility", "subjects", ..] => Some(2),
        _ => None,
    };
    let is_listing = matches!(segments.as_slice(), ["subjects"] | ["subjects", ""]);
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

/// Qualifies `subject` and `subjectPrefix`, or adds the one that the path listens to.
fn query_in(context: &str, path: &str, query: &str) -> String {
    let wanted = match path.trim_end_matches('/') {
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

/// The name in the context, unless it names one itself. Works on names as URLs spell them.
fn qualified(context: &str, name: &str) -> String {
    let names_one = [":.", ":*:", "%3A.", "%3a.", "%3A*"];
    if names_one.iter().any(|start| name.starts_with(start)) {
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
    fn the_context_moves_to_where_the_plain_path_has_one() {
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
        ];
        for (asked, expected) in table {
            let rewritten = rewritten(&asked.parse().unwrap());
            assert_eq!(rewritten.unwrap().to_string(), expected, "{asked}");
        }
        for plain in ["/contexts", "/contexts/.c", "/subjects/contexts/versions"] {
            assert!(rewritten(&plain.parse().unwrap()).is_none(), "{plain}");
        }
    }
}
