//! The socket: bounded connections and header time, and an end that lets everything in hand finish.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;
use tracing::warn;

/// Connections at once; more wait in the system's queue.
const MOST_CONNECTIONS: usize = 1024;
/// A client that does not finish its headers within this time is cut off.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// At the end, what is in hand gets this long.
const FINISH_WITHIN: Duration = Duration::from_secs(20);

/// Serves until `stop` changes; then takes no new connection and finishes the requests in hand.
pub async fn serve(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) {
    serve_at_most(MOST_CONNECTIONS, listener, router, stop).await;
}

async fn serve_at_most(most: usize, listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(most));
    let in_hand = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(64 * 1024);
    loop {
        let arriving = async {
            let place = room.clone().acquire_owned().await.expect("nobody closes the room");
            listener.accept().await.map(|(stream, peer)| (stream, peer, place))
        };
        // A full house hears the end as well: the place is waited for on this side of the choice.
        let accepted = tokio::select! {
            accepted = arriving => accepted,
            _ = stop.changed() => break,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(failed) => {
                // Out of file descriptors, mostly: the next one may be closed soon.
                warn!(error = %failed, "A connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let connection = http.serve_connection(TokioIo::new(stream), service(router.clone(), peer));
        let connection = in_hand.watch(connection);
        tokio::spawn(async move {
            // A connection that broke off is the client's matter: what it sent is kept or was refused.
            let _ = connection.await;
            drop(place);
        });
    }
    if tokio::time::timeout(FINISH_WITHIN, in_hand.shutdown()).await.is_err() {
        warn!("Some connections did not finish in {} s and were cut off", FINISH_WITHIN.as_secs());
    }
}

fn service(
    router: Router,
    peer: SocketAddr,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = axum::response::Response,
    Error = Infallible,
    Future = impl Future<Output = Result<axum::response::Response, Infallible>> + Send,
> {
    service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request.map(axum::body::Body::new))
    })
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_full_house_hears_that_it_shall_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let router = Router::new().route("/", get(|| async { "inside" }));
        let serving = tokio::spawn(serve_at_most(1, listener, router, stopped));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 12];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 200");
        // The only place stays taken for as long as this client likes.
        stop.send(true).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), serving).await;
        ended.expect("the end is heard though nobody leaves").unwrap();
    }
}
