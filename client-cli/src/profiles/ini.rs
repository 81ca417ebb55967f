//! The AWS config file as sections, each with its place in the text. Strict: a
//! file that the AWS tools could not read is refused, and nothing is guessed.

use std::{fmt, ops::Range};

/// One section of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    pub heading: Heading<'a>,
    /// From its heading to the next one.
    pub range: Range<usize>,
    /// Without its heading.
    pub body: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heading<'a> {
    Profile(&'a str),
    SsoSession(&'a str),
    Other,
}

/// Where the file is no INI file any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    line: usize,
    what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} {}", self.line, self.what)
    }
}

impl Section<'_> {
    /// As much of it as stands before `end`.
    pub fn before(mut self, end: usize) -> Self {
        let beyond = self.range.end.saturating_sub(end);
        self.range.end -= beyond;
        self.body = &self.body[..self.body.len().saturating_sub(beyond)];
        self
    }

    /// The value of a key that is not nested.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.body
            .lines()
            .filter(|line| !line.starts_with([' ', '\t', '#', ';']))
            .filter_map(|line| line.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(key))
            .map(|(_, value)| value.trim())
    }
}

/// Every section, in the order of the file.
pub fn sections(text: &str) -> Result<Vec<Section<'_>>, Malformed> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let start = at;
        at += line.len();
        let line = line.trim_start_matches('\u{feff}');
        let (trimmed, indented) = (line.trim(), line.starts_with([' ', '\t']));
        let malformed = |what| Malformed {
            line: index + 1,
            what,
        };
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            // Belongs to nobody.
        } else if trimmed.starts_with('[') && (!indented || trimmed.contains(']')) {
            let heading = heading(trimmed).ok_or(malformed("is a heading without its end"))?;
            if let Some(last) = sections.last_mut() {
                last.range.end = start;
            }
            sections.push(Section {
                heading,
                range: start..text.len(),
                body: "",
            });
        } else if sections.is_empty() {
            return Err(malformed("stands before the first section"));
        } else if !indented && !trimmed.contains(['=', ':']) {
            return Err(malformed("is neither a heading nor a setting"));
        }
    }
    for section in &mut sections {
        let whole = &text[section.range.clone()];
        section.body = whole.split_once('\n').map_or("", |(_, body)| body);
    }
    Ok(sections)
}

fn heading(line: &str) -> Option<Heading<'_>> {
    let inner = line.strip_prefix('[')?.split_once(']')?.0.trim();
    let named = inner.split_once([' ', '\t']);
    Some(
        match named.map(|(kind, name)| (kind, unquoted(name.trim()))) {
            Some(("profile", name)) => Heading::Profile(name),
            Some(("sso-session", name)) => Heading::SsoSession(name),
            None if inner == "default" => Heading::Profile(inner),
            Some(_) | None => Heading::Other,
        },
    )
}

fn unquoted(name: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| name.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_their_names_places_and_settings() {
        let text = "\u{feff}# top\r\n[default]\r\nregion = a\r\n[profile 'my dev'] # mine\r\n\
                    s3 =\r\n  region = nested\r\nREGION=b\r\n[sso-session \"corp\"]\r\n[plugins]\r\nx: y";
        let sections = sections(text).unwrap();
        let headings: Vec<_> = sections.iter().map(|section| section.heading).collect();
        assert_eq!(
            headings,
            [
                Heading::Profile("default"),
                Heading::Profile("my dev"),
                Heading::SsoSession("corp"),
                Heading::Other
            ]
        );
        assert_eq!(sections[1].get("region"), Some("b"));
        assert_eq!(sections[2].get("region"), None);
        assert!(text[sections[2].range.clone()].starts_with("[sso-session"));
        assert_eq!(sections[3].range.end, text.len());
    }

    #[test]
    fn what_is_no_ini_file_is_refused_with_its_line() {
        for (text, said) in [
            ("region = a\n", "line 1 stands before the first section"),
            (
                "[default]\n\n[profile x\n",
                "line 3 is a heading without its end",
            ),
            (
                "[default]\nregion\n",
                "line 2 is neither a heading nor a setting",
            ),
            ("{\"json\": true}", "line 1 stands before the first section"),
        ] {
            assert_eq!(sections(text).unwrap_err().to_string(), said, "{text}");
        }
    }
}
