//! The extract room.
