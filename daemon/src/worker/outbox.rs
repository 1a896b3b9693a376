//! Frames on their way to a worker. Whoever has one writes it, since handing it to another task costs a
//! wake; what the socket does not take at once is written by the link's task.

use super::codec;
use crate::protocol::frames::Frame;
use std::io;
use std::sync::{Mutex, MutexGuard};
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio_util::bytes::{Buf, BytesMut};

pub struct Outbox {
    socket: OwnedWriteHalf,
    /// Bytes that the socket has not taken yet; while there are any, every frame goes behind them.
    rest: Mutex<BytesMut>,
    more: Notify,
}

impl Outbox {
    pub fn new(socket: OwnedWriteHalf) -> Outbox {
        Outbox { socket, rest: Mutex::default(), more: Notify::new() }
    }

    /// Never waits. A broken socket is noticed by [`Outbox::write_rest`].
    pub fn send(&self, frame: &Frame) {
        let bytes = codec::encode(frame);
        let mut rest = self.rest();
        let written = if rest.is_empty() { self.socket.try_write(&bytes).unwrap_or(0) } else { 0 };
        if written < bytes.len() {
            rest.extend_from_slice(&bytes[written..]);
            self.more.notify_one();
        }
    }

    /// Writes what did not go at once, until the socket is broken. May be dropped and begun again at any
    /// time.
    pub async fn write_rest(&self) -> io::Error {
        loop {
            if self.rest().is_empty() {
                self.more.notified().await;
                continue;
            }
            if let Err(error) = self.socket.writable().await {
                return error;
            }
            let mut rest = self.rest();
            match self.socket.try_write(&rest) {
                Ok(written) => rest.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return error,
            }
            if rest.is_empty() {
                // A large frame's memory is not kept.
                *rest = BytesMut::new();
            }
        }
    }

    fn rest(&self) -> MutexGuard<'_, BytesMut> {
        self.rest.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frames::Request;
    use tokio::net::UnixStream;

    fn frame(id: u64, bytes: usize) -> Frame {
        Frame::Request { id, deadline_ms: 1, body: Request::PluginUnload { digest: "x".repeat(bytes) } }
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_however_little_the_socket_takes() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_, writer) = ours.into_split();
        let outbox = Outbox::new(writer);
        // Small ones before, between and behind ones that no socket takes at once.
        let sizes = [10, 3 << 20, 10, 0, 1 << 20, 5];
        for (id, bytes) in sizes.into_iter().enumerate() {
            outbox.send(&frame(id as u64, bytes));
        }
        let mut theirs = theirs.into_std().unwrap();
        theirs.set_nonblocking(false).unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            let read = || codec::read(&mut theirs).unwrap().unwrap();
            std::iter::repeat_with(read).take(sizes.len()).collect::<Vec<_>>()
        });
        tokio::select! {
            frames = reading => {
                for (id, (got, bytes)) in frames.unwrap().iter().zip(sizes).enumerate() {
                    assert!(*got == frame(id as u64, bytes), "frame {id}");
                }
            }
            error = outbox.write_rest() => panic!("{error}"),
        }
        assert!(outbox.rest().is_empty());
    }

    #[tokio::test]
    async fn a_broken_socket_ends_the_writing() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_reader, writer) = ours.into_split();
        let outbox = Outbox::new(writer);
        drop(theirs);
        outbox.send(&frame(1, 10));
        outbox.write_rest().await;
    }
}
