//! What passes through a connection, with an eye on clients that are slow to send or to take it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::connections::{Connection, Turn};

/// How fast a client has to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Timeout of a client that takes nothing of its answer.
    pub write_timeout: Duration,
    /// A body has this time, and a second more for each [`MIN_BODY_RATE`] bytes that have come.
    pub body_grace: Duration,
}

/// Bytes a second, on the average. The slowest mobile network sends ten times as fast.
const MIN_BODY_RATE: u64 = 1024;

/// A stream that breaks off when its client takes nothing for too long.
pub(super) struct TimedStream<S> {
    stream: S,
    connection: Arc<Connection>,
    timeout: Duration,
    /// Runs while the client takes nothing.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> TimedStream<S> {
    pub fn new(stream: S, connection: Arc<Connection>, timeout: Duration) -> Self {
        Self { stream, connection, timeout, timer: None }
    }

    fn timed<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.timer.take().is_some() {
                self.connection.has_read();
            }
            return written;
        }
        let timer = self.timer.get_or_insert_with(|| {
            self.connection.waits_for_reading();
            Box::pin(sleep(self.timeout))
        });
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing of its answer")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.timed(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.timed(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Why the body of a request broke off. A body that is too slow has an [`io::Error`] of the kind `TimedOut` as its source.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body came too slowly")]
    TooSlow(#[source] io::Error),
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

/// The body of a request, which breaks off when it comes too slowly.
pub(super) struct TimedBody {
    body: Incoming,
    connection: Arc<Connection>,
    grace: Duration,
    size_bytes: u64,
    /// Set while somebody waits for the body: when he began, when that ends, and the step of [`Connection::waits_for_body`].
    wait: Option<Wait>,
}

struct Wait {
    began_at: Instant,
    timer: Pin<Box<Sleep>>,
    step: u64,
}

impl TimedBody {
    pub fn new(body: Incoming, connection: Arc<Connection>, grace: Duration) -> Self {
        Self { body, connection, grace, size_bytes: 0, wait: None }
    }

    fn wait(&mut self, context: &mut Context<'_>) -> Poll<BodyError> {
        let allowed = self.grace + Duration::from_millis(self.size_bytes * 1000 / MIN_BODY_RATE);
        let step = self.connection.waits_for_body(self.wait.as_ref().map(|wait| wait.step));
        let wait = self.wait.get_or_insert_with(|| {
            let began_at = Instant::now();
            Wait { began_at, timer: Box::pin(sleep_until(began_at + allowed)), step }
        });
        let until = wait.began_at + allowed;
        if wait.timer.deadline() < until {
            wait.timer.as_mut().reset(until);
        }
        ready!(wait.timer.as_mut().poll(context));
        Poll::Ready(BodyError::TooSlow(io::ErrorKind::TimedOut.into()))
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => {
                self.connection.has_body();
                let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
                self.size_bytes += data.map_or(0, |data| data.remaining() as u64);
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)))
            }
            Poll::Pending => self.wait(context).map(|slow| Some(Err(slow))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer, which ends the turn of its request.
pub(super) struct AnswerBody {
    body: axum::body::Body,
    _turn: Option<Turn>,
}

impl AnswerBody {
    pub fn new(body: axum::body::Body, turn: Option<Turn>) -> Self {
        Self { body, _turn: turn }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
