//! `[lock]` in `config.toml`: when awsso locks by itself. Each is off unless a person
//! wants it.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

/// Anything shorter would lock between two commands.
const SHORTEST: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LockSettings {
    /// When no person has asked for anything for so long.
    #[serde(deserialize_with = "span")]
    pub on_idle: Option<Duration>,
    /// When the screen is locked, and before the machine sleeps.
    pub on_screen_lock: bool,
}

/// `30m`, `1h 30m`
fn span<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(value)?;
    let wrong = |why: &dyn std::fmt::Display| {
        D::Error::custom(format!(
            "on_idle = {text:?} is no span of time: {why}; write one as \"30m\""
        ))
    };
    match humantime::parse_duration(&text) {
        Ok(span) if span < SHORTEST => Err(wrong(&"it is less than a second")),
        Ok(span) => Ok(Some(span)),
        Err(error) => Err(wrong(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn nothing_locks_by_itself_unless_somebody_wants_it() {
        let lock = |text| Settings::parse(text).unwrap().lock;
        assert_eq!(lock(""), LockSettings::default());
        assert_eq!(LockSettings::default().on_idle, None);
        let both = lock("[lock]\non_idle = '1h 30m'\non_screen_lock = true\n");
        assert_eq!(both.on_idle, Some(Duration::from_mins(90)));
        assert!(both.on_screen_lock);
    }

    #[test]
    fn a_span_that_is_none_is_named_with_its_line() {
        for value in ["'soon'", "''", "'0s'", "'500ms'", "30", "true"] {
            let error = Settings::parse(&format!("[lock]\non_idle = {value}\n")).unwrap_err();
            assert!(error.starts_with("line 2: "), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
