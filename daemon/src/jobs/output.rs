//! What a task printed: two files, written as it comes, readable while they
//! grow, bounded. Nothing of it is held in memory.

mod replacement;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use awsso_proto::{Failure, Reason, v1::OutputStream};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
};

use awsso_proto::disk;
pub use replacement::Replacement;

/// The output of one task.
#[derive(Debug)]
pub struct Output {
    pub id: String,
    base: PathBuf,
    limit: u64,
    stdout: Stream,
    stderr: Stream,
    gone: AtomicBool,
}

#[derive(Debug, Default)]
struct Stream {
    written: AtomicU64,
    truncated: AtomicBool,
}

impl Output {
    /// Nothing is on disk until something is printed.
    pub fn new(dir: &Path, id: String, limit: u64) -> Arc<Self> {
        Arc::new(Self {
            base: dir.join(&id),
            id,
            limit,
            stdout: Stream::default(),
            stderr: Stream::default(),
            gone: AtomicBool::default(),
        })
    }

    /// Takes what an earlier daemon stored for all there is.
    pub fn found(&self, truncated: bool) {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let length = std::fs::metadata(self.path(stream)).map_or(0, |file| file.len());
            let state = self.stream(stream);
            state.written.store(length, Ordering::Release);
            state.truncated.store(truncated, Ordering::Release);
        }
    }

    /// The path without its `.stdout` or `.stderr`.
    pub fn base(&self) -> &Path {
        &self.base
    }

    pub fn written(&self, stream: OutputStream) -> u64 {
        self.stream(stream).written.load(Ordering::Acquire)
    }

    pub fn is_truncated(&self) -> bool {
        [&self.stdout, &self.stderr]
            .iter()
            .any(|stream| stream.truncated.load(Ordering::Acquire))
    }

    /// On disk, of both streams.
    pub fn stored(&self) -> u64 {
        self.written(OutputStream::Stdout) + self.written(OutputStream::Stderr)
    }

    /// It was stored once.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// What the source itself has cut.
    pub fn mark_truncated(&self, stream: OutputStream) {
        self.stream(stream).truncated.store(true, Ordering::Release);
    }

    pub fn writer(self: &Arc<Self>, stream: OutputStream) -> Writer {
        Writer {
            output: Arc::clone(self),
            stream,
            file: None,
        }
    }

    /// Up to `max` bytes from `offset`; empty at the end of what is there.
    pub async fn read(
        &self,
        stream: OutputStream,
        offset: u64,
        max: usize,
    ) -> Result<Vec<u8>, Failure> {
        let left = self.written(stream).saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(max);
        if length == 0 {
            return Ok(Vec::new());
        }
        let read = async {
            let mut file = File::open(self.path(stream)).await?;
            file.seek(io::SeekFrom::Start(offset)).await?;
            let mut bytes = vec![0; length];
            file.read_exact(&mut bytes).await?;
            io::Result::Ok(bytes)
        };
        read.await.map_err(|error| {
            Failure::new(
                Reason::Internal,
                format!("the stored output {} cannot be read: {error}", self.id),
            )
        })
    }

    /// From its beginning; none when nothing was printed.
    pub fn open(&self, stream: OutputStream) -> io::Result<Option<std::fs::File>> {
        match std::fs::File::open(self.path(stream)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what was stored. Nobody may be writing.
    pub fn discard(&self) {
        self.gone.store(true, Ordering::Release);
        for stream in [&self.stdout, &self.stderr] {
            stream.truncated.store(true, Ordering::Release);
            stream.written.store(0, Ordering::Release);
        }
        self.remove();
    }

    /// Removes the files.
    pub fn remove(&self) {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let _ = std::fs::remove_file(self.path(stream)); // never written, or gone
            let _ = std::fs::remove_file(self.part(stream)); // of a daemon that was killed
        }
    }

    fn path(&self, stream: OutputStream) -> PathBuf {
        let mut path = self.base.clone().into_os_string();
        path.push(match stream {
            OutputStream::Stderr => ".stderr",
            OutputStream::Stdout | OutputStream::Unspecified => ".stdout",
        });
        path.into()
    }

    /// Where a replacement grows.
    fn part(&self, stream: OutputStream) -> PathBuf {
        let mut path = self.path(stream).into_os_string();
        path.push(".part");
        path.into()
    }

    fn stream(&self, stream: OutputStream) -> &Stream {
        match stream {
            OutputStream::Stderr => &self.stderr,
            OutputStream::Stdout | OutputStream::Unspecified => &self.stdout,
        }
    }
}

/// Appends to one stream.
#[derive(Debug)]
pub struct Writer {
    output: Arc<Output>,
    stream: OutputStream,
    file: Option<File>,
}

impl Writer {
    /// On return the bytes can be read. Beyond the limit they are dropped, and
    /// the output says so.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let state = self.output.stream(self.stream);
        let written = state.written.load(Ordering::Acquire);
        let room = usize::try_from(self.output.limit.saturating_sub(written)).unwrap_or(usize::MAX);
        if bytes.len() > room {
            state.truncated.store(true, Ordering::Release);
        }
        let bytes = &bytes[..bytes.len().min(room)];
        if bytes.is_empty() {
            return Ok(());
        }
        let file = if let Some(file) = &mut self.file {
            file
        } else {
            let path = self.output.path(self.stream);
            self.file
                .insert(File::from_std(disk::create_private(&path)?))
        };
        file.write_all(bytes).await?;
        file.flush().await?;
        state
            .written
            .store(written + bytes.len() as u64, Ordering::Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_output_reads_back_while_it_grows_and_ends_at_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::new(dir.path(), "out_1".into(), 10);
        assert!(
            output
                .read(OutputStream::Stdout, 0, 100)
                .await
                .unwrap()
                .is_empty()
        );
        let mut writer = output.writer(OutputStream::Stdout);
        writer.write(b"hello ").await.unwrap();
        assert_eq!(
            output.read(OutputStream::Stdout, 0, 100).await.unwrap(),
            b"hello "
        );
        writer.write(b"world").await.unwrap();
        assert_eq!(
            output.read(OutputStream::Stdout, 6, 100).await.unwrap(),
            b"worl"
        );
        assert!(output.is_truncated());
        assert_eq!(output.written(OutputStream::Stderr), 0);
        output.remove();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
