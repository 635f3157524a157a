//! One connection to one device, up to where SSH takes over.

use super::counters::{Counters, Tally};
use super::fault::Fault;
use super::guest::Guest;
use super::vty::Persona;
use super::wire::Wire;
use crate::model::credentials::Secret;
use russh::server;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One device, as all its sessions share it.
pub(super) struct Host {
    pub(super) ssh: Arc<server::Config>,
    pub(super) persona: Arc<Persona>,
    pub(super) username: String,
    pub(super) password: Secret,
    pub(super) public_key: Option<String>,
    pub(super) counters: Arc<Counters>,
    pub(super) rtt: Duration,
}

/// Serves one accepted connection to its end. What goes wrong on it is the client's business.
pub(super) async fn serve(host: Arc<Host>, socket: TcpStream) {
    host.counters.add(Tally::Connection);
    let mut wire = Wire::new(socket, host.rtt, Arc::clone(&host.counters));
    match host.persona.fault {
        Some(Fault::CloseBeforeBanner) => return,
        Some(Fault::Silent) => return swallow(wire).await,
        Some(Fault::HangInKex) => {
            if wire.write_all(b"SSH-2.0-Cisco-1.25\r\n").await.is_ok() {
                swallow(wire).await;
            }
            return;
        }
        Some(Fault::Garbage) => {
            let _ = wire.write_all(&garbage()).await;
            let _ = wire.shutdown().await;
            return;
        }
        _ => {}
    }
    let cutter = wire.cutter();
    let ssh = Arc::clone(&host.ssh);
    let guest = Guest::new(host, cutter);
    // The session goes on in a task of its own.
    let _ = server::run_stream(ssh, wire, guest).await;
}

/// Reads until the client gives up.
async fn swallow(mut wire: Wire) {
    let mut buffer = [0_u8; 1024];
    while let Ok(1..) = wire.read(&mut buffer).await {}
}

/// An answer that no SSH client can take for an identification.
fn garbage() -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec();
    bytes.extend((0..2048_u32).map(|n| (n.wrapping_mul(167) >> 2 & 0xff) as u8));
    bytes
}
