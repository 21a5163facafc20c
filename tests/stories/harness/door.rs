//! The address by which an exchange knows the service. The service behind it may go away, come back elsewhere, or fall
//! silent.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Who comes is led to this address.
    Service(SocketAddr),
    /// Who comes is led to this address, but no answer ever comes out again.
    LosesAnswers(SocketAddr),
    /// Connections are refused.
    Nobody,
    /// Connections are taken, and nothing is ever answered.
    Deaf,
}

/// A port that stays the same for the whole story.
pub struct Door {
    pub address: SocketAddr,
    behind: watch::Sender<Behind>,
    /// Tells when a change has come into force.
    in_force: watch::Receiver<Behind>,
    keeper: JoinHandle<()>,
}

impl Door {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("it is bound");
        let (behind, changes) = watch::channel(Behind::Deaf);
        let (told, in_force) = watch::channel(Behind::Deaf);
        Self { address, behind, in_force, keeper: tokio::spawn(keep(listener, changes, told)) }
    }

    /// Whatever connection stands is broken.
    pub async fn leads_to(&self, behind: Behind) {
        self.behind.send_replace(behind);
        self.in_force.clone().wait_for(|known| *known == behind).await.expect("it is kept as long as it lives");
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn keep(first: TcpListener, mut changes: watch::Receiver<Behind>, told: watch::Sender<Behind>) {
    let address = first.local_addr().expect("it is bound");
    let mut listener = Some(first);
    loop {
        let behind = *changes.borrow_and_update();
        match behind {
            Behind::Nobody => listener = None,
            _ if listener.is_none() => listener = Some(TcpListener::bind(address).await.expect("the port is ours")),
            _ => {}
        }
        told.send_replace(behind);
        // With it end those who are inside.
        let mut inside = JoinSet::new();
        loop {
            tokio::select! {
                changed = changes.changed() => match changed {
                    Ok(()) => break,
                    Err(_) => return,
                },
                Ok((guest, _)) = accept(listener.as_ref()) => {
                    inside.spawn(lead(guest, behind));
                }
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn lead(mut guest: TcpStream, behind: Behind) {
    match behind {
        Behind::Service(address) => {
            // A service that is gone breaks the guest's connection, too.
            if let Ok(mut service) = TcpStream::connect(address).await {
                let _ = copy_bidirectional(&mut guest, &mut service).await;
            }
        }
        Behind::LosesAnswers(address) => {
            if let Ok(mut service) = TcpStream::connect(address).await {
                let (mut answers, mut asks) = service.split();
                tokio::select! {
                    _ = tokio::io::copy(&mut guest, &mut asks) => {}
                    _ = answers.read_u8() => {}
                }
            }
        }
        Behind::Nobody => {}
        Behind::Deaf => std::future::pending().await,
    }
}
