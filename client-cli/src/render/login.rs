//! What a person must do to finish a login.

use std::time::SystemTime;

use awsso_proto::{
    browser::Browser,
    v1::{LoginFlow, LoginPrompt},
};

use super::time;

/// The link that asks for the least typing.
pub fn link(prompt: &LoginPrompt) -> &str {
    if prompt.verification_uri_complete.is_empty() {
        &prompt.verification_uri
    } else {
        &prompt.verification_uri_complete
    }
}

/// The whole of it; links stand alone in their lines.
pub fn prompt(prompt: &LoginPrompt, now: SystemTime) -> String {
    let mut lines = Vec::new();
    if prompt.joined {
        lines.push("Another client started this login; it counts for all.".to_owned());
    }
    let elsewhere = elsewhere(prompt);
    let place = match elsewhere {
        Some(_) => " in a browser on this machine",
        None => "",
    };
    lines.push(format!(
        "To log in to {}, open this link{place}:\n\n  {}\n",
        prompt.session,
        link(prompt)
    ));
    if !prompt.user_code.is_empty() {
        lines.push(format!(
            "or open {} and enter the code\n\n  {}\n",
            prompt.verification_uri, prompt.user_code
        ));
    }
    if prompt.expires_at.is_some() {
        let until = time::both(prompt.expires_at.as_ref(), now);
        lines.push(format!("It is valid until {until}."));
    }
    if let Some(command) = elsewhere {
        lines.push(format!("With a browser anywhere else: {command}"));
    }
    lines.join("\n")
}

/// Why nothing has opened, and what to do instead.
pub fn not_opened(prompt: &LoginPrompt, browser: Browser) -> String {
    let why = match browser {
        Browser::Nowhere => "There is no display here",
        Browser::Somewhere | Browser::Here => "No browser could be opened",
    };
    match (elsewhere(prompt), browser) {
        (None, Browser::Nowhere) => format!("({why}: open the link on any machine.)"),
        (None, _) => format!("({why}: open the link yourself.)"),
        (Some(command), _) => format!("({why}: open the link yourself, or run: {command})"),
    }
}

/// How to get a link and a code for any machine, when this link is for this one.
fn elsewhere(prompt: &LoginPrompt) -> Option<String> {
    match prompt.flow() {
        LoginFlow::Browser => Some(format!("awsso login {} --flow device", prompt.session)),
        LoginFlow::Unspecified | LoginFlow::Device => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use awsso_proto::v1::timestamp;

    use super::*;

    fn epoch(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn device() -> LoginPrompt {
        LoginPrompt {
            session: "corp".into(),
            verification_uri: "https://d/".into(),
            verification_uri_complete: "https://d/?user_code=ABCD-EFGH".into(),
            user_code: "ABCD-EFGH".into(),
            expires_at: Some(timestamp(epoch(600))),
            joined: false,
            flow: LoginFlow::Device.into(),
        }
    }

    fn browser() -> LoginPrompt {
        LoginPrompt {
            verification_uri: "https://o/authorize?client_id=1".into(),
            verification_uri_complete: "https://o/authorize?client_id=1".into(),
            user_code: String::new(),
            flow: LoginFlow::Browser.into(),
            ..device()
        }
    }

    #[test]
    fn a_code_comes_with_both_links_and_the_time_it_has() {
        assert_eq!(
            prompt(&device(), epoch(0)),
            "To log in to corp, open this link:\n\n  https://d/?user_code=ABCD-EFGH\n\n\
             or open https://d/ and enter the code\n\n  ABCD-EFGH\n\n\
             It is valid until 1970-01-01T00:10:00Z (in 10 min)."
        );
    }

    #[test]
    fn a_link_for_this_machine_says_so_and_how_to_get_another() {
        assert_eq!(
            prompt(&browser(), epoch(0)),
            "To log in to corp, open this link in a browser on this machine:\n\n  \
             https://o/authorize?client_id=1\n\n\
             It is valid until 1970-01-01T00:10:00Z (in 10 min).\n\
             With a browser anywhere else: awsso login corp --flow device"
        );
    }

    #[test]
    fn whoever_joins_learns_that_the_login_is_not_theirs_alone() {
        let joined = LoginPrompt {
            joined: true,
            ..device()
        };
        assert!(prompt(&joined, epoch(0)).starts_with("Another client started this login"));
    }

    #[test]
    fn a_link_without_a_complete_one_beside_it_is_the_link() {
        let bare = LoginPrompt {
            verification_uri_complete: String::new(),
            ..device()
        };
        assert_eq!(link(&bare), "https://d/");
    }

    #[test]
    fn a_link_that_was_not_opened_can_be_followed_all_the_same() {
        for (prompt, browser, told) in [
            (
                device(),
                Browser::Nowhere,
                "(There is no display here: open the link on any machine.)",
            ),
            (
                device(),
                Browser::Somewhere,
                "(No browser could be opened: open the link yourself.)",
            ),
            (
                browser(),
                Browser::Here,
                "(No browser could be opened: open the link yourself, \
                 or run: awsso login corp --flow device)",
            ),
        ] {
            assert_eq!(not_opened(&prompt, browser), told);
        }
    }
}
