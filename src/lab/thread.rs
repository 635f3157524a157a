//! The threads that serve devices.

use super::LabError;
use super::serve::{self, Host};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long a listener rests after a connection it could not take.
const ACCEPT_REST: Duration = Duration::from_millis(10);

/// What one thread serves.
pub(super) type Shard = Vec<(std::net::TcpListener, Arc<Host>)>;

/// Serves `shard` until `stop` says so; it is served when this returns.
pub(super) fn start(
    number: usize,
    shard: Shard,
    mut stop: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, LabError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LabError::Thread)?;
    let listeners: Vec<_> = {
        let _inside = runtime.enter();
        shard
            .into_iter()
            .map(|(listener, host)| Ok((TcpListener::from_std(listener)?, host)))
            .collect::<io::Result<_>>()
            .map_err(LabError::Thread)?
    };
    std::thread::Builder::new()
        .name(format!("lab-{number}"))
        .spawn(move || {
            runtime.block_on(async move {
                for (listener, host) in listeners {
                    tokio::spawn(accept(listener, host));
                }
                // The sender lives as long as the lab, so an error means the same.
                let _ = stop.wait_for(|stopped| *stopped).await;
            });
            // Dropping the runtime drops every task, and with it every socket.
        })
        .map_err(LabError::Thread)
}

async fn accept(listener: TcpListener, host: Arc<Host>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let _ = socket.set_nodelay(true);
                tokio::spawn(serve::serve(Arc::clone(&host), socket));
            }
            // Out of files, or the client has gone: the next one may fare better, but not at once.
            Err(_) => tokio::time::sleep(ACCEPT_REST).await,
        }
    }
}
