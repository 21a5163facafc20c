//! What strangers may do to the socket. Each attack fills a listener of a few places whose timeouts are an hour: only who gives
//! way can let the webhook in.

use axum::body::to_bytes;
use axum::http::StatusCode;
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(20);
/// Far beyond what any of these tests takes on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

const PATIENT: Limits = Limits {
    room: Room { connections: 8, per_address: 8, unreserved: 4 },
    pace: Pace { write_timeout: HOUR, body_grace: HOUR },
    header_timeout: HOUR,
    shutdown_grace: MOMENT,
};

struct Listening {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    /// Hears of each answer of `/endless` that is given up.
    given_up: mpsc::UnboundedReceiver<()>,
}

impl Listening {
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let (giving_up, given_up) = mpsc::unbounded_channel();
        let router = Router::new()
            .route("/webhooks/twilio/voice", post(async |body: Bytes| body))
            .route("/", any(page))
            .route("/never", get(std::future::pending::<String>))
            .route("/endless", get(async move || endless(giving_up.clone())));
        let serving = tokio::spawn(serve_within(limits, listener, router, RejectionLog::default(), stopped));
        Self { address, stop, serving, given_up }
    }

    /// A connection over which this has been sent.
    async fn send(&self, request: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    /// The status line of the answer to this request, sent over a connection of its own.
    async fn status(&self, request: &str) -> u16 {
        status(&mut self.send(request).await).await
    }

    async fn webhook_is_answered(&self) {
        let body = "CallSid=CA1";
        let request =
            format!("POST /webhooks/twilio/voice HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        assert_eq!(self.status(&request).await, 200);
    }
}

/// A page that reads its form.
async fn page(request: axum::extract::Request) -> StatusCode {
    if request.extensions().get::<Overloaded>().is_some() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    match to_bytes(request.into_body(), 1000).await {
        Ok(_) => StatusCode::OK,
        Err(failed) if crate::web::came_too_slowly(&failed) => StatusCode::REQUEST_TIMEOUT,
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

/// Tells when it is dropped.
struct Telling(mpsc::UnboundedSender<()>);

impl Drop for Telling {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// More than all buffers between the two ends hold.
fn endless(giving_up: mpsc::UnboundedSender<()>) -> Body {
    let telling = Telling(giving_up);
    Body::from_stream(stream::repeat_with(move || {
        let _ = &telling;
        Ok::<_, Infallible>(Bytes::from_static(&[b'x'; 16 * 1024]))
    }))
}

async fn status(client: &mut TcpStream) -> u16 {
    let mut line = [0; 12];
    let reading = tokio::time::timeout(PATIENCE, client.read_exact(&mut line));
    reading.await.expect("an answer").expect("a whole answer");
    std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
}

/// Returns when the other end has closed the connection.
async fn closed(mut client: TcpStream) {
    let mut rest = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, client.read_to_end(&mut rest));
    let _ = reading.await.expect("the connection is closed");
}

/// Threat: ten thousand connections that say nothing.
#[tokio::test]
async fn idle_connections_give_way_to_a_webhook() {
    let listening = Listening::start(PATIENT).await;
    let mut idle = Vec::new();
    for begun in ["", "POST /webhooks/twilio/voice HTTP/1.1\r\nhost:"].repeat(20) {
        idle.push(listening.send(begun).await);
    }
    listening.webhook_is_answered().await;
    closed(idle.remove(0)).await;
}

/// Threat: a thousand forms of which the end never comes.
#[tokio::test]
async fn slow_bodies_give_way_to_a_webhook() {
    for path in ["/", "/webhooks/twilio/voice"] {
        let listening = Listening::start(PATIENT).await;
        let mut slow = Vec::new();
        for _ in 0..40 {
            let begun = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 900\r\n\r\nCallSid=");
            slow.push(listening.send(&begun).await);
        }
        listening.webhook_is_answered().await;
        closed(slow.remove(0)).await;
    }
}

/// Threat: a thousand clients that send request after request and never read an answer.
#[tokio::test]
async fn clients_that_never_read_give_way_to_a_webhook() {
    let listening = Listening::start(PATIENT).await;
    let mut deaf = Vec::new();
    for _ in 0..12 {
        deaf.push(listening.send(&"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n".repeat(20)).await);
    }
    listening.webhook_is_answered().await;
}

/// Threat: an answer that is never taken holds its connection and its bytes for ever.
#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let pace = Pace { write_timeout: MOMENT, ..PATIENT.pace };
    let mut listening = Listening::start(Limits { pace, ..PATIENT }).await;
    let client = listening.send("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n").await;
    tokio::time::timeout(PATIENCE, listening.given_up.recv()).await.expect("the answer is given up").unwrap();
    closed(client).await;
}

/// Threat: a form that trickles in holds its handler.
#[tokio::test]
async fn a_body_that_comes_too_slowly_is_cut_off() {
    let pace = Pace { body_grace: MOMENT, ..PATIENT.pace };
    let listening = Listening::start(Limits { pace, ..PATIENT }).await;
    let begun = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 900\r\n\r\nname=";
    let mut client = listening.send(begun).await;
    assert_eq!(status(&mut client).await, 408);
    closed(client).await;
}

/// Threat: requests for pages, each of which takes long, keep webhooks out.
#[tokio::test]
async fn pages_leave_places_for_webhooks() {
    let listening = Listening::start(PATIENT).await;
    let mut waiting = Vec::new();
    for _ in 0..PATIENT.room.unreserved {
        waiting.push(listening.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await);
    }
    // Those above may not have been read yet, so this one asks until they are.
    let refused = async {
        while listening.status("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await != 503 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("one page too many");
    listening.webhook_is_answered().await;
}

#[tokio::test]
async fn a_full_listener_hears_that_it_shall_end() {
    let room = Room { connections: 1, per_address: 1, unreserved: 1 };
    let listening = Listening::start(Limits { room, ..PATIENT }).await;
    let _in_hand = listening.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let _waiting = TcpStream::connect(listening.address).await.unwrap();
    // The only place stays taken for as long as this request likes.
    listening.stop.send(true).unwrap();
    let ended = tokio::time::timeout(PATIENCE, listening.serving).await;
    ended.expect("the end is heard though nobody leaves").unwrap();
}
