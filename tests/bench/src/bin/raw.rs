//! The least that a client of the daemon can do: replays a recorded conversation on a socket, byte for byte, and leaves.
//! `awsso-bench-raw SOCKET RECORDING`; a recording is made of turns, each one `u32` length + bytes to send, and a `u32`
//! number of bytes to read, little-endian.

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

/// A daemon that says less than it did when it was recorded must not hang us.
const LIMIT: Duration = Duration::from_secs(5);

fn main() -> io::Result<()> {
    let mut args = env::args_os().skip(1);
    let (Some(socket), Some(recording)) = (args.next(), args.next()) else {
        return Err(io::Error::other("usage: SOCKET RECORDING"));
    };
    let recording = fs::read(recording)?;
    let mut daemon = UnixStream::connect(socket)?;
    daemon.set_read_timeout(Some(LIMIT))?;
    let mut rest = recording.as_slice();
    let mut reply = Vec::new();
    while !rest.is_empty() {
        let (sent, after) = rest[4..].split_at(number(rest));
        daemon.write_all(sent)?;
        reply.resize(number(after), 0);
        daemon.read_exact(&mut reply)?;
        rest = &after[4..];
    }
    Ok(())
}

fn number(bytes: &[u8]) -> usize {
    let bytes = bytes.first_chunk().expect("a recording of whole turns");
    usize::try_from(u32::from_le_bytes(*bytes)).expect("32 bits fit")
}
