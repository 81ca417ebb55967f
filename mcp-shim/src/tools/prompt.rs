//! What a person needs to finish a login, as facts and in words: `login` and
//! `status` both tell it.

use awsso_proto::v1::{LoginFlow, LoginPrompt};
use serde::Serialize;
use serde_json::{Value, json};

use crate::answer;

/// The facts, as a schema's properties.
pub(super) fn schema() -> Value {
    json!({
        "verificationUri": {"type": "string"},
        "verificationUriComplete": {"type": "string"},
        "userCode": {"type": "string"},
        "expiresAt": {"type": "string"},
        "flow": {"type": "string", "enum": ["browser", "device"]},
    })
}

/// What a person needs to finish a login; what is not known is left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Prompt {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verification_uri: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub verification_uri_complete: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<&'static str>,
}

impl From<&LoginPrompt> for Prompt {
    fn from(prompt: &LoginPrompt) -> Self {
        Self {
            verification_uri: prompt.verification_uri.clone(),
            verification_uri_complete: prompt.verification_uri_complete.clone(),
            user_code: prompt.user_code.clone(),
            expires_at: answer::instant(prompt.expires_at.as_ref()),
            flow: Some(prompt.flow().word()),
        }
    }
}

impl Prompt {
    /// The link that needs the least typing.
    pub(super) fn link(&self) -> &str {
        if self.verification_uri_complete.is_empty() {
            &self.verification_uri
        } else {
            &self.verification_uri_complete
        }
    }

    /// What a person is asked to do.
    pub(super) fn line(&self) -> String {
        let mut line = format!("open {}", self.link());
        if self.is_for_this_computer() {
            line.push_str(" in a browser on this computer");
        }
        if !self.user_code.is_empty() {
            line.push_str(" and confirm the code ");
            line.push_str(&self.user_code);
        }
        if let Some(end) = &self.expires_at {
            line.push_str(" before ");
            line.push_str(end);
        }
        line
    }

    /// What to do for a person who cannot use this link where they are.
    pub(super) fn for_a_person_elsewhere(&self) -> Option<&'static str> {
        self.is_for_this_computer().then_some(
            "The link works in a browser on this computer only: for a person who is elsewhere, call \
             aws_sso_login with launchBrowser false to get a link and a code for any device.",
        )
    }

    fn is_for_this_computer(&self) -> bool {
        self.flow == Some(LoginFlow::Browser.word())
    }
}
