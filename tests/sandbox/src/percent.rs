//! Percent-coding as the URL and SigV4 documents define it. Pure.

/// Everything but `A-Z a-z 0-9 - . _ ~` is coded.
pub(crate) fn encode(text: &str) -> String {
    encode_bytes(text.as_bytes(), false)
}

/// As [`encode`], but `/` stays: for paths.
pub(crate) fn encode_path(text: &str) -> String {
    encode_bytes(text.as_bytes(), true)
}

fn encode_bytes(bytes: &[u8], keep_slash: bool) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || (keep_slash && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// A broken escape is kept as it stands; bytes that are no UTF-8 become U+FFFD.
pub(crate) fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if let Some(byte) = escaped {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The pairs of a query string, where `+` is a plus sign: that is how SigV4 reads it.
pub(crate) fn query_pairs(raw: &str) -> Vec<(String, String)> {
    pairs(raw, decode)
}

/// The pairs of a form body, where `+` is a blank.
pub(crate) fn form_pairs(raw: &str) -> Vec<(String, String)> {
    pairs(raw, |text| decode(&text.replace('+', " ")))
}

fn pairs(raw: &str, decode: impl Fn(&str) -> String) -> Vec<(String, String)> {
    raw.split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_undoes_encoding() {
        let text = "a b/ü%+~=&";
        assert_eq!(decode(&encode(text)), text);
        assert_eq!(encode("a b/"), "a%20b%2F");
        assert_eq!(encode_path("a b/"), "a%20b/");
    }

    #[test]
    fn a_broken_escape_stays_as_it_is() {
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("%zz%4"), "%zz%4");
    }

    #[test]
    fn a_plus_is_a_blank_in_a_form_only() {
        assert_eq!(form_pairs("a=1+2"), [("a".into(), "1 2".into())]);
        assert_eq!(
            query_pairs("a=1+2&b"),
            [("a".into(), "1+2".into()), ("b".into(), String::new())]
        );
    }
}
