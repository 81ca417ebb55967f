//! From one text of the AWS config file to the next.

use awsso_proto::Reason;

use super::*;

const ONE: &str = "111111111111";
const TWO: &str = "222222222222";

/// What a test changes of an ordinary sync.
struct Sync {
    accounts: Vec<Account>,
    form: Form,
    template: Template,
    prune: bool,
}

fn sync(accounts: &[Account]) -> Sync {
    Sync {
        accounts: accounts.to_vec(),
        form: Form::Native,
        template: "{account}-{role}".parse().unwrap(),
        prune: false,
    }
}

impl Sync {
    fn prune(self) -> Self {
        Self {
            prune: true,
            ..self
        }
    }

    fn credential_process(self) -> Self {
        let form = Form::CredentialProcess(word("/opt/my tools/awsso").unwrap());
        Self { form, ..self }
    }

    fn template(self, template: &str) -> Self {
        let template = template.parse().unwrap();
        Self { template, ..self }
    }

    fn apply(&self, text: &str) -> Result<(String, Outcome), Stopped> {
        let session = SessionStatus {
            name: "corp".into(),
            start_url: "https://corp.awsapps.com/start".into(),
            region: "eu-west-1".into(),
            ..SessionStatus::default()
        };
        let plan = Plan {
            session: &session,
            accounts: &self.accounts,
            template: &self.template,
            form: self.form.clone(),
            region: "eu-west-1",
            prune: self.prune,
        };
        plan.apply(text)
    }

    fn of(&self, text: &str) -> (String, Outcome) {
        self.apply(text).unwrap()
    }
}

fn account(id: &str, name: &str, roles: &[&str]) -> Account {
    Account {
        account_id: id.into(),
        account_name: name.into(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        roles_known: true,
        ..Account::default()
    }
}

fn unknown(id: &str, name: &str) -> Account {
    Account {
        roles_known: false,
        roles_error: "denied".into(),
        ..account(id, name, &[])
    }
}

#[test]
fn a_new_file_is_the_block() {
    let (text, outcome) = sync(&[account(ONE, "Dev", &["A", "B"])]).of("");
    assert_eq!(
        text,
        "# >>> awsso corp: written by \"awsso profiles sync\"; changes in here are lost >>>\n\
         [sso-session corp]\n\
         sso_start_url = https://corp.awsapps.com/start\n\
         sso_region = eu-west-1\n\
         sso_registration_scopes = sso:account:access\n\
         \n\
         [profile dev-A]\n\
         sso_session = corp\n\
         sso_account_id = 111111111111\n\
         sso_role_name = A\n\
         region = eu-west-1\n\
         \n\
         [profile dev-B]\n\
         sso_session = corp\n\
         sso_account_id = 111111111111\n\
         sso_role_name = B\n\
         region = eu-west-1\n\
         # <<< awsso corp <<<\n"
    );
    assert_eq!(outcome.added, ["dev-A", "dev-B"]);
    assert!(!outcome.session_known);
}

#[test]
fn a_second_sync_changes_nothing_whatever_the_line_endings() {
    let sync = sync(&[account(ONE, "Dev", &["A"])]);
    for before in ["", "[default]\r\nregion = x\r\n", "\u{feff}[a]\nb = c"] {
        let (first, _) = sync.of(before);
        let (second, outcome) = sync.of(&first);
        assert_eq!(second, first);
        let session_known = true;
        assert_eq!(
            outcome,
            Outcome {
                session_known,
                ..Outcome::default()
            }
        );
    }
}

#[test]
fn a_profile_never_has_keys_of_both_forms() {
    let native = sync(&[account(ONE, "Dev", &["A"])]);
    let (text, _) = native.of("");
    let process = native.credential_process();
    let (text, outcome) = process.of(&text);
    assert_eq!(outcome.changed, ["dev-A"]);
    let profile = text.split_once("[profile dev-A]\n").unwrap().1;
    assert_eq!(
        profile,
        "credential_process = \"/opt/my tools/awsso\" credential-process --account 111111111111 --role A --session corp\n\
         region = eu-west-1\n\
         # <<< awsso corp <<<\n"
    );
}

#[test]
fn a_session_that_stands_outside_is_not_repeated_and_must_be_the_same_place() {
    let outside = "[sso-session corp]\nsso_start_url = https://corp.awsapps.com/start/#/\nsso_region = eu-west-1\n";
    let dev = [account(ONE, "Dev", &["A"])];
    let (text, outcome) = sync(&dev).of(outside);
    assert_eq!(text.matches("[sso-session").count(), 1);
    assert!(outcome.session_known);
    let elsewhere = outside.replace("eu-west-1", "us-east-1");
    let Err(Stopped::File(why)) = sync(&dev).apply(&elsewhere) else {
        panic!("profiles of another place");
    };
    assert!(why.contains("another place"), "{why}");
    assert!(sync(&dev).credential_process().apply(&elsewhere).is_ok());
}

#[test]
fn a_name_that_others_use_stays_theirs() {
    let theirs = "[profile \"dev-A\"]\nregion = mine\n";
    let sync = sync(&[account(ONE, "Dev", &["A", "B"])]);
    let (text, outcome) = sync.of(theirs);
    assert!(text.starts_with(theirs));
    assert_eq!(text.matches("dev-A").count(), 1, "{text}");
    assert_eq!(
        (outcome.added.len(), outcome.skipped),
        (1, vec!["dev-A".to_owned()])
    );
    // Written by them after us: ours goes.
    let (ours, _) = sync.of("");
    let (text, outcome) = sync.of(&format!("{ours}{theirs}"));
    assert_eq!(text.matches("dev-A").count(), 1, "{text}");
    assert_eq!(outcome.removed, outcome.skipped);
}

#[test]
fn what_follows_the_block_does_not_get_into_it() {
    let (text, _) = sync(&[account(ONE, "Dev", &["A"])]).of("");
    let text = text + "output = json\n";
    let (same, outcome) = sync(&[]).of(&text);
    assert_eq!(same, text);
    assert_eq!(outcome.kept, ["dev-A"]);
}

#[test]
fn no_profile_becomes_everybodys_default() {
    let dev = sync(&[account(ONE, "Dev", &["A"])]).template("default");
    let (text, outcome) = dev.of("");
    assert_eq!(outcome.skipped, ["default"]);
    assert!(!text.contains("default"), "{text}");
}

#[test]
fn what_is_gone_stays_until_it_is_pruned() {
    for before in [
        sync(&[
            account(ONE, "Dev", &["A", "B"]),
            account(TWO, "Ops", &["A"]),
        ]),
        sync(&[
            account(ONE, "Dev", &["A", "B"]),
            account(TWO, "Ops", &["A"]),
        ])
        .credential_process(),
    ] {
        let (text, _) = before.of("");
        let left = [account(ONE, "Dev", &["B"])];
        let after = Sync {
            accounts: left.to_vec(),
            ..before
        };
        let (same, outcome) = after.of(&text);
        assert_eq!(same, text);
        assert_eq!(outcome.kept, ["dev-A", "ops-A"]);
        assert_eq!(outcome.gone, outcome.kept);
        let (pruned, outcome) = after.prune().of(&text);
        assert_eq!(outcome.removed, ["dev-A", "ops-A"]);
        assert!(outcome.kept.is_empty() && !pruned.contains("ops-A"));
    }
}

#[test]
fn an_account_whose_roles_are_not_known_keeps_its_profiles_even_from_pruning() {
    let (text, _) = sync(&[account(ONE, "Dev", &["A"]), account(TWO, "Ops", &["A"])]).of("");
    let failed = sync(&[unknown(ONE, "Dev"), account(TWO, "Ops", &["A"])]).prune();
    let (same, outcome) = failed.of(&text);
    assert_eq!(same, text);
    assert_eq!(outcome.kept, ["dev-A"]);
    assert!(outcome.gone.is_empty());
}

#[test]
fn a_new_account_does_not_take_the_name_of_one_that_is_kept() {
    let (text, _) = sync(&[account(ONE, "Dev", &["A"])]).of("");
    let (text, outcome) = sync(&[account(TWO, "Dev", &["A"])]).of(&text);
    assert_eq!(outcome.kept, ["dev-A"]);
    assert_eq!(outcome.added, [format!("dev-{TWO}-A")]);
    assert!(text.contains(ONE) && text.contains(TWO));
}

#[test]
fn another_template_renames() {
    let dev = [account(ONE, "Dev", &["A"])];
    let (text, _) = sync(&dev).of("");
    let (_, outcome) = sync(&dev).template("{session}/{role}").of(&text);
    assert_eq!(outcome.added, ["corp/A"]);
    assert_eq!(outcome.removed, ["dev-A"]);
    let both = [account(ONE, "Dev", &["A", "B"])];
    let Err(Stopped::Template(failure)) = sync(&both).template("{account}").apply(&text) else {
        panic!("two profiles of one name");
    };
    assert_eq!(failure.reason, Reason::InvalidArgument);
}

#[test]
fn a_broken_file_and_a_broken_block_are_refused() {
    let dev = sync(&[account(ONE, "Dev", &["A"])]);
    let (text, _) = dev.of("");
    for broken in [
        "[profile x\n",
        "region = a\n",
        text.split_once("# <<<").unwrap().0,
    ] {
        assert!(
            matches!(dev.apply(broken), Err(Stopped::File(_))),
            "{broken}"
        );
    }
}

#[test]
fn a_word_is_read_alike_by_every_tool_or_not_written() {
    assert_eq!(word("/usr/bin/awsso").as_deref(), Some("/usr/bin/awsso"));
    assert_eq!(word("/my bin/awsso").as_deref(), Some("\"/my bin/awsso\""));
    for bad in [
        "",
        "a\"b",
        "a'b",
        "$HOME/awsso",
        "a`b`",
        "a\nb",
        "a #b",
        "a\\b",
    ] {
        assert_eq!(word(bad), None, "{bad:?}");
    }
}

#[test]
fn the_file_is_where_the_environment_says() {
    let path = |named| config_file(named, Some(Path::new("/home/ann"))).unwrap();
    assert_eq!(path(None), Path::new("/home/ann/.aws/config"));
    assert_eq!(path(Some("~/c")), Path::new("/home/ann/c"));
    assert_eq!(path(Some("/etc/c")), Path::new("/etc/c"));
    assert!(config_file(None, None).is_err());
}
