//! The commands' side of the socket.

use super::wire::{Ask, PROTOCOL, Request, Say};
use super::{NAME, Place, lines};
use std::io;
use std::path::Path;
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

/// A request that is being answered.
pub struct Conversation {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

/// Connects to the process that runs with this state folder; `None` where none listens: there is no
/// socket, or one that was left behind.
///
/// # Errors
/// When there is a socket that cannot be used.
pub async fn connect(dir: &Path) -> io::Result<Option<Conversation>> {
    let place = match Place::of(dir, NAME) {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match UnixStream::connect(&place.path).await {
        Ok(stream) => {
            let (reader, writer) = stream.into_split();
            Ok(Some(Conversation {
                reader: BufReader::new(reader),
                writer,
            }))
        }
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

impl Conversation {
    /// Asks.
    ///
    /// # Errors
    /// When the other side does not listen any more.
    pub async fn ask(&mut self, ask: Ask) -> io::Result<()> {
        let request = Request {
            protocol: PROTOCOL,
            ask,
        };
        lines::write(&mut self.writer, &request).await
    }

    /// The next line of the answer; `None` when the other side has gone.
    ///
    /// # Errors
    /// When what it says is not understood.
    pub async fn hear(&mut self) -> io::Result<Option<Say>> {
        match lines::read(&mut self.reader).await? {
            Some(line) => lines::parse(&line).map(Some),
            None => Ok(None),
        }
    }
}
