//! A conversation between a client and the daemon, recorded by standing between them, for a client that knows nothing but
//! the bytes.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::Mutex,
    thread,
};

enum Heard {
    Client(Vec<u8>),
    Daemon(usize),
}

/// Lets one client talk to the daemon, and gives the conversation as turns: bytes to send, number of bytes to read. What
/// the daemon said before the client's next words it says again before they come, so that a replay never waits in vain.
pub fn record(listener: &UnixListener, daemon: &Path) -> io::Result<Vec<u8>> {
    let (client, _) = listener.accept()?;
    let daemon = UnixStream::connect(daemon)?;
    let heard = Mutex::new(Vec::new());
    let note = |entry| heard.lock().expect("nobody panics here").push(entry);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            pass(&client, &daemon, |bytes| {
                note(Heard::Client(bytes.to_vec()));
            })
        });
        pass(&daemon, &client, |bytes| note(Heard::Daemon(bytes.len())))?;
        asking.join().expect("nobody panics here")
    })?;
    Ok(turns(heard.into_inner().expect("nobody panics here")))
}

fn pass(mut from: &UnixStream, mut to: &UnixStream, note: impl Fn(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut buffer)?;
        note(&buffer[..read]);
        // The other end may have gone with all it wanted.
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            let _ = to.shutdown(Shutdown::Write);
            return Ok(());
        }
    }
}

fn turns(heard: Vec<Heard>) -> Vec<u8> {
    let mut turns: Vec<(Vec<u8>, usize)> = Vec::new();
    for entry in heard {
        match (entry, turns.last_mut()) {
            (Heard::Client(bytes), Some((sent, 0))) => sent.extend(bytes),
            (Heard::Client(bytes), _) => turns.push((bytes, 0)),
            (Heard::Daemon(read), Some((_, reply))) => *reply += read,
            (Heard::Daemon(read), None) => turns.push((Vec::new(), read)),
        }
    }
    // The client's last words are its leave; what the daemon says to that nobody hears.
    let length = |length: usize| u32::try_from(length).expect("a short talk").to_le_bytes();
    let mut recording = Vec::new();
    for (sent, reply) in turns {
        recording.extend(length(sent.len()));
        recording.extend(sent);
        recording.extend(length(reply));
    }
    recording
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_in_a_row_is_one_turn() {
        let heard = vec![
            Heard::Client(b"a".to_vec()),
            Heard::Client(b"b".to_vec()),
            Heard::Daemon(2),
            Heard::Daemon(3),
            Heard::Client(b"c".to_vec()),
        ];
        let recording = turns(heard);
        assert_eq!(recording, b"\x02\0\0\0ab\x05\0\0\0\x01\0\0\0c\0\0\0\0");
    }
}
