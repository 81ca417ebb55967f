//! The words of a command as they may stand in a log: bounded, and without the
//! values that are secrets.

use crate::policy::Redactor;

/// Of one command; what is beyond is counted.
const MAX_WORDS: usize = 64;
const MAX_LETTERS: usize = 500;
/// A value whose flag has one of these words in its name is a secret …
const SECRETS: &[&str] = &[
    "password",
    "secret",
    "token",
    "plaintext",
    "private-key",
    "credential",
    "auth-key",
];
/// … unless it is one of those that only sound like it.
const HARMLESS: &[&str] = &[
    "--secret-id",
    "--next-token",
    "--starting-token",
    "--continuation-token",
    "--client-token",
    "--client-request-token",
    "--request-token",
    "--token-type",
    "--password-policy",
    "--password-length",
];

pub(super) fn masked(words: &[String], redactor: &Redactor) -> Vec<String> {
    let puts_a_parameter = words.iter().any(|word| word == "put-parameter");
    let is_secret = |flag: &str| {
        flag.starts_with("--")
            && !HARMLESS.contains(&flag)
            && (SECRETS.iter().any(|part| flag.contains(part))
                || (puts_a_parameter && flag == "--value"))
    };
    let more = words.len().saturating_sub(MAX_WORDS);
    let mut follows_secret_flag = false;
    let mut masked: Vec<_> = words
        .iter()
        .take(MAX_WORDS)
        .map(|word| {
            let is_flag = word.starts_with("--");
            let hide = follows_secret_flag && !is_flag;
            let (flag, value) = word.split_once('=').unwrap_or((word, ""));
            // A list has several values.
            follows_secret_flag = is_secret(flag) && value.is_empty() || hide;
            if hide {
                "***".to_owned()
            } else if is_secret(flag) && !value.is_empty() {
                format!("{flag}=***")
            } else {
                short(&redactor.text(word))
            }
        })
        .collect();
    if more > 0 {
        masked.push(format!("… and {more} more"));
    }
    masked
}

/// As much of a word as tells what it is.
pub(super) fn short(word: &str) -> String {
    match word.char_indices().nth(MAX_LETTERS) {
        Some((end, _)) => format!("{}… ({} bytes)", &word[..end], word.len()),
        None => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn values_that_are_secrets_are_masked_and_the_rest_can_be_read() {
        let redactor = Redactor::new(Clock::system());
        for (command, expected) in [
            ("aws s3 ls s3://b", "aws s3 ls s3://b"),
            (
                "aws rds x --master-user-password tiger --engine pg",
                "aws rds x --master-user-password *** --engine pg",
            ),
            ("aws x --password=tiger -v", "aws x --password=*** -v"),
            (
                "aws secretsmanager get-secret-value --secret-id db --next-token x",
                "aws secretsmanager get-secret-value --secret-id db --next-token x",
            ),
            (
                "aws secretsmanager put-secret-value --secret-id db --secret-string {\"a\":1}",
                "aws secretsmanager put-secret-value --secret-id db --secret-string ***",
            ),
            (
                "aws ssm put-parameter --name a --value tiger --type String",
                "aws ssm put-parameter --name a --value *** --type String",
            ),
            (
                "aws cloudformation x --parameters Password=tiger,A=b",
                "aws cloudformation x --parameters Password=*****,A=b",
            ),
            ("aws x --tokens a b --c d", "aws x --tokens *** *** --c d"),
        ] {
            let words: Vec<_> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(masked(&words, &redactor).join(" "), expected);
        }
    }

    #[test]
    fn a_line_has_an_end_however_long_the_command_is() {
        let redactor = Redactor::new(Clock::system());
        let words = masked(&vec!["ü".repeat(10_000); 1_000], &redactor);
        assert_eq!(words.len(), MAX_WORDS + 1);
        assert_eq!(words[MAX_WORDS], "… and 936 more");
        assert!(words.concat().len() < MAX_WORDS * 2 * MAX_LETTERS + 5_000);
    }
}
