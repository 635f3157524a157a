//! Lines of JSON with a bound on their length.

use super::wire::LINE_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

/// Reads the next line; `None` at the end. A line that is too long or broken off is an error.
pub(super) async fn read<R>(reader: &mut R) -> io::Result<Option<Vec<u8>>>
where
    R: AsyncBufRead + Unpin,
{
    let mut line = Vec::new();
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            return if line.is_empty() {
                Ok(None)
            } else {
                Err(io::ErrorKind::UnexpectedEof.into())
            };
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(buffer.len(), |end| end + 1);
        let piece = buffer.get(..end.unwrap_or(taken)).unwrap_or_default();
        if line.len() + piece.len() > LINE_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the other side sends a line without end",
            ));
        }
        line.extend_from_slice(piece);
        reader.consume(taken);
        if end.is_some() {
            return Ok(Some(line));
        }
    }
}

/// Understands a line.
pub(super) fn parse<T: DeserializeOwned>(line: &[u8]) -> io::Result<T> {
    serde_json::from_slice(line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes a line.
pub(super) async fn write<W, T>(writer: &mut W, message: &T) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
    T: Serialize,
{
    let mut line = serde_json::to_vec(message).map_err(io::Error::other)?;
    if line.len() >= LINE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "more than fits into a line",
        ));
    }
    line.push(b'\n');
    writer.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Vec<io::Result<Option<Vec<u8>>>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut reader = tokio::io::BufReader::with_capacity(3, bytes);
            let mut all = Vec::new();
            loop {
                let line = read(&mut reader).await;
                let over = !matches!(line, Ok(Some(_)));
                all.push(line);
                if over {
                    return all;
                }
            }
        })
    }

    #[test]
    fn lines_come_whole_and_what_is_broken_off_is_an_error() {
        let lines = read_all(b"one\n\nthree and more\nbroken");
        let texts: Vec<_> = lines[..3]
            .iter()
            .map(|line| line.as_ref().unwrap().as_deref().unwrap())
            .collect();
        assert_eq!(texts, [&b"one"[..], b"", b"three and more"]);
        assert!(lines[3].is_err());
        assert!(matches!(read_all(b"").as_slice(), [Ok(None)]));
    }

    #[test]
    fn a_line_without_end_is_not_read_to_the_end() {
        let endless = vec![b'x'; LINE_MAX + 10];
        let lines = read_all(&endless);
        let error = lines[0].as_ref().unwrap_err();
        assert!(error.to_string().contains("without end"), "{error}");
    }
}
