//! Which libssh2 this is.

use ssh2::Session;
use std::io::Read;
use std::os::unix::net::UnixStream;

/// The identification that devices see, such as `SSH-2.0-libssh2_1.11.1`; `None` where libssh2
/// does not start. It is read from libssh2 itself, at the other end of a socket pair.
#[must_use]
pub fn identification() -> Option<String> {
    let (ours, mut device) = UnixStream::pair().ok()?;
    let mut session = Session::new().ok()?;
    session.set_blocking(false);
    session.set_tcp_stream(ours);
    // It sends its line and finds no answer.
    let _ = session.handshake();
    let mut line = [0; 255];
    let length = device.read(&mut line).ok()?;
    let text = String::from_utf8_lossy(line.get(..length)?).into_owned();
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libssh2_says_what_it_is() {
        let line = identification().unwrap();
        assert!(line.starts_with("SSH-2.0-libssh2"), "{line}");
    }
}
