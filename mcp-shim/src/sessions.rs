//! The sessions of the older protocols over HTTP: so many, and when there is one
//! more, the one that has been silent for longest ends. Not every client ends its
//! own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName};
use rmcp::transport::streamable_http_server::session::{
    SessionId, SessionManager as _, local::LocalSessionManager,
};

const ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// Sessions at the same time.
const MOST: usize = 256;

/// A client's session survives a long lunch: not every client begins a new one.
const IDLE: Duration = Duration::from_hours(8);

pub(crate) struct Sessions {
    pub manager: Arc<LocalSessionManager>,
    /// When each was last heard of.
    heard: Mutex<HashMap<SessionId, Instant>>,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        let mut manager = LocalSessionManager::default();
        manager.session_config.keep_alive = Some(IDLE);
        Self {
            manager: Arc::new(manager),
            heard: Mutex::default(),
        }
    }

    /// Takes note of the session of a request.
    pub(crate) fn heard(&self, request: &HeaderMap) {
        if let Some(id) = id(request)
            && let Some(heard) = self.all().get_mut(&id)
        {
            *heard = Instant::now();
        }
    }

    /// Takes note of a session that an answer begins, and makes room for it.
    pub(crate) async fn begun(&self, answer: &HeaderMap) {
        let Some(id) = id(answer) else {
            return;
        };
        let silent = {
            let mut all = self.all();
            let silent = oldest(&all).filter(|_| all.len() >= MOST);
            if let Some(silent) = &silent {
                all.remove(silent);
            }
            all.insert(id, Instant::now());
            silent
        };
        if let Some(silent) = silent {
            // It may have ended by itself.
            let _ = self.manager.close_session(&silent).await;
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, Instant>> {
        // Each change is one call of the map, so a panic cannot have torn it.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn id(headers: &HeaderMap) -> Option<SessionId> {
    Some(headers.get(ID)?.to_str().ok()?.into())
}

fn oldest(heard: &HashMap<SessionId, Instant>) -> Option<SessionId> {
    let oldest = heard.iter().min_by_key(|(_, heard)| **heard);
    oldest.map(|(id, _)| id.clone())
}
