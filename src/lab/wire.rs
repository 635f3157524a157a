//! The bytes between a device and its client, late by half a round trip each way.

use super::counters::Counters;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much is read from the kernel at once.
const CHUNK: usize = 16 << 10;
/// How many bytes may be under way each way.
const UNDER_WAY_MAX: usize = 4 << 20;
/// tokio's timers and epoll each wait for the next full millisecond: together one late on average.
const TIMER_LATE: Duration = Duration::from_millis(1);

/// Breaks a connection from outside of its session.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    cut: AtomicBool,
    reader: Mutex<Option<Waker>>,
}

impl Cutter {
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        let reader = self
            .reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Wakes whoever waits here when the connection is cut.
    fn watch(&self, context: &Context<'_>) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *reader {
            Some(known) => known.clone_from(context.waker()),
            None => *reader = Some(context.waker().clone()),
        }
    }
}

/// A connection as the SSH server sees it. It counts as open until it is dropped.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    late: Option<Box<Late>>,
    cutter: Arc<Cutter>,
    counters: Arc<Counters>,
}

impl Wire {
    /// Takes over an accepted connection.
    pub(super) fn new(socket: TcpStream, rtt: Duration, counters: Arc<Counters>) -> Self {
        counters.opened();
        Self {
            socket,
            late: (!rtt.is_zero()).then(|| Box::new(Late::new(rtt / 2))),
            cutter: Arc::default(),
            counters,
        }
    }

    /// What breaks it.
    pub(super) fn cutter(&self) -> Arc<Cutter> {
        Arc::clone(&self.cutter)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.counters.closed();
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.cutter.is_cut() {
            return Poll::Ready(Ok(()));
        }
        let read = match &mut wire.late {
            None => Pin::new(&mut wire.socket).poll_read(context, buffer),
            Some(late) => late.poll_read(&mut wire.socket, context, buffer),
        };
        if read.is_ready() {
            return read;
        }
        wire.cutter.watch(context);
        // It may have been cut just before somebody watched.
        if wire.cutter.is_cut() {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        match &mut wire.late {
            None => Pin::new(&mut wire.socket).poll_write(context, bytes),
            Some(late) => late.poll_write(&mut wire.socket, context, bytes),
        }
    }

    /// Late bytes leave by themselves: whoever reads also sends. To wait for them here would make
    /// one write wait for the one before.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if let Some(late) = &mut wire.late {
            ready!(late.poll_send(&mut wire.socket, context))?;
        }
        Pin::new(&mut wire.socket).poll_shutdown(context)
    }
}

/// What is under way one way.
#[derive(Debug)]
struct UnderWay {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// How much of the first piece is through.
    through: usize,
    total: usize,
    timer: Pin<Box<Sleep>>,
}

impl UnderWay {
    fn new() -> Self {
        Self {
            pieces: VecDeque::new(),
            through: 0,
            total: 0,
            timer: Box::pin(sleep_until(Instant::now())),
        }
    }

    fn push(&mut self, due: Instant, bytes: &[u8]) {
        self.total += bytes.len();
        self.pieces.push_back((due, bytes.to_vec()));
    }

    /// Waits until the first piece is due; never ready where there is none.
    fn poll_due(&mut self, context: &mut Context<'_>) -> Poll<&[u8]> {
        let Some((due, bytes)) = self.pieces.front() else {
            return Poll::Pending;
        };
        if *due > Instant::now() {
            self.timer.as_mut().reset(*due);
            ready!(self.timer.as_mut().poll(context));
        }
        Poll::Ready(bytes.get(self.through..).unwrap_or_default())
    }

    fn advance(&mut self, count: usize) {
        self.through += count;
        self.total = self.total.saturating_sub(count);
        let done = self
            .pieces
            .front()
            .is_some_and(|(_, bytes)| self.through >= bytes.len());
        if done {
            self.pieces.pop_front();
            self.through = 0;
        }
    }
}

/// The delayed form of a connection.
#[derive(Debug)]
struct Late {
    half: Duration,
    to_device: UnderWay,
    to_client: UnderWay,
    /// When the client's end of stream reaches the device.
    ended: Option<Instant>,
}

impl Late {
    fn new(half: Duration) -> Self {
        Self {
            half: half.saturating_sub(TIMER_LATE),
            to_device: UnderWay::new(),
            to_client: UnderWay::new(),
            ended: None,
        }
    }

    fn due(&self) -> Instant {
        Instant::now() + self.half
    }

    /// Sends what is due; ready when nothing is under way to the client any more.
    fn poll_send(
        &mut self,
        socket: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.to_client.total > 0 {
            let bytes = ready!(self.to_client.poll_due(context));
            let sent = ready!(Pin::new(&mut *socket).poll_write(context, bytes))?;
            self.to_client.advance(sent);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what the kernel has, and notes when it is due.
    fn poll_receive(
        &mut self,
        socket: &mut TcpStream,
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        let mut chunk = [0_u8; CHUNK];
        while self.ended.is_none() && self.to_device.total < UNDER_WAY_MAX {
            let mut buffer = ReadBuf::new(&mut chunk);
            match Pin::new(&mut *socket).poll_read(context, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    let end = self.due();
                    self.ended = Some(end);
                    // An empty piece carries the end.
                    self.to_device.push(end, &[]);
                }
                Poll::Ready(Ok(())) => {
                    let due = self.due();
                    self.to_device.push(due, buffer.filled());
                }
            }
        }
        Ok(())
    }

    fn poll_read(
        &mut self,
        socket: &mut TcpStream,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(Err(error)) = self.poll_send(socket, context) {
            return Poll::Ready(Err(error));
        }
        self.poll_receive(socket, context)?;
        let bytes = ready!(self.to_device.poll_due(context));
        let count = bytes.len().min(buffer.remaining());
        buffer.put_slice(bytes.get(..count).unwrap_or_default());
        if count > 0 {
            self.to_device.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        socket: &mut TcpStream,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.to_client.total >= UNDER_WAY_MAX {
            match self.poll_send(socket, context) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if self.to_client.total >= UNDER_WAY_MAX => return Poll::Pending,
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        let due = self.due();
        self.to_client.push(due, bytes);
        Poll::Ready(Ok(bytes.len()))
    }
}
