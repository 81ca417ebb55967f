use awsso_proto::v1::SessionStatus;
use prost_types::Timestamp;

use super::*;

const LATER: Option<Timestamp> = Some(Timestamp {
    seconds: 1_800_000_000,
    nanos: 0,
});

fn text(result: &CallToolResult) -> String {
    serde_json::to_value(&result.content).unwrap()[0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_pending_login_gives_the_link_and_the_code_as_text_and_as_data() {
    let prompt = LoginPrompt {
        session: "corp".into(),
        verification_uri: "https://device.sso/".into(),
        verification_uri_complete: "https://device.sso/?c=ABCD-EFGH".into(),
        user_code: "ABCD-EFGH".into(),
        expires_at: LATER,
        joined: false,
        flow: LoginFlow::Device.into(),
    };
    let result = pending(&prompt, Page::NoDisplay);
    assert_eq!(
        text(&result),
        "Login pending for corp. No browser has been opened: there is no display here.\n\
         Ask the person to open https://device.sso/?c=ABCD-EFGH and confirm the code ABCD-EFGH \
         before 2027-01-15T08:00:00Z, then call aws_sso_status with waitSeconds 45."
    );
    assert_eq!(
        result.structured_content,
        Some(json!({
            "state": "pending",
            "session": "corp",
            "browserOpened": false,
            "verificationUri": "https://device.sso/",
            "verificationUriComplete": "https://device.sso/?c=ABCD-EFGH",
            "userCode": "ABCD-EFGH",
            "expiresAt": "2027-01-15T08:00:00Z",
            "flow": "device",
        }))
    );
}

#[test]
fn a_login_in_this_computers_browser_has_no_code_and_says_how_to_get_one() {
    let prompt = LoginPrompt {
        session: "corp".into(),
        verification_uri: "https://oidc/authorize".into(),
        expires_at: LATER,
        flow: LoginFlow::Browser.into(),
        ..LoginPrompt::default()
    };
    let result = pending(&prompt, Page::Opened);
    assert_eq!(
        text(&result),
        "Login pending for corp. The browser has been opened.\n\
         Ask the person to open https://oidc/authorize in a browser on this computer \
         before 2027-01-15T08:00:00Z, then call aws_sso_status with waitSeconds 45.\n\
         The link works in a browser on this computer only: for a person who is elsewhere, call \
         aws_sso_login with launchBrowser false to get a link and a code for any device."
    );
    assert_eq!(
        result.structured_content,
        Some(json!({
            "state": "pending",
            "session": "corp",
            "browserOpened": true,
            "verificationUri": "https://oidc/authorize",
            "expiresAt": "2027-01-15T08:00:00Z",
            "flow": "browser",
        }))
    );
}

#[test]
fn a_finished_login_has_no_link_any_more() {
    let done = LoginDone {
        status: Some(SessionStatus {
            name: "corp".into(),
            access_token_expires_at: LATER,
            refreshable: true,
            ..SessionStatus::default()
        }),
        already_valid: true,
    };
    let result = logged_in(&done, false);
    assert!(
        text(&result).starts_with(
            "Logged in to corp, valid until 2027-01-15T08:00:00Z and renewed by itself."
        )
    );
    assert_eq!(
        result.structured_content,
        Some(json!({
            "state": "logged_in",
            "session": "corp",
            "browserOpened": false,
            "expiresAt": "2027-01-15T08:00:00Z",
        }))
    );
}
