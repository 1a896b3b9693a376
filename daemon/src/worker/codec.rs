//! Frames as bytes: a 4-byte big-endian length, then postcard. And the second socket, on which
//! descriptors travel, each with the id of the request that it belongs to.

use crate::protocol::frames::{Frame, MAX_FRAME};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;

/// A frame with its length in front.
pub fn encode(frame: &Frame) -> Vec<u8> {
    let body = encode_body(frame);
    let mut bytes = Vec::with_capacity(body.len() + 4);
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// A frame without its length.
pub fn encode_body(frame: &Frame) -> Vec<u8> {
    postcard::to_stdvec(frame).expect("frames hold only what postcard can write")
}

pub fn decode(bytes: &[u8]) -> io::Result<Frame> {
    postcard::from_bytes(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
}

/// The next frame, or `None` at a clean end.
pub fn read(from: &mut impl Read) -> io::Result<Option<Frame>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    decode(&body).map(Some)
}

pub fn send_fd(socket: BorrowedFd<'_>, id: u64, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let id = id.to_be_bytes();
    rustix::net::sendmsg(
        socket,
        &[IoSlice::new(&id)],
        &mut control,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )?;
    Ok(())
}

pub fn receive_fd(socket: BorrowedFd<'_>) -> io::Result<(u64, OwnedFd)> {
    let mut id = [0; 8];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut id)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let fd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    let fd =
        fd.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no descriptor in the message"))?;
    Ok((u64::from_be_bytes(id), fd))
}
