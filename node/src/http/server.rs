//! The HTTP server: actix-web over streams with flow control, with bounded connections and memory.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::{HttpMessage as _, HttpService, Payload, Request};
use actix_server::{Server, ServerHandle};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory,
    fn_service, map_config,
};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use avouch_http::status_response;
use futures_util::Stream;
use tokio::sync::watch;

use super::flow::Flow;
use super::limits::{BodyMemory, HttpContext};
use super::stream::{HttpStream, Stopping};

/// Maximum time of running requests after the process stops, in seconds.
const SHUTDOWN_TIMEOUT_S: u64 = 3;
/// Minimum and maximum number of threads. Two serve health checks while one computes.
const WORKERS: (usize, usize) = (2, 4);
/// Bodies up to this size are covered by the limit of connections.
const UNCOUNTED_BYTES_MAX: u64 = 4 * 1024;
/// Bytes of a request body that are received before memory is reserved for them.
const BODY_STEP_BYTES: usize = 16 * 1024;

/// Stops the server.
#[derive(Debug)]
pub(crate) struct HttpHandle {
    server: ServerHandle,
    stop: watch::Sender<bool>,
}

impl HttpHandle {
    /// Closes idle connections and waits for running requests.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        self.server.stop(true).await;
    }
}

/// Starts a server of the application that `app` creates for each worker.
pub(super) fn start<A, F, S, B>(
    listener: TcpListener,
    context: Arc<HttpContext>,
    app: A,
) -> io::Result<(Server, HttpHandle)>
where
    A: Fn() -> F + Clone + Send + 'static,
    F: IntoServiceFactory<S, Request>,
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<B>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    let (stop, stopping) = watch::channel(false);
    let (min, max) = WORKERS;
    let cores = std::thread::available_parallelism().map_or(min, usize::from);
    let server = Server::build()
        .workers(cores.clamp(min, max))
        // The caller decides when the node stops.
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
        .listen("http", listener, move || {
            let (context, stopping) = (Arc::clone(&context), stopping.clone());
            let accepting = Arc::clone(&context);
            let app = map_config(app().into_factory(), |()| AppConfig::default());
            let app = apply_fn_factory(app, move |mut request: Request, app: &S::Service| {
                let guard = start_request(&context, &mut request);
                respond(Arc::clone(&context), guard, app.call(request))
            });
            let http = HttpService::build()
                .on_connect_ext(|stream: &HttpStream, extensions| {
                    extensions.insert(stream.flow());
                })
                .h1(app.map_err(|error: actix_web::Error| error.error_response()));
            fn_service(move |stream: TcpStream| {
                let accepted = accept(&accepting, stream, stopping.clone());
                async move { accepted.map_err(actix_http::error::DispatchError::Io) }
            })
            .and_then(http)
        })?
        .run();
    let handle = HttpHandle {
        server: server.handle(),
        stop,
    };
    Ok((server, handle))
}

fn accept(
    context: &Arc<HttpContext>,
    stream: TcpStream,
    mut stopping: watch::Receiver<bool>,
) -> io::Result<(HttpStream, Option<std::net::SocketAddr>)> {
    let Some(connection) = context.connect() else {
        return Err(io::ErrorKind::ConnectionRefused.into());
    };
    // Responses are written whole, so Nagle's algorithm would only delay their last segment.
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr().ok();
    let stopping: Stopping = Box::pin(async move {
        // An error means that the server is gone.
        drop(stopping.wait_for(|stop| *stop).await);
    });
    Ok((HttpStream::new(stream, connection, stopping), peer))
}

/// Wraps a call of the application: the body is read on demand, and the connection's next request
/// is kept back until the response is sent.
async fn respond<B: MessageBody + 'static>(
    context: Arc<HttpContext>,
    guard: Option<RequestGuard>,
    response: impl Future<Output = Result<ServiceResponse<B>, actix_web::Error>>,
) -> Result<ServiceResponse<ResponseBody>, actix_web::Error> {
    let response = response.await?;
    let (response, memory) = match response.response().body().size() {
        BodySize::Sized(bytes) if bytes > UNCOUNTED_BYTES_MAX => {
            match context.try_reserve(usize::try_from(bytes).unwrap_or(usize::MAX)) {
                Some(memory) => (response.map_into_boxed_body(), Some(memory)),
                // The large body is dropped before the small one is created.
                None => {
                    let status = status_response(StatusCode::SERVICE_UNAVAILABLE);
                    (response.into_response(status), None)
                }
            }
        }
        _ => (response.map_into_boxed_body(), None),
    };
    Ok(response.map_body(|_, body| ResponseBody {
        body,
        _memory: memory,
        _guard: guard,
    }))
}

/// Starts a request on its connection, and replaces its payload by one that is read on demand.
fn start_request(context: &Arc<HttpContext>, request: &mut Request) -> Option<RequestGuard> {
    let flow = Rc::clone(request.conn_data::<Rc<Flow>>()?);
    let payload = request.take_payload();
    if matches!(payload, Payload::None) {
        flow.start(None);
        return Some(RequestGuard(flow));
    }
    let is_chunked = request.chunked().unwrap_or(true);
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
    flow.start(Some(length.filter(|_| !is_chunked)));
    let body = RequestBody {
        payload,
        flow: Rc::clone(&flow),
        context: Arc::clone(context),
        uncounted: 0,
    };
    let payload: Pin<Box<dyn Stream<Item = _>>> = Box::pin(body);
    *request.payload() = Payload::Stream { payload };
    Some(RequestGuard(flow))
}

/// A request that keeps back the next one on its connection until it is dropped.
struct RequestGuard(Rc<Flow>);

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// The body of a request, whose memory is reserved as it arrives.
struct RequestBody {
    payload: Payload,
    flow: Rc<Flow>,
    context: Arc<HttpContext>,
    /// Received bytes without a reservation.
    uncounted: usize,
}

impl Stream for RequestBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Poll::Ready(item) = Pin::new(&mut this.payload).poll_next(cx) else {
            this.flow.want_body();
            return Poll::Pending;
        };
        let Some(Ok(bytes)) = item else {
            this.flow.end_body();
            return Poll::Ready(item);
        };
        this.uncounted += bytes.len();
        if this.uncounted > BODY_STEP_BYTES {
            let Some(memory) = this.context.try_reserve(this.uncounted) else {
                return Poll::Ready(Some(Err(PayloadError::Overflow)));
            };
            this.flow.hold(memory);
            this.uncounted = 0;
        }
        Poll::Ready(Some(Ok(bytes)))
    }
}

/// The body of a response, with its memory.
struct ResponseBody {
    body: BoxBody,
    _memory: Option<BodyMemory>,
    _guard: Option<RequestGuard>,
}

impl MessageBody for ResponseBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}
