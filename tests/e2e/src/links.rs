//! A browser that opens nothing: it hands each link to the test.

use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::unix::pipe::{OpenOptions, Receiver},
};

use crate::{World, process::script, world::within_limit};

pub struct Links {
    browser: PathBuf,
    lines: Lines<BufReader<Receiver>>,
}

impl World {
    pub fn links(&self) -> Links {
        let (browser, pipe) = (self.dir().join("browser"), self.dir().join("links"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");
        script(
            &browser,
            &format!("printf '%s\\n' \"$1\" >'{}'", pipe.display()),
        );
        // Writing as well, it has no end between two links.
        let opened = OpenOptions::new().read_write(true).open_receiver(&pipe);
        Links {
            browser,
            lines: BufReader::new(opened.expect("a named pipe")).lines(),
        }
    }
}

impl Links {
    /// What `BROWSER` is to be.
    pub fn browser(&self) -> &Path {
        &self.browser
    }

    /// Waits for the next link.
    pub async fn next(&mut self) -> String {
        let line = within_limit("a link to open", self.lines.next_line()).await;
        line.expect("UTF-8").expect("a pipe without an end")
    }
}
