//! The broker's side of one running worker's sockets.
pub struct CancelOnDrop;
