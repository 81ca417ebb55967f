//! One message on the person's desktop, or one question. Best effort: most
//! servers have none.

use std::time::Duration;

use tokio::time;
use tokio_util::sync::CancellationToken;

/// A desktop answers in milliseconds; a message that comes later helps nobody.
const PATIENCE: Duration = Duration::from_secs(2);
const APP: &str = "awsso";

/// Shows the message, or says in one line why it could not.
pub async fn notify(summary: &str, body: &str) -> Result<(), String> {
    match time::timeout(PATIENCE, desktop::show(summary, body)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()),
        Err(_) => Err("the desktop does not answer".to_owned()),
    }
}

/// With two buttons.
pub struct Question<'a> {
    pub summary: &'a str,
    pub body: &'a str,
    pub yes: &'a str,
    pub no: &'a str,
}

/// Asks, and returns the answer: none when the person closes the message, or when
/// it is `settled` elsewhere, which takes the message back. `asked` is called once
/// a person can see it.
pub async fn ask(
    question: &Question<'_>,
    settled: &CancellationToken,
    asked: impl FnOnce() + Send,
) -> Result<Option<bool>, String> {
    desktop::ask(question, settled, asked)
        .await
        .map_err(|error| error.to_string())
}

/// The Desktop Notifications Specification, version 1.2 and later.
#[cfg(all(unix, not(target_os = "macos")))]
mod desktop {
    use std::collections::HashMap;

    use tokio_stream::StreamExt as _;
    use tokio_util::sync::CancellationToken;
    use zbus::{Connection, zvariant::Value};

    use super::{APP, PATIENCE, Question};

    const NORMAL: u8 = 1;
    /// How long it stays is the desktop's choice.
    const EXPIRES: i32 = -1;
    /// A question stays until it is answered.
    const NEVER: i32 = 0;
    const CRITICAL: u8 = 2;

    #[zbus::proxy(
        interface = "org.freedesktop.Notifications",
        default_service = "org.freedesktop.Notifications",
        default_path = "/org/freedesktop/Notifications",
        gen_blocking = false
    )]
    trait Notifications {
        fn get_capabilities(&self) -> zbus::Result<Vec<String>>;

        #[expect(clippy::too_many_arguments, reason = "the specification's own")]
        fn notify(
            &self,
            app_name: &str,
            replaces_id: u32,
            app_icon: &str,
            summary: &str,
            body: &str,
            actions: &[&str],
            hints: HashMap<&str, Value<'_>>,
            expire_timeout: i32,
        ) -> zbus::Result<u32>;

        fn close_notification(&self, id: u32) -> zbus::Result<()>;

        #[zbus(signal)]
        fn action_invoked(&self, id: u32, action_key: String) -> zbus::Result<()>;

        #[zbus(signal)]
        fn notification_closed(&self, id: u32, reason: u32) -> zbus::Result<()>;
    }

    pub async fn show(summary: &str, body: &str) -> zbus::Result<()> {
        let bus = Connection::session().await?;
        let desktop = NotificationsProxy::new(&bus).await?;
        let body = as_it_takes_it(body, &desktop.get_capabilities().await?);
        let hints = HashMap::from([("urgency", NORMAL.into())]);
        desktop
            .notify(APP, 0, "", summary, &body, &[], hints, EXPIRES)
            .await?;
        Ok(())
    }

    pub async fn ask(
        question: &Question<'_>,
        settled: &CancellationToken,
        asked: impl FnOnce() + Send,
    ) -> zbus::Result<Option<bool>> {
        let late = |_| zbus::Error::Failure("the desktop does not answer".to_owned());
        let showing = async {
            let bus = Connection::session().await?;
            let desktop = NotificationsProxy::new(&bus).await?;
            let capabilities = desktop.get_capabilities().await?;
            if !capabilities.iter().any(|name| name == "actions") {
                let what = "the desktop shows no buttons".to_owned();
                return Err(zbus::Error::Failure(what));
            }
            // Before the question: an answer may be quick.
            let answers = desktop.receive_action_invoked().await?;
            let ends = desktop.receive_notification_closed().await?;
            let body = as_it_takes_it(question.body, &capabilities);
            let actions = ["yes", question.yes, "no", question.no];
            let hints = HashMap::from([("urgency", CRITICAL.into())]);
            let id = desktop
                .notify(APP, 0, "", question.summary, &body, &actions, hints, NEVER)
                .await?;
            Ok((desktop, answers, ends, id))
        };
        let (desktop, mut answers, mut ends, id) = tokio::time::timeout(PATIENCE, showing)
            .await
            .map_err(late)??;
        asked();
        loop {
            tokio::select! {
                Some(answer) = answers.next() => {
                    let answer = answer.args()?;
                    if answer.id == id && ["yes", "no"].contains(&answer.action_key.as_str()) {
                        return Ok(Some(answer.action_key == "yes"));
                    }
                }
                Some(end) = ends.next() => {
                    if end.args()?.id == id {
                        return Ok(None);
                    }
                }
                () = settled.cancelled() => {
                    desktop.close_notification(id).await?;
                    return Ok(None);
                }
                else => return Ok(None),
            }
        }
    }

    /// A server without markup would show the escapes themselves.
    fn as_it_takes_it(body: &str, capabilities: &[String]) -> String {
        if capabilities.iter().any(|name| name == "body-markup") {
            escaped(body)
        } else {
            body.to_owned()
        }
    }

    fn escaped(text: &str) -> String {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn markup_in_a_body_is_text() {
            assert_eq!(
                escaped("<b>R&D</b> &lt;"),
                "&lt;b&gt;R&amp;D&lt;/b&gt; &amp;lt;"
            );
        }
    }
}

#[cfg(any(target_os = "macos", windows))]
mod desktop {
    use std::io;

    use notify_rust::Notification;
    use tokio_util::sync::CancellationToken;

    use super::{APP, Question};

    pub async fn show(summary: &str, body: &str) -> io::Result<()> {
        let mut message = Notification::new();
        message.appname(APP).summary(summary).body(body);
        tokio::task::spawn_blocking(move || message.show().map(drop))
            .await?
            .map_err(io::Error::other)
    }

    /// These systems tell only the program that is shown as its own application.
    pub async fn ask(
        _: &Question<'_>,
        _: &CancellationToken,
        _: impl FnOnce() + Send,
    ) -> io::Result<Option<bool>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
