//! What `Daemon.Diagnose` tells: of each owner what only it knows. Bounded in
//! time, and it changes nothing.

use std::time::Duration;

use awsso_proto::v1::{
    AwsContact, DiagnoseResponse, GetSessionResponse, SessionRef, Throttled, timestamp,
};

use super::Services;
use crate::{
    config::{self, Files},
    policy::{Principal, admit},
};

/// Longer than a keyring may take to answer.
const STORE_LIMIT: Duration = Duration::from_secs(3);
/// logind is given less.
const SCREEN_LIMIT: Duration = STORE_LIMIT;
/// "Slow down" is told of for so long.
const LATELY: Duration = Duration::from_mins(10);

impl Services {
    pub(super) async fn diagnosis(&self, reference: &SessionRef) -> DiagnoseResponse {
        let (files, configuration_error) = match self.config.files() {
            Ok(files) => (files, String::new()),
            Err(failure) => (Files::default(), failure.to_string()),
        };
        let refused = if configuration_error.is_empty() {
            admit(Principal::Agent, &files)
        } else {
            Ok(()) // everybody is
        };
        let (status, aws, screen_lock_unheard) = tokio::join!(
            self.status_with_store(reference, &files),
            self.contact(reference, &files),
            self.screen_lock_unheard(&files)
        );
        let throttled = self.limiters.throttled(LATELY).into_iter();
        DiagnoseResponse {
            status: Some(status),
            configuration_error,
            agents_refused: refused.err().map(|it| it.message).unwrap_or_default(),
            audit_log_broken: self.audit.is_broken(),
            aws,
            throttled: throttled
                .map(|(place, ago)| Throttled {
                    place,
                    ago: prost_types::Duration::try_from(ago).ok(),
                })
                .collect(),
            locked: self.lock.is_closed(),
            screen_lock_unheard,
        }
    }

    async fn screen_lock_unheard(&self, files: &Files) -> String {
        if files.settings.lock.on_screen_lock {
            self.lock.screen_trouble(SCREEN_LIMIT).await
        } else {
            String::new()
        }
    }

    /// A status does not wait for a keyring as long as this may.
    async fn status_with_store(&self, reference: &SessionRef, files: &Files) -> GetSessionResponse {
        let mut status = self.snapshot(reference, files).await;
        if status.store.is_none() {
            let store = tokio::time::timeout(STORE_LIMIT, self.sessions.store()).await;
            status.store = store.ok();
        }
        status
    }

    /// Asks the login service of the session that is meant what time it is.
    async fn contact(&self, reference: &SessionRef, files: &Files) -> Option<AwsContact> {
        let resolved = config::resolve(reference, files, &self.sessions.specs()).ok()?;
        let contact = self.aws.contact(&resolved.spec.region).await;
        let (aws_time, error) = match contact.time {
            Ok(time) => (Some(timestamp(time)), String::new()),
            Err(error) => (None, error),
        };
        Some(AwsContact {
            url: contact.url,
            error,
            aws_time,
            own_time: Some(timestamp(contact.asked)),
            proxy: contact.proxy,
        })
    }
}
