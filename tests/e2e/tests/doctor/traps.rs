//! Variables and files that are in the way, one by one, on an otherwise sound machine.

use awsso_e2e::World;
use serde_json::Value;

use super::{Line, doctor_with, set_mode};

/// Variables, files in the home, and what is to be said then.
struct Trap {
    vars: &'static [(&'static str, &'static str)],
    file: (&'static str, &'static str, u32),
    line: Line,
}

const NO_FILE: (&str, &str, u32) = ("", "", 0);
const SECRET: &str = "wJalrXUtnFEMIcanary";

const TRAPS: &[Trap] = &[
    Trap {
        vars: &[
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ],
        file: NO_FILE,
        line: (
            "environment-keys",
            "warn",
            "AWS tools use the keys in AWS_ACCESS_KEY_ID",
            "unset AWS_ACCESS_KEY_ID",
        ),
    },
    Trap {
        vars: &[("AWS_SESSION_TOKEN", SECRET)],
        file: NO_FILE,
        line: (
            "environment-half-keys",
            "fail",
            "AWS_SESSION_TOKEN is set without its other half",
            "unset",
        ),
    },
    Trap {
        vars: &[
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_CREDENTIAL_EXPIRATION", "2020-01-01T00:00:00Z"),
        ],
        file: NO_FILE,
        line: (
            "environment-ended-keys",
            "fail",
            "the keys in AWS_ACCESS_KEY_ID ended",
            "unset",
        ),
    },
    Trap {
        vars: &[("AWS_PROFILE", "gone")],
        file: NO_FILE,
        line: (
            "environment-no-profile",
            "fail",
            "AWS_PROFILE names a profile that is not there: gone",
            "unset AWS_PROFILE",
        ),
    },
    Trap {
        vars: &[("AWS_CA_BUNDLE", "/nowhere/ca.pem")],
        file: NO_FILE,
        line: (
            "environment-no-file",
            "fail",
            "AWS_CA_BUNDLE names a file that is not there",
            "unset AWS_CA_BUNDLE",
        ),
    },
    Trap {
        vars: &[],
        file: (".aws/credentials", "[default]\nregion = x\n", 0o644),
        line: (
            "file-open",
            "fail",
            ".aws/credentials is open to other users",
            "chmod 600",
        ),
    },
    Trap {
        vars: &[],
        file: (".local/state/awsso/mcp-http.token", "token", 0o644),
        line: (
            "file-open",
            "fail",
            "mcp-http.token is open to other users",
            "chmod 600",
        ),
    },
    Trap {
        vars: &[],
        file: (".config/awsso/config.toml", "notify =\n", 0o600),
        line: (
            "configuration-unusable",
            "fail",
            "config.toml: line 1",
            "correct the file",
        ),
    },
    Trap {
        vars: &[],
        file: (
            ".config/awsso/config.toml",
            "[policy]\npresett = 'open'\n",
            0o600,
        ),
        line: (
            "agents-refused",
            "fail",
            "agents are refused because the policy cannot be trusted",
            "correct",
        ),
    },
    Trap {
        vars: &[],
        file: (".config/awsso/config.toml", "notify = false\n", 0o666),
        line: (
            "configuration-writable",
            "fail",
            "config.toml can be written by other users",
            "chmod go-w",
        ),
    },
    Trap {
        vars: &[("AWS_CONFIG_FILE", "/nowhere/file")],
        file: NO_FILE,
        line: (
            "environment-no-file",
            "fail",
            "AWS_CONFIG_FILE names a file that is not there: /nowhere/file",
            "unset AWS_CONFIG_FILE",
        ),
    },
    Trap {
        vars: &[("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/file")],
        file: NO_FILE,
        line: (
            "environment-no-file",
            "fail",
            "AWS_SHARED_CREDENTIALS_FILE names a file that is not there: /nowhere/file",
            "unset AWS_SHARED_CREDENTIALS_FILE",
        ),
    },
    Trap {
        vars: &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/file")],
        file: NO_FILE,
        line: (
            "environment-no-file",
            "fail",
            "AWS_WEB_IDENTITY_TOKEN_FILE names a file that is not there: /nowhere/file",
            "unset AWS_WEB_IDENTITY_TOKEN_FILE",
        ),
    },
    Trap {
        vars: &[("AWS_DEFAULT_PROFILE", "gone")],
        file: NO_FILE,
        line: (
            "environment-no-profile",
            "fail",
            "AWS_DEFAULT_PROFILE names a profile that is not there: gone",
            "unset AWS_DEFAULT_PROFILE",
        ),
    },
    Trap {
        vars: &[],
        file: (
            ".config/awsso/config.toml",
            "[lock]\non_idle = 'soon'\n",
            0o600,
        ),
        line: (
            "configuration-unusable",
            "fail",
            "config.toml: line 2: on_idle = \"soon\" is no span of time",
            "correct the file",
        ),
    },
    Trap {
        vars: &[],
        file: (
            ".config/awsso/config.toml",
            "[lock]\non_screen_lock = true\n",
            0o600,
        ),
        line: (
            "screen-lock-unheard",
            "warn",
            "a locked screen does not lock awsso: logind cannot be asked",
            "on_idle",
        ),
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn variables_and_files_that_are_in_the_way_are_found() {
    let world = World::logged_in().await;
    for Trap { vars, file, line } in TRAPS {
        let (path, text, mode) = file;
        if !path.is_empty() {
            world.write(path, text);
            set_mode(&world.home().join(path), *mode);
        }
        let checks = doctor_with(&world, vars).await;
        checks.have(*line);
        let others = checks.complaints();
        let same = |check: &&&Value| check["finding"] == line.0;
        assert!(
            others.iter().filter(same).count() == 1 && !format!("{others:?}").contains(SECRET),
            "{line:?}: {others:#?}"
        );
        if !path.is_empty() {
            std::fs::remove_file(world.home().join(path)).unwrap();
        }
    }
}
