//! Opens a link in the person's browser: never blocks, never writes to our
//! stdout, and says so when there is nobody to show it to.

use std::time::Duration;

/// A launcher that has not failed by then has handed the link over.
const LAUNCH_LIMIT: Duration = Duration::from_secs(3);

/// Whether the browser took the link.
pub(crate) async fn open(link: &str) -> bool {
    if !link.starts_with("https://") && !link.starts_with("http://") {
        return false;
    }
    let link = link.to_owned();
    let launched = tokio::task::spawn_blocking(move || open::that_detached(link));
    match tokio::time::timeout(LAUNCH_LIMIT, launched).await {
        Ok(Ok(Ok(()))) => true,
        Ok(Ok(Err(error))) => {
            tracing::warn!(%error, "no browser could be started");
            false
        }
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Whether this process can show a person a window.
pub(crate) fn has_display(system: &str, var: &dyn Fn(&str) -> Option<String>) -> bool {
    let any = |names: &[&str]| names.iter().any(|name| var(name).is_some());
    match system {
        "macos" | "windows" => !any(&["SSH_CONNECTION"]),
        _ => any(&["DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "WSL_DISTRO_NAME"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_needs_a_display_and_a_mac_over_ssh_has_none() {
        let shows = |system, set: &'static str| {
            has_display(system, &|name| (name == set).then(|| "1".to_owned()))
        };
        assert!(!shows("linux", ""));
        assert!(shows("linux", "WAYLAND_DISPLAY"));
        assert!(shows("macos", ""));
        assert!(!shows("macos", "SSH_CONNECTION"));
    }

    #[tokio::test]
    async fn only_web_links_are_opened() {
        assert!(!open("file:///etc/passwd").await);
        assert!(!open("-help").await);
    }
}
