//! The socket: bounded connections, patience with slow clients that ends, and a stop that lets everything in hand finish.
//!
//! What is bounded, and who gives way, see `connections`; how slow a client may be, see `transfer`.

mod connections;
mod transfer;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::ServiceExt;
use tracing::warn;

use self::connections::{Connection, Connections, NoRoom, Place, Room};
use self::transfer::{AnswerBody, Pace, TimedBody, TimedStream};
use crate::web::{Overloaded, Rejection, RejectionLog, has_reserved_place};

/// What a listener allows.
#[derive(Clone, Copy, Debug)]
struct Limits {
    room: Room,
    pace: Pace,
    /// A client that does not finish its headers within this time is cut off.
    header_timeout: Duration,
    /// At the end, what is in hand gets this long.
    shutdown_grace: Duration,
}

const LIMITS: Limits = Limits {
    room: Room { connections: 1024, per_address: 256, unreserved: 512 },
    pace: Pace { write_timeout: Duration::from_secs(30), body_grace: Duration::from_secs(5) },
    header_timeout: Duration::from_secs(10),
    shutdown_grace: Duration::from_secs(20),
};

/// Serves until `stop` changes; then takes no new connection and finishes the requests in hand.
pub async fn serve(listener: TcpListener, router: Router, rejections: RejectionLog, stop: watch::Receiver<bool>) {
    serve_within(LIMITS, listener, router, rejections, stop).await;
}

async fn serve_within(
    limits: Limits,
    listener: TcpListener,
    router: Router,
    rejections: RejectionLog,
    mut stop: watch::Receiver<bool>,
) {
    let connections = Connections::new(limits.room);
    let in_hand = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout).max_buf_size(64 * 1024);
    loop {
        // A full listener hears the stop as well: the room is waited for on this side of the choice.
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections, &rejections) => accepted,
            _ = stop.changed() => break,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(failed) => {
                // Out of file descriptors, mostly: the next one may be closed soon.
                if rejections.is_first(Rejection::NotAccepted, "") {
                    warn!(error = %failed, "A connection could not be accepted: {failed}");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let connection = place.connection().clone();
        let stream = TimedStream::new(stream, connection.clone(), limits.pace.write_timeout);
        let connection =
            http.serve_connection(TokioIo::new(stream), service(router.clone(), peer, connection, limits.pace));
        let connection = in_hand.watch(connection);
        tokio::spawn(async move {
            // A connection that broke off is the client's matter: what it sent is kept or was refused.
            tokio::select! {
                _ = connection => {}
                () = place.evicted() => {}
            }
        });
    }
    if tokio::time::timeout(limits.shutdown_grace, in_hand.shutdown()).await.is_err() {
        warn!("Some connections did not finish in {} s and were cut off", limits.shutdown_grace.as_secs());
    }
}

/// The next connection that there is room for.
async fn accept(
    listener: &TcpListener,
    connections: &Connections,
    rejections: &RejectionLog,
) -> std::io::Result<(TcpStream, SocketAddr, Place)> {
    let closed = |kind: Rejection| {
        metrics::counter!("perezvon_connections_closed_total", "reason" => kind.as_str()).increment(1);
        rejections.is_first(kind, "")
    };
    'next: loop {
        let (stream, peer) = listener.accept().await?;
        loop {
            match connections.admit(peer.ip()) {
                Ok((place, has_evicted)) => {
                    if has_evicted && closed(Rejection::Evicted) {
                        warn!(
                            "There are as many connections as are allowed: those that wait for their clients give way"
                        );
                    }
                    return Ok((stream, peer, place));
                }
                Err(NoRoom::OfAddress) => {
                    if closed(Rejection::TooManyOfAddress) {
                        warn!(address = %peer.ip(), "Too many connections from {}", peer.ip());
                    }
                    continue 'next;
                }
                Err(NoRoom::Full) => connections.changed().await,
            }
        }
    }
}

fn service(
    router: Router,
    peer: SocketAddr,
    connection: Arc<Connection>,
    pace: Pace,
) -> impl hyper::service::Service<
    hyper::Request<Incoming>,
    Response = Response<AnswerBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<AnswerBody>, Infallible>> + Send,
> {
    service_fn(move |request: hyper::Request<Incoming>| {
        let turn = connection.begin_request(!has_reserved_place(request.uri().path()));
        let mut request = request.map(|body| Body::new(TimedBody::new(body, connection.clone(), pace.body_grace)));
        request.extensions_mut().insert(ConnectInfo(peer));
        if turn.is_none() {
            request.extensions_mut().insert(Overloaded);
        }
        let answering = router.clone().oneshot(request);
        async move { answering.await.map(|response| response.map(|body| AnswerBody::new(body, turn))) }
    })
}

#[cfg(test)]
mod tests;
