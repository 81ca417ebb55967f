//! Profiles that are traps, and that they are: botocore, which the AWS CLI is made
//! of, does with each what doctor says.

use awsso_e2e::World;
use serde_json::{Value, json};

use super::doctor;

const SSO: &str = "[sso-session s]\nsso_start_url = https://a.example/start\nsso_region = eu-west-1\n\
                   [profile p]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = r\n";
const PROFILE: &str = "[profile p]\n";
const ROLE: &str = "[profile p]\nrole_arn = arn:aws:iam::111122223333:role/r\n";
const KEYS: &str = "[p]\naws_access_key_id = AKIA\naws_secret_access_key = s\n";
const ENVIRONMENT: &str = "credential_source = Environment\n";
const REFUSED: &str = "InvalidConfigError";

/// Lines of both files, what doctor says, and who answers for the profile `p`.
struct Trap {
    config: &'static [&'static str],
    credentials: &'static str,
    finding: &'static str,
    summary: &'static str,
    cure: &'static str,
    provider: &'static str,
}

const TRAPS: &[Trap] = &[
    Trap {
        config: &[SSO, "credential_process = x\n"],
        credentials: "",
        finding: "profile-sso-before-process",
        summary: "profile p: the sso_* settings come first, its credential_process",
        cure: "keep one of the two",
        provider: "sso",
    },
    Trap {
        config: &[PROFILE, "credential_process = x\n"],
        credentials: KEYS,
        finding: "profile-keys-before-process",
        summary: "profile p: its keys in the credentials file come first",
        cure: "remove the keys",
        provider: "shared-credentials-file",
    },
    Trap {
        config: &[
            SSO,
            "role_arn = arn:aws:iam::111122223333:role/r\nsource_profile = q\n",
        ],
        credentials: "[q]\naws_access_key_id = AKIA\naws_secret_access_key = s\n",
        finding: "profile-role-before-sso",
        summary: "profile p: role_arn comes first, its sso_* settings are not used",
        cure: "name that as source_profile",
        provider: "assume-role",
    },
    Trap {
        config: &[SSO],
        credentials: KEYS,
        finding: "profile-keys-and-sso",
        summary: "profile p has sso_* settings and keys in the credentials file",
        cure: "remove the keys",
        // Others take the keys.
        provider: "sso",
    },
    Trap {
        config: &[ROLE],
        credentials: "",
        finding: "profile-role-without-source",
        summary: "profile p has role_arn without source_profile or credential_source",
        cure: "add source_profile",
        provider: "PartialCredentialsError",
    },
    Trap {
        config: &[ROLE, ENVIRONMENT, "source_profile = p\n"],
        credentials: "",
        finding: "profile-role-with-two-sources",
        summary: "profile p has source_profile and credential_source",
        cure: "keep one of the two",
        provider: REFUSED,
    },
    Trap {
        config: &[ROLE, "source_profile = gone\n"],
        credentials: "",
        finding: "profile-no-source",
        summary: "profile p names a source_profile that is not there: gone",
        cure: "correct the name",
        provider: REFUSED,
    },
    Trap {
        config: &[
            PROFILE,
            "sso_session = gone\nsso_account_id = 1\nsso_role_name = r\n",
        ],
        credentials: "",
        finding: "profile-no-sso-session",
        summary: "profile p names an sso-session that is not there: gone",
        cure: "aws configure sso-session",
        provider: REFUSED,
    },
    Trap {
        config: &[SSO, "sso_region = eu-west-2\n"],
        credentials: "",
        finding: "profile-contradicts-sso-session",
        summary: "profile p: its sso_region is not that of its sso-session",
        cure: "remove it from the profile",
        provider: REFUSED,
    },
    Trap {
        config: &["[profile p\n"],
        credentials: "",
        finding: "profiles-unreadable",
        summary: "line 1 is a heading without its end",
        cure: "correct the file",
        provider: "ConfigParseError",
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn each_profile_that_is_a_trap_is_told_and_is_one() {
    let world = World::logged_in().await;
    for trap in TRAPS {
        world.aws_config(&trap.config.concat());
        world.write(".aws/credentials", trap.credentials);
        super::set_mode(&world.home().join(".aws/credentials"), 0o600);
        let checks = doctor(&world).await;
        let status = match trap.finding {
            "profiles-unreadable" => "fail",
            _ => "warn",
        };
        checks.have((trap.finding, status, trap.summary, trap.cure));
        let about = |check: &&&Value| check["id"] == "profiles";
        let complaints = checks.complaints();
        assert_eq!(complaints.iter().filter(about).count(), 1, "{checks:#?}");
        let provider = world.botocore("provider", &json!(["p"])).await;
        assert_eq!(provider, trap.provider, "{}", trap.finding);
    }
}
