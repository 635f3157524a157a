//! What an SSH connection runs over: TCP, or a tunnel through a jump host.

use rustix::net::{RecvFlags, recv};
use socket2::Socket;
use std::io;

/// Looks at what has come without taking it; 0 means that the other side has ended.
pub(super) fn peek(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let (count, _) = recv(socket, buffer, RecvFlags::PEEK)?;
    Ok(count)
}
