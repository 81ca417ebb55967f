//! Chromium's `DevTools` protocol as `--remote-debugging-pipe` speaks it: JSON,
//! each message ended by a NUL. One call at a time; events are skipped.

use std::fmt;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{ChildStdin, ChildStdout},
};

pub struct DevTools {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// What has been read of a message: kept, so that a call can be given up.
    message: Vec<u8>,
    last_id: u64,
}

/// What the browser says about a call that it does not carry out.
#[derive(Debug)]
pub struct Refused {
    pub code: i64,
    why: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.why, self.code)
    }
}

impl DevTools {
    pub fn new(to: ChildStdin, from: ChildStdout) -> Self {
        Self {
            to,
            from: BufReader::new(from),
            message: Vec::new(),
            last_id: 0,
        }
    }

    /// Calls a method of the browser, or of the page that a session belongs to.
    pub async fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, Refused> {
        self.last_id += 1;
        let mut request = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = session {
            request["sessionId"] = session.into();
        }
        let written = self.to.write_all(format!("{request}\0").as_bytes()).await;
        written.expect("Chromium reads");
        loop {
            let mut message = self.read().await;
            if message["id"] != self.last_id {
                continue;
            }
            let error = &message["error"];
            if error.is_null() {
                return Ok(message["result"].take());
            }
            return Err(Refused {
                code: error["code"].as_i64().unwrap_or_default(),
                why: error["message"].to_string(),
            });
        }
    }

    async fn read(&mut self) -> Value {
        let read = self.from.read_until(0, &mut self.message).await;
        read.expect("a pipe can be read");
        assert_eq!(self.message.pop(), Some(0), "Chromium ended");
        let message = serde_json::from_slice(&self.message).expect("JSON");
        self.message.clear();
        message
    }
}
