//! One message on the person's desktop. Best effort: most servers have none.

use std::time::Duration;

use tokio::time;

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

/// The Desktop Notifications Specification, version 1.2 and later.
#[cfg(all(unix, not(target_os = "macos")))]
mod desktop {
    use std::collections::HashMap;

    use zbus::{Connection, zvariant::Value};

    use super::APP;

    const NORMAL: u8 = 1;
    /// How long it stays is the desktop's choice.
    const EXPIRES: i32 = -1;

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
    }

    pub async fn show(summary: &str, body: &str) -> zbus::Result<()> {
        let bus = Connection::session().await?;
        let desktop = NotificationsProxy::new(&bus).await?;
        let capabilities = desktop.get_capabilities().await?;
        // A server without markup would show the escapes themselves.
        let body = if capabilities.iter().any(|name| name == "body-markup") {
            escaped(body)
        } else {
            body.to_owned()
        };
        let hints = HashMap::from([("urgency", NORMAL.into())]);
        desktop
            .notify(APP, 0, "", summary, &body, &[], hints, EXPIRES)
            .await?;
        Ok(())
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

    use super::APP;

    pub async fn show(summary: &str, body: &str) -> io::Result<()> {
        let mut message = Notification::new();
        message.appname(APP).summary(summary).body(body);
        tokio::task::spawn_blocking(move || message.show().map(drop))
            .await?
            .map_err(io::Error::other)
    }
}
