//! What is masked, what is not, and that it never depends on who reads how.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use base64::Engine as _;
use proptest::prelude::*;

use super::*;

const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzK3xAMPLE9";

/// A clock that is set, in hours.
#[derive(Debug, Clone, Default)]
struct Hours(Arc<AtomicU64>);

impl TimeSource for Hours {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(self.0.load(Ordering::Relaxed))
    }
}

fn token() -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = 7_u64;
    let mut letter = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(letters[usize::try_from(state >> 58).unwrap()])
    };
    (0..700).map(|_| letter()).collect()
}

fn knowing(secrets: &[&str]) -> (Redactor, Vec<Known>) {
    let redactor = Redactor::new(Clock::system());
    let known = secrets.iter().map(|secret| redactor.know(&[secret], None));
    let known = known.collect();
    (redactor, known)
}

fn masked(redactor: &Redactor, text: &str) -> String {
    let shown = redactor.text(text);
    assert_eq!(shown.len(), text.len(), "{text}");
    shown
}

/// The secret's part of a text that is nothing else's.
fn stars(length: usize) -> String {
    "*".repeat(length)
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn wrapped(text: &str, columns: usize) -> String {
    let lines = text.as_bytes().chunks(columns);
    let lines: Vec<_> = lines.map(|line| String::from_utf8_lossy(line)).collect();
    lines.join("\n")
}

#[test]
fn a_known_secret_is_masked_as_it_is_and_nothing_around_it() {
    let token = token();
    let (redactor, _known) = knowing(&[KEY, &token]);
    assert_eq!(
        masked(&redactor, &format!("a {KEY}, b\n({token})\n")),
        format!("a {}, b\n({})\n", stars(40), stars(700))
    );
    assert_eq!(masked(&redactor, "nothing of that\n"), "nothing of that\n");
}

#[test]
fn a_known_secret_is_found_in_the_usual_encodings() {
    let token = token();
    let (redactor, _known) = knowing(&[KEY, &token]);
    for secret in [KEY, &token] {
        let percent = |escape: fn(u8) -> String| {
            let escaped = secret.bytes().map(|byte| match byte {
                b'+' | b'/' | b'=' => escape(byte),
                byte => char::from(byte).to_string(),
            });
            escaped.collect::<String>()
        };
        let encoded = [
            percent(|byte| format!("%{byte:02X}")),
            percent(|byte| format!("%{byte:02x}")),
            percent(|byte| format!("\\u00{byte:02x}")),
            secret.replace('/', "\\/"),
            secret.replace('/', "_").replace('+', "-"),
            wrapped(secret, 30),
            base64(secret).trim_end_matches('=').to_owned(),
            wrapped(&base64(secret), 64)
                .trim_end_matches('=')
                .to_owned(),
            base64(secret)
                .replace('/', "%2F")
                .replace('+', "%2B")
                .trim_end_matches('=')
                .to_owned(),
        ];
        for text in encoded {
            let shown = masked(&redactor, &text);
            let visible = shown.bytes().filter(u8::is_ascii_alphanumeric).count();
            assert!(visible == 0, "{text}\n{shown}");
        }
        for before in ["", "A", "AW", "AWS", "AWS_SECRET="] {
            let text = wrapped(&base64(&format!("{before}{secret} and more")), 76);
            let shown = masked(&redactor, &text);
            let hidden = shown.bytes().filter(|byte| *byte == MASK).count();
            assert!(hidden >= secret.len() * 4 / 3, "{before}: {text}\n{shown}");
        }
    }
}

#[test]
fn a_part_of_a_secret_is_masked_when_it_is_long_enough_to_tell() {
    let token = token();
    let (redactor, _known) = knowing(&[KEY, &token]);
    let hidden = |text: &str| {
        let shown = masked(&redactor, text);
        shown.bytes().filter(|byte| *byte == MASK).count()
    };
    for from in 0..=KEY.len() - 19 {
        assert!(hidden(&KEY[from..from + 19]) >= 16, "from {from}");
    }
    for from in 0..=token.len() - 31 {
        assert!(hidden(&token[from..from + 31]) >= 16, "from {from}");
    }
    assert_eq!(hidden(&KEY[..15]), 0);
}

#[test]
fn a_secret_stays_known_for_a_while_after_it_was_replaced_and_to_its_own_end() {
    let hours = Hours::default();
    let clock = Clock::of(SharedTimeSource::new(hours.clone()), Duration::ZERO);
    let redactor = Redactor::new(clock.clone());
    let end = clock.now() + Duration::from_hours(8);
    let advance = |by| hours.0.fetch_add(by, Ordering::Relaxed);
    let (short, long) = (
        redactor.know(&[KEY], None),
        redactor.know(&[&token()], Some(end)),
    );
    let twice = redactor.know(&[KEY], None);
    // What is looked for is tidied when something new comes.
    let knows = |secret: &str| {
        drop(redactor.know(&["an unrelated secret of no account"], None));
        masked(&redactor, secret) == stars(secret.len())
    };
    drop(short);
    advance(2);
    assert!(knows(KEY), "somebody else still holds it");
    drop(twice);
    drop(long);
    assert!(knows(KEY) && knows(&token()));
    advance(2);
    assert!(!knows(KEY) && knows(&token()));
    advance(5);
    assert!(!knows(&token()));
    assert!(!format!("{redactor:?} {:?}", redactor.know(&[KEY], None)).contains("wJalr"));
}

/// Every `«…»` is masked, and nothing else.
const SHAPES: &[&str] = &[
    r#"{"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»"}"#,
    "<SecretAccessKey>«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»</SecretAccessKey>",
    "||  SecretAccessKey |  «wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»  ||",
    "aws_secret_access_key = «wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»\nregion = eu-west-1",
    "export AWS_SESSION_TOKEN='«abc def»' AWS_REGION=eu-west-1",
    r#"{\"password\":\"«hunter22»\",\"user\":\"app\"}"#,
    r#"{"SecretString": "«{\"user\":\"x\",\"password\":\"y\"}»", "VersionStages": ["AWSCURRENT"]}"#,
    r#"{"Name": "/app/db", "Type": "SecureString", "Value": "«s3cr3t!»", "Version": 1}"#,
    r#""MasterUserPassword": "«tiger-tiger»", "Engine": "postgres""#,
    "DB_PASSWORD=«tiger»\nDB_HOST=db.example.com",
    "Access key ID,Secret access key\nAKIAIOSFODNN7EXAMPLE,«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»\n",
    "ACCESSKEY\tASIAIOSFODNN7EXAMPLE\t2026-08-22T00:00:00Z\t«wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»\tActive",
    "-----BEGIN RSA PRIVATE KEY-----«\nMIIEowIBAAKCAQEA\nabc=\n»-----END RSA PRIVATE KEY-----\nnext",
    r#"{"KeyMaterial": "-----BEGIN PRIVATE KEY-----«\nMIIE\nabc=\n»-----END PRIVATE KEY-----"}"#,
    "https://b.s3.amazonaws.com/k?X-Amz-Credential=ASIAIOSFODNN7EXAMPLE%2F20260822&X-Amz-Signature=«0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef»",
    "Authorization: Bearer «abcdefghijklmnop.qrst»",
    "token eyJ«hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U»",
    "remote: ghp_«0123456789abcdefghijABCDEFGHIJ012345»",
    "xoxb-«123456789012-abcdefABCDEF»",
    // What an agent works with.
    "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef",
    "ami-0abcdef1234567890 i-0a1b2c3d4e5f60001 vpc-0123456789abcdef0 sg-0123456789abcdef0",
    r#""ETag": "\"d41d8cd98f00b204e9800998ecf8427e\"", "VersionId": "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo""#,
    "AKIAIOSFODNN7EXAMPLE da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    r#""NextToken": "eyJNYXJrZXIiOiBudWxsLCAiYm90b190cnVuY2F0ZV9hbW91bnQiOiAxfQ==""#,
    r#""PasswordLastUsed": "2026-08-22T00:00:00Z", "HasPassword": true, "Password": null"#,
    r#""MinimumPasswordLength": 14, "PasswordReusePrevention": 24"#,
    r#""SecretARN": "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-AbCdEf", "password": "${ssm:/app/db}""#,
    r#""AccessTokenValidity": 60, "RefreshTokenValidity": 30, "AccessKeyId": "ASIAIOSFODNN7EXAMPLE""#,
    "the password of the database is asked for",
];

#[test]
fn keys_and_tokens_of_any_origin_are_masked_and_what_an_agent_works_with_is_not() {
    let (redactor, _known) = knowing(&[]);
    for text in SHAPES {
        let (mut expected, mut hidden) = (String::new(), false);
        for letter in text.chars() {
            match letter {
                '«' => hidden = true,
                '»' => hidden = false,
                '\n' | '\r' => expected.push(letter),
                letter => expected.push(if hidden { '*' } else { letter }),
            }
        }
        let text = text.replace(['«', '»'], "");
        assert_eq!(masked(&redactor, &text), expected);
    }
}

#[test]
fn json_that_is_masked_is_json() {
    let (redactor, _known) = knowing(&[KEY]);
    let document = serde_json::json!({
        "SecretAccessKey": KEY, "Pem": "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n",
        "SecretString": "{\"password\":\"a\\\"b\"}", "Wrapped": wrapped(KEY, 7), "Password": "ü\"\\",
    });
    for text in [
        document.to_string(),
        serde_json::to_string_pretty(&document).unwrap(),
    ] {
        let shown: serde_json::Value = serde_json::from_str(&masked(&redactor, &text)).unwrap();
        assert_eq!(shown.as_object().unwrap().len(), 5);
        assert_eq!(shown["SecretAccessKey"], stars(40));
    }
}

#[test]
fn a_line_that_has_ended_is_shown_while_more_may_come() {
    let (redactor, _known) = knowing(&[KEY]);
    for (text, shown) in [
        ("begun\n", "begun\n"),
        ("i-0a1b2c3d4e5f60001\r\n", "i-0a1b2c3d4e5f60001\r\n"),
        ("step 1 of 3 ...\n50%\n", "step 1 of 3 ...\n50%\n"),
        ("is it a word", "is it a "),
        (
            &format!("id\n{}\n", &KEY[..30]),
            &format!("id\n{}", stars(8)),
        ),
        ("\"SecretAccessKey\": \"abc", "\"SecretAccessKey\": \""),
        ("a token ghp_01234", "a token "),
    ] {
        let mut seen = text.as_bytes().to_vec();
        let settled = redactor.mask(&mut seen, false);
        assert_eq!(
            String::from_utf8_lossy(&seen[..settled]),
            *shown,
            "{text:?}"
        );
    }
}

#[test]
fn what_cannot_be_looked_at_is_hidden_whole() {
    let mut text = *b"one\ntwo";
    hide(&mut text);
    assert_eq!(&text, b"***\n***");
}

/// As somebody sees it who is shown what there is whenever more has come.
fn in_pieces(redactor: &Redactor, text: &[u8], ends: &[usize]) -> Vec<u8> {
    let mut shown: Vec<u8> = Vec::new();
    for end in ends.iter().copied().chain([text.len()]) {
        let from = shown.len().saturating_sub(REACH);
        let mut there = text[from..end].to_vec();
        let settled = redactor.mask(&mut there, end == text.len());
        assert!(there.len() - settled <= REACH);
        if from + settled > shown.len() {
            shown.extend_from_slice(&there[shown.len() - from..settled]);
        }
    }
    shown
}

/// Pieces that are secrets, begin like secrets, or end them.
fn pieces() -> impl Strategy<Value = String> {
    let token = token();
    let mut words: Vec<String> = SHAPES
        .iter()
        .map(|text| text.replace(['«', '»'], ""))
        .collect();
    words.extend(
        [
            KEY,
            &KEY[..20],
            &KEY[20..],
            "%2",
            "F",
            "\\",
            "u002",
            "\r",
            "\n",
            "\n\n",
            "\"",
            " ",
            "eyJ",
            ".",
        ]
        .map(str::to_owned),
    );
    words.extend([
        token[..300].to_owned(),
        base64(KEY),
        wrapped(&base64(&token), 76),
    ]);
    let word = prop_oneof![
        4 => proptest::sample::select(words),
        1 => "[ -~]{0,12}",
        1 => "[A-Za-z0-9+/=._-]{1,60}",
    ];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn it_does_not_matter_in_which_pieces_a_text_comes(
        text in pieces(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let token = token();
        let (redactor, _known) = knowing(&[KEY, &token]);
        let text = text.into_bytes();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let mut whole = text.clone();
        redactor.mask(&mut whole, true);
        let shown = in_pieces(&redactor, &text, &cuts);
        prop_assert_eq!(String::from_utf8_lossy(&shown), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn it_does_not_matter_where_a_reader_begins(
        text in pieces(),
        begin in any::<proptest::sample::Index>(),
    ) {
        let (redactor, _known) = knowing(&[KEY, &token()]);
        // Far enough before it, whatever stands there.
        let text = [&vec![b'"'; REACH + 100][..], text.as_bytes(), &[b' '; 100]].concat();
        let begin = REACH + begin.index(text.len() - REACH);
        let mut whole = text.clone();
        redactor.mask(&mut whole, true);
        let mut part = text[begin - REACH..].to_vec();
        redactor.mask(&mut part, true);
        prop_assert!(part[REACH..] == whole[begin..]);
    }
}
