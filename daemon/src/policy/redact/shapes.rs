//! What has the form of a key or a token, whoever issued it. A short list, each
//! of them for a secret that AWS or what runs on it really prints, and each begun
//! by words that nothing else begins with: digests, ids, ARNs and `ETag`s match
//! none of them.
//!
//! All words are looked for at once, and each is followed on its own, wherever
//! it stands: what is hidden because of one does not depend on what was found
//! before it. Nothing is hidden before the end of its word.

use std::{ops::Range, sync::LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::Marks;

/// How far what is hidden goes from its word, and the word from what is before
/// it: room for a private key of 16,384 bits.
pub(super) const REACH: usize = 16 << 10;
const MOST: usize = REACH - 256;
/// Between a name and its value: quotes, an arrow, the padding of a table.
const GAP: usize = 64;
/// `null`, `false`, `arn:` … are told from a secret by so many letters.
const TELLING: usize = 6;
/// Between the id of an access key and its secret, as the AWS CLI and the
/// console's file print them.
const BESIDE: usize = 300;
const SECRET_KEY: usize = 40;
/// Between the type of a parameter and its value.
const VALUE_NEARBY: usize = 40;

/// What follows a word.
#[derive(Clone, Copy)]
enum Follows {
    /// A separator and the value of this name.
    Value,
    /// The same, when the name `Value` comes soon.
    NamedValue,
    /// The lines of a private key.
    PrivateKey,
    /// The rest of a key's id, and its secret nearby.
    KeyId,
    /// The rest of a token: so many letters at least.
    Token(usize, Alphabet),
    /// The rest of a JSON Web Token (RFC 7519): three parts.
    Jwt,
}
use Alphabet::{Base64, Dotted, Name};
use Follows::{Jwt, KeyId, NamedValue, PrivateKey, Token, Value};

#[derive(Clone, Copy)]
enum Alphabet {
    /// Letters, digits, `_` and `-`.
    Name,
    /// Both alphabets of Base64.
    Base64,
    /// The same and `.`.
    Dotted,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-')
            || match self {
                Name => false,
                Base64 => matches!(byte, b'+' | b'/' | b'='),
                Dotted => matches!(byte, b'+' | b'/' | b'=' | b'.' | b'~'),
            }
    }
}

/// Names are found in any case, tokens as they are written.
const WORDS: &[(&str, Follows)] = &[
    // Keys of AWS, in its JSON, XML, tables, configuration and environment.
    ("secretaccesskey", Value),
    ("secret_access_key", Value),
    ("secret access key", Value),
    ("sessiontoken", Value),
    ("session_token", Value),
    ("security_token", Value),
    ("x-amz-security-token", Value),
    // A link that was signed in advance is as good as what it opens.
    ("x-amz-signature", Value),
    ("signintoken", Value),
    // secretsmanager get-secret-value, ssm get-parameter, kms decrypt.
    ("secretstring", Value),
    ("secretbinary", Value),
    ("securestring", NamedValue),
    ("plaintext", Value),
    // ecr get-authorization-token, cognito-idp, sso-oidc.
    ("authorizationtoken", Value),
    ("clientsecret", Value),
    ("client_secret", Value),
    ("accesstoken", Value),
    ("access_token", Value),
    ("refreshtoken", Value),
    ("refresh_token", Value),
    ("idtoken", Value),
    ("id_token", Value),
    ("authtoken", Value),
    ("auth_token", Value),
    // iam create-login-profile, rds, and what programs are configured with.
    ("password", Value),
    ("passwd", Value),
    ("apikey", Value),
    ("api_key", Value),
    ("bearer ", Token(16, Dotted)),
    ("PRIVATE KEY-----", PrivateKey),
    ("PRIVATE KEY BLOCK-----", PrivateKey),
    ("AKIA", KeyId),
    ("ASIA", KeyId),
    // Session tokens, the portal's tokens, a password of ECR, as it is and in an
    // authorization, a token of EKS.
    ("IQoJb3JpZ2luX2Vj", Token(60, Base64)),
    ("FwoGZXIvYXdz", Token(60, Base64)),
    ("aoaAAAAA", Token(40, Base64)),
    ("aorAAAAA", Token(40, Base64)),
    ("eyJwYXlsb2FkIjoi", Token(40, Base64)),
    ("QVdTOmV5S", Token(40, Base64)),
    ("k8s-aws-v1.", Token(40, Base64)),
    ("eyJ", Jwt),
    // What configurations and build logs hold besides.
    ("ghp_", Token(36, Name)),
    ("gho_", Token(36, Name)),
    ("ghu_", Token(36, Name)),
    ("ghs_", Token(36, Name)),
    ("ghr_", Token(36, Name)),
    ("github_pat_", Token(22, Name)),
    ("glpat-", Token(20, Name)),
    ("npm_", Token(36, Name)),
    ("xoxa-", Token(10, Name)),
    ("xoxb-", Token(10, Name)),
    ("xoxe-", Token(10, Name)),
    ("xoxp-", Token(10, Name)),
    ("xoxr-", Token(10, Name)),
    ("xoxs-", Token(10, Name)),
    ("xapp-", Token(10, Name)),
    ("sk_live_", Token(16, Name)),
    ("rk_live_", Token(16, Name)),
    ("sk-ant-", Token(16, Name)),
];

static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .ascii_case_insensitive(true)
        .build(WORDS.iter().map(|(word, _)| word))
        .expect("the words are few")
});

/// Marks what follows the words; returns from where on it is not decided yet.
pub(super) fn mark(text: &[u8], whole: bool, marks: &mut Marks) -> usize {
    let mut open = text.len();
    for found in FINDER.find_overlapping_iter(text) {
        let (word, follows) = WORDS[found.pattern().as_usize()];
        let place = Place {
            text,
            whole,
            at: found.end(),
        };
        let as_written = &text[found.range()] == word.as_bytes();
        let begins =
            !matches!(text[..found.start()].last(), Some(byte) if byte.is_ascii_alphanumeric());
        let told = match follows {
            Value => place.value(),
            NamedValue => place.named_value(),
            PrivateKey if as_written => place.private_key(found.start()),
            KeyId if as_written && begins => place.beside_a_key_id(),
            Token(least, alphabet) if begins && (as_written || word == "bearer ") => {
                place.token(least, alphabet)
            }
            Jwt if as_written && begins => place.jwt(),
            PrivateKey | KeyId | Token(..) | Jwt => Told::Nothing,
        };
        match told {
            Told::Nothing => {}
            Told::Secret(part) => marks.add(part),
            Told::Open(from) => open = open.min(from),
        }
    }
    open
}

/// What a word is followed by.
enum Told {
    Nothing,
    Secret(Range<usize>),
    /// It depends on what comes; what is before this stays.
    Open(usize),
}

/// Behind a word.
#[derive(Clone, Copy)]
struct Place<'a> {
    text: &'a [u8],
    whole: bool,
    at: usize,
}

impl Place<'_> {
    /// The end of what is looked at.
    fn within(&self, from: usize, reach: usize) -> usize {
        (from + reach).min(self.text.len())
    }

    /// Where the bytes that fit end.
    fn run(&self, from: usize, fits: impl Fn(u8) -> bool) -> usize {
        let limit = self.within(self.at, MOST).max(from);
        let run = self.text[from..limit].iter();
        from + run.take_while(|byte| fits(**byte)).count()
    }

    /// Whether the text may go on where this ends.
    fn may_grow(&self, end: usize) -> bool {
        end == self.text.len() && !self.whole
    }

    fn value(self) -> Told {
        let limit = self.within(self.at, GAP);
        let gap = &self.text[self.at..limit];
        let Some((length, quote)) = separator(gap) else {
            return Told::Nothing;
        };
        let start = self.at + length;
        let end = match quote {
            Quote::None => self.run(start, |byte| {
                !byte.is_ascii_whitespace() && !b",;\"'<>|&})]\\".contains(&byte)
            }),
            Quote::Of(quote) => self.quoted(start, quote),
            Quote::Escaped => self.run(start, |byte| byte != b'\\' && byte != b'"'),
        };
        let value = &self.text[start..end];
        if value.len() < TELLING && self.may_grow(end) {
            return Told::Open(start);
        }
        if is_no_secret(value, matches!(quote, Quote::None)) {
            return Told::Nothing;
        }
        Told::Secret(start..end)
    }

    /// Up to the quote that ends it, or the end of its line.
    fn quoted(&self, start: usize, quote: u8) -> usize {
        let limit = self.within(self.at, MOST);
        let mut at = start;
        while at < limit && self.text[at] != quote && !matches!(self.text[at], b'\n' | b'\r') {
            at += if self.text[at] == b'\\' { 2 } else { 1 };
        }
        at.min(limit)
    }

    fn named_value(self) -> Told {
        let limit = self.within(self.at, VALUE_NEARBY);
        let name = b"Value";
        let nearby = &self.text[self.at..limit];
        let found = nearby.windows(name.len()).position(|word| word == name);
        found.map_or(Told::Nothing, |found| {
            let at = self.at + found + name.len();
            Place { at, ..self }.value()
        })
    }

    fn private_key(self, word: usize) -> Told {
        let line = &self.text[word.saturating_sub(GAP)..word];
        let frame = b"-----BEGIN ";
        let begun = line.windows(frame.len()).rposition(|part| part == frame);
        let is_kind = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b' ';
        if !begun.is_some_and(|at| line[at + frame.len()..].iter().all(is_kind)) {
            return Told::Nothing;
        }
        // Lines of Base64 and of headers; in JSON, the breaks between them.
        let end = self.run(self.at, |byte| {
            byte.is_ascii_alphanumeric() || b"+/= \t\r\n\\:;,.".contains(&byte)
        });
        Told::Secret(self.at..end)
    }

    /// 40 letters of Base64 and no more, in both cases: a digest has one.
    fn beside_a_key_id(self) -> Told {
        let id = self.run(self.at, |byte| byte.is_ascii_alphanumeric());
        if id - self.at != 16 {
            return Told::Nothing;
        }
        let limit = self.within(id, BESIDE);
        let mut at = id;
        while at < limit {
            let end = self.run(at, |byte| Base64.has(byte));
            let run = &self.text[at..end];
            if run.len() <= SECRET_KEY && self.may_grow(end) {
                return Told::Open(at);
            }
            if run.len() == SECRET_KEY
                && run.iter().any(u8::is_ascii_uppercase)
                && run.iter().any(u8::is_ascii_lowercase)
                && !run.iter().any(|byte| b"-_=".contains(byte))
            {
                return Told::Secret(at..end);
            }
            at = end + 1;
        }
        Told::Nothing
    }

    fn token(self, least: usize, alphabet: Alphabet) -> Told {
        let end = self.run(self.at, |byte| alphabet.has(byte));
        match end - self.at {
            length if length >= least => Told::Secret(self.at..end),
            _ if self.may_grow(end) => Told::Open(self.at),
            _ => Told::Nothing,
        }
    }

    fn jwt(self) -> Told {
        let mut end = self.at;
        for part in 0..3 {
            let from = end;
            end = self.run(from, |byte| Name.has(byte));
            let last = part == 2;
            if self.may_grow(end) && !(last && end - from >= TELLING) {
                return Told::Open(self.at);
            }
            if end - from < TELLING || !(last || self.text.get(end) == Some(&b'.')) {
                return Told::Nothing;
            }
            end += usize::from(!last);
        }
        Told::Secret(self.at..end)
    }
}

enum Quote {
    None,
    Of(u8),
    /// JSON in a JSON string.
    Escaped,
}

/// What stands between a name and its value: `": "`, `=`, ` | `, `>` …
fn separator(gap: &[u8]) -> Option<(usize, Quote)> {
    let blanks = |from: usize| {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t');
        from + gap[from..].iter().take_while(blank).count()
    };
    let quoted = |from: usize| match (gap.get(from), gap.get(from + 1)) {
        (Some(b'\\'), Some(b'"')) => (from + 2, Quote::Escaped),
        (Some(quote @ (b'"' | b'\'' | b'`')), _) => (from + 1, Quote::Of(*quote)),
        _ => (from, Quote::None),
    };
    let at = blanks(quoted(0).0);
    let at = match gap.get(at)? {
        b':' | b'=' => at + 1 + usize::from(matches!(gap.get(at + 1), Some(b'=' | b'>'))),
        b'|' | b'>' => at + 1,
        _ => return None,
    };
    let at = blanks(at);
    (at < gap.len()).then(|| quoted(at))
}

/// A reference to a secret, a document, or a word that stands for no value.
fn is_no_secret(value: &[u8], bare: bool) -> bool {
    let references = [&b"arn:"[..], b"{{", b"$"];
    let words = [
        &b""[..],
        b"null",
        b"None",
        b"true",
        b"false",
        b"True",
        b"False",
    ];
    references.iter().any(|begin| value.starts_with(begin))
        || (bare && matches!(value.first(), Some(b'{' | b'[')))
        || words.contains(&value)
}
