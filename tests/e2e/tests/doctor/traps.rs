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
            "environment",
            "warn",
            "AWS tools use the keys in AWS_ACCESS_KEY_ID",
            "unset AWS_ACCESS_KEY_ID",
        ),
    },
    Trap {
        vars: &[("AWS_SESSION_TOKEN", SECRET)],
        file: NO_FILE,
        line: (
            "environment",
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
            "environment",
            "fail",
            "the keys in AWS_ACCESS_KEY_ID ended",
            "unset",
        ),
    },
    Trap {
        vars: &[("AWS_PROFILE", "gone")],
        file: NO_FILE,
        line: (
            "environment",
            "fail",
            "AWS_PROFILE names a profile that is not there: gone",
            "unset AWS_PROFILE",
        ),
    },
    Trap {
        vars: &[("AWS_CA_BUNDLE", "/nowhere/ca.pem")],
        file: NO_FILE,
        line: (
            "environment",
            "fail",
            "AWS_CA_BUNDLE names a file that is not there",
            "unset AWS_CA_BUNDLE",
        ),
    },
    Trap {
        vars: &[],
        file: (
            ".aws/config",
            "[profile both]\nsso_account_id = 1\nsso_role_name = r\ncredential_process = x\n",
            0o600,
        ),
        line: (
            "profiles",
            "warn",
            "profile both: the sso_* settings come first",
            "keep one",
        ),
    },
    Trap {
        vars: &[],
        file: (".aws/config", "[profile p]\nsso_session = gone\n", 0o600),
        line: (
            "profiles",
            "warn",
            "an sso-session that is not there: gone",
            "aws configure sso-session",
        ),
    },
    Trap {
        vars: &[],
        file: (".aws/config", "[profile p\n", 0o600),
        line: (
            "profiles",
            "fail",
            "line 1 is a heading without its end",
            "correct the file",
        ),
    },
    Trap {
        vars: &[],
        file: (".aws/credentials", "[default]\nregion = x\n", 0o644),
        line: (
            "files",
            "fail",
            ".aws/credentials is open to other users",
            "chmod 600",
        ),
    },
    Trap {
        vars: &[],
        file: (".local/state/awsso/mcp-http.token", "token", 0o644),
        line: (
            "files",
            "fail",
            "mcp-http.token is open to other users",
            "chmod 600",
        ),
    },
    Trap {
        vars: &[],
        file: (".config/awsso/config.toml", "notify =\n", 0o600),
        line: (
            "configuration",
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
            "configuration",
            "fail",
            "agents are refused because the policy cannot be trusted",
            "correct",
        ),
    },
    Trap {
        vars: &[],
        file: (".config/awsso/config.toml", "notify = false\n", 0o666),
        line: (
            "files",
            "fail",
            "config.toml can be written by other users",
            "chmod go-w",
        ),
    },
    Trap {
        vars: &[],
        file: (
            ".cursor/mcp.json",
            "{\"mcpServers\": {\"awsso\": {\"command\": \"/gone/awsso-mcp\"}}}",
            0o600,
        ),
        line: (
            "mcp",
            "fail",
            "Cursor: /gone/awsso-mcp is not there",
            "awsso mcp install cursor",
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
        let same = |check: &&&Value| check["id"] == line.0;
        assert!(
            others.iter().filter(same).count() == 1 && !format!("{others:?}").contains(SECRET),
            "{line:?}: {others:#?}"
        );
        if !path.is_empty() {
            std::fs::remove_file(world.home().join(path)).unwrap();
        }
    }
}
