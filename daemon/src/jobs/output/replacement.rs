//! What takes the place of a stored stream once all of it is there, and not
//! before: whoever reads sees the one or the other, also after a crash.

use std::{io, path::PathBuf, sync::Arc, sync::atomic::Ordering};

use awsso_proto::{disk, v1::OutputStream};
use tokio::{fs::File, io::AsyncWriteExt as _};

use super::Output;

/// Grows beside the stream. Dropped before its time, it is gone.
#[derive(Debug)]
pub struct Replacement {
    output: Arc<Output>,
    stream: OutputStream,
    path: PathBuf,
    file: File,
    written: u64,
    truncated: bool,
}

impl Output {
    pub fn replacement(self: &Arc<Self>, stream: OutputStream) -> io::Result<Replacement> {
        let path = self.part(stream);
        Ok(Replacement {
            file: File::from_std(disk::create_private(&path)?),
            output: Arc::clone(self),
            stream,
            path,
            written: 0,
            truncated: false,
        })
    }
}

impl Replacement {
    /// `false` once the output has reached its limit: what follows is not wanted.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let room = self.output.limit.saturating_sub(self.written);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        self.truncated |= bytes.len() > room;
        let bytes = &bytes[..bytes.len().min(room)];
        self.file.write_all(bytes).await?;
        self.written += bytes.len() as u64;
        Ok(!self.truncated)
    }

    pub async fn take_place(mut self) -> io::Result<()> {
        self.file.flush().await?;
        std::fs::rename(&self.path, self.output.path(self.stream))?;
        let state = self.output.stream(self.stream);
        state.truncated.store(self.truncated, Ordering::Release);
        state.written.store(self.written, Ordering::Release);
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path); // it has taken its place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn stored(output: &Output) -> Vec<u8> {
        output.read(OutputStream::Stdout, 0, 100).await.unwrap()
    }

    #[tokio::test]
    async fn a_stream_is_replaced_by_all_of_another_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::new(dir.path(), "out_1".into(), 12);
        let mut writer = output.writer(OutputStream::Stdout);
        writer.write(b"hello").await.unwrap();
        output.mark_truncated(OutputStream::Stdout);

        let mut given_up = output.replacement(OutputStream::Stdout).unwrap();
        assert!(given_up.write(b"hello wo").await.unwrap());
        drop(given_up);
        assert_eq!(stored(&output).await, b"hello");
        assert!(output.is_truncated());

        let mut whole = output.replacement(OutputStream::Stdout).unwrap();
        assert!(whole.write(b"hello ").await.unwrap());
        assert!(whole.write(b"world").await.unwrap());
        assert_eq!(stored(&output).await, b"hello");
        whole.take_place().await.unwrap();
        assert_eq!(stored(&output).await, b"hello world");
        assert!(!output.is_truncated());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_replacement_ends_at_the_limit_of_its_output() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::new(dir.path(), "out_1".into(), 4);
        let mut whole = output.replacement(OutputStream::Stdout).unwrap();
        assert!(whole.write(b"1234").await.unwrap());
        assert!(!whole.write(b"5").await.unwrap());
        whole.take_place().await.unwrap();
        assert_eq!(stored(&output).await, b"1234");
        assert!(output.is_truncated());
    }
}
