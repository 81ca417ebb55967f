//! Which environment variables may pass where: what both ends must agree on.
//! A list holds names, and prefixes that end in `*`.

/// What the AWS CLI sees of a client's environment. A client sends no more, and
/// the daemon takes no more: nothing that carries credentials, an endpoint or a
/// profile.
pub const FOR_AWS_CLI: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    // Windows's own, without which neither Python nor a socket works there.
    "USERPROFILE",
    "USERNAME",
    "APPDATA",
    "LOCALAPPDATA",
    "PATHEXT",
    "SystemDrive",
    "SystemRoot",
    "TEMP",
    "TMP",
    "TMPDIR",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TERM",
    "COLUMNS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_*",
    "REQUESTS_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_DATA_PATH",
    "AWS_DEFAULT_OUTPUT",
    "AWS_CLI_*",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    "PYENV_*",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
];

/// What a daemon inherits from the client that starts it.
pub const FOR_DAEMON: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "PATH",
    "LANG",
    "LC_*",
    "TZ",
    "TMPDIR",
    "XDG_*",
    "DBUS_SESSION_BUS_ADDRESS",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_*",
    "AWSSO_*",
    "AWS_ENDPOINT_URL*",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_USE_*",
    "AWS_EC2_METADATA_DISABLED",
    // Windows's own.
    "USERPROFILE",
    "USERNAME",
    "USERDOMAIN",
    "APPDATA",
    "LOCALAPPDATA",
    "PATHEXT",
    "SystemDrive",
    "SystemRoot",
    "TEMP",
    "TMP",
];

/// Whether a name is on a list.
pub fn is_listed(list: &[&str], name: &str) -> bool {
    entry(list, name, IGNORES_CASE).is_some()
}

/// This process's variables that are on a list, as far as they are UTF-8, by the
/// names that the list has for them.
pub fn listed(list: &'static [&'static str]) -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter_map(|(name, value)| Some((named(list, name, IGNORES_CASE)?, value)))
}

/// `Path` is `PATH` on Windows.
const IGNORES_CASE: bool = matches!(std::env::consts::OS.as_bytes(), b"windows");

fn named(list: &[&str], name: String, ignores_case: bool) -> Option<String> {
    let entry = entry(list, &name, ignores_case)?;
    Some(match entry.strip_suffix('*') {
        None => entry.to_owned(),
        Some(_) if ignores_case => name.to_ascii_uppercase(),
        Some(_) => name,
    })
}

fn entry<'a>(list: &[&'a str], name: &str, ignores_case: bool) -> Option<&'a str> {
    let is = |part: &str, known: &str| {
        part == known || (ignores_case && part.eq_ignore_ascii_case(known))
    };
    let mut entries = list.iter().copied();
    entries.find(|entry| match entry.strip_suffix('*') {
        Some(prefix) => name
            .get(..prefix.len())
            .is_some_and(|start| is(start, prefix)),
        None => is(name, entry),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_list_lets_keys_or_loaders_through() {
        let kept = |list: &[&str], names: &[&'static str]| -> Vec<&str> {
            names
                .iter()
                .copied()
                .filter(|name| is_listed(list, name))
                .collect()
        };
        let names = [
            "HOME",
            "LC_ALL",
            "AWS_ENDPOINT_URL_SSO",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_PROFILE",
            "OPENAI_API_KEY",
            "LD_PRELOAD",
        ];
        assert_eq!(kept(FOR_AWS_CLI, &names), ["HOME", "LC_ALL"]);
        assert_eq!(
            kept(FOR_DAEMON, &names),
            ["HOME", "LC_ALL", "AWS_ENDPOINT_URL_SSO"]
        );
    }
    #[test]
    fn where_case_does_not_count_a_name_comes_as_the_list_has_it() {
        for (name, plain, windows) in [
            ("PATH", Some("PATH"), Some("PATH")),
            ("Path", None, Some("PATH")),
            ("SYSTEMROOT", None, Some("SystemRoot")),
            ("lc_all", None, Some("LC_ALL")),
            ("LC_All", Some("LC_All"), Some("LC_ALL")),
            ("Ld_Preload", None, None),
        ] {
            let named = |ignores_case| named(FOR_AWS_CLI, name.to_owned(), ignores_case);
            assert_eq!(named(false).as_deref(), plain, "{name}");
            assert_eq!(named(true).as_deref(), windows, "{name}");
        }
    }
}
