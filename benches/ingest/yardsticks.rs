//! What the service is measured against: the same HTTP layer and codec that store nothing, and that only append the same
//! bytes to a file and share its flushes. Both run in a process of their own, as the service does.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path as Segments, Request, State};
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use perezvon::app::{config, house, listener};
use perezvon::providers::Providers;
use perezvon::time::Clock;
use perezvon::web::RejectionLog;
use perezvon::web::webhooks::{replied, split, with_body};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

/// Bytes to append, and who waits until they are flushed.
type Entry = (Bytes, oneshot::Sender<()>);

#[derive(Clone)]
struct Yardstick {
    providers: Providers,
    log: Option<mpsc::Sender<Entry>>,
}

/// Serves until the process is killed. `log`: the file that keeps what comes, if it is kept.
pub async fn serve(configuration: &Path, address: SocketAddr, log: Option<&Path>) -> anyhow::Result<()> {
    let config = config::load(Some(configuration), [])?;
    let yardstick = Yardstick { providers: house::providers(&config, false), log: log.map(start_log).transpose()? };
    let router = Router::new()
        .route("/webhooks/{name}/{*endpoint}", any(webhook))
        .route("/healthz", any(|| async { "ok\n" }))
        .with_state(Arc::new(yardstick));
    let (_stop, stopped) = watch::channel(false);
    listener::serve(TcpListener::bind(address).await?, router, RejectionLog::default(), stopped).await;
    Ok(())
}

/// The service's own handler but for the store.
async fn webhook(
    State(yardstick): State<Arc<Yardstick>>,
    Segments((name, endpoint)): Segments<(String, String)>,
    request: Request,
) -> Response {
    let now = Clock::System.now();
    let provider = yardstick.providers.get(&name).expect("the generator names the configured provider");
    let (head, body) = split(request, endpoint);
    let limit = provider.admit(&head).expect("the generator sends what it may");
    let request = match with_body(head, body, limit).await {
        Ok(request) => request,
        Err(refused) => return refused,
    };
    let verified = provider.verify(&request, now).expect("the generator signs");
    let parsed = provider.parse(verified, now).expect("the generator sends whole forms");
    std::hint::black_box(parsed);
    if let Some(log) = &yardstick.log {
        let (flushed, wait) = oneshot::channel();
        log.send((request.body, flushed)).await.expect("the log runs as long as the process");
        wait.await.expect("the log answers all");
    }
    replied(provider.nothing())
}

/// One thread appends all that waits and flushes it once.
fn start_log(path: &Path) -> anyhow::Result<mpsc::Sender<Entry>> {
    let mut file = File::create(path)?;
    let (sender, mut inbox) = mpsc::channel::<Entry>(4096);
    std::thread::spawn(move || {
        let (mut waiting, mut bytes) = (Vec::new(), Vec::new());
        while inbox.blocking_recv_many(&mut waiting, 512) > 0 {
            bytes.clear();
            waiting.iter().for_each(|(entry, _)| bytes.extend_from_slice(entry));
            file.write_all(&bytes).and_then(|()| file.sync_data()).expect("the disk takes the log");
            for (_, flushed) in waiting.drain(..) {
                let _ = flushed.send(());
            }
        }
    });
    Ok(sender)
}
