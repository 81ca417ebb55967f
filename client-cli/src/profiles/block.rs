//! The block of one session in the AWS config file: where it is, and how it
//! takes the place of the last one. What is outside of it is never changed.

use std::ops::Range;

const BEGINS: &str = "# >>> awsso ";

/// The block of this session in `text`, with both of its markers.
pub fn find(text: &str, session: &str) -> Result<Option<Range<usize>>, String> {
    let (first, last) = markers(session);
    let (mut begun, mut found) = (None, None);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.trim_start_matches('\u{feff}').trim_end();
        if begun.is_some() && line.starts_with(BEGINS) {
            break;
        }
        if line == first {
            if found.is_some() {
                return Err(format!("it has two blocks of the session {session:?}"));
            }
            // Behind a byte order mark.
            begun = text[start..at].find('#').map(|skip| start + skip);
        } else if line == last
            && let Some(start) = begun.take()
        {
            found = Some(start..at);
        }
    }
    match begun {
        Some(_) => Err(format!("it lacks the line {last:?}")),
        None => Ok(found),
    }
}

/// `text` with `sections` as the block of this session: in the place of the
/// last one, or at the end.
pub fn put(text: &str, there: Option<Range<usize>>, session: &str, sections: &[String]) -> String {
    let (first, last) = markers(session);
    let gap = match there {
        None if text.ends_with('\n') => "\n",
        None if !matches!(text, "" | "\u{feff}") => "\n\n",
        None | Some(_) => "",
    };
    let mut block = format!("{gap}{first}\n{}{last}\n", sections.join("\n"));
    if uses_crlf(text) {
        block = block.replace('\n', "\r\n");
    }
    let there = there.unwrap_or(text.len()..text.len());
    format!("{}{block}{}", &text[..there.start], &text[there.end..])
}

fn uses_crlf(text: &str) -> bool {
    text.split_once('\n')
        .is_some_and(|(line, _)| line.ends_with('\r'))
}

fn markers(session: &str) -> (String, String) {
    (
        format!(
            "{BEGINS}{session}: written by \"awsso profiles sync\"; changes in here are lost >>>"
        ),
        format!("# <<< awsso {session} <<<"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_anew(text: &str, section: &str) -> String {
        put(
            text,
            find(text, "corp").unwrap(),
            "corp",
            &[section.to_owned()],
        )
    }

    #[test]
    fn what_is_outside_is_kept_byte_for_byte() {
        for (before, after) in [
            ("", ""),
            ("\u{feff}", ""),
            ("[default]\nregion = a", ""),
            ("[default]\nregion = a\n", "# the end"),
            (
                "\u{feff}[default]\r\n\r\n  # odd \t\r\n",
                "[profile x]\r\nregion=b",
            ),
        ] {
            let first = put_anew(before, "[profile a]\n") + after;
            let second = put_anew(&first, "[profile b]\nregion = c\n");
            assert!(first.starts_with(before), "{first:?}");
            assert!(second.starts_with(before), "{second:?}");
            assert!(second.ends_with(after), "{second:?}");
            assert_eq!(second.matches(BEGINS).count(), 1, "{second:?}");
            assert!(!second.contains("[profile a]"), "{second:?}");
            assert_eq!(put_anew(&second, "[profile a]\n"), first);
            assert_eq!(uses_crlf(&first), uses_crlf(before), "{first:?}");
        }
    }

    #[test]
    fn a_block_is_one_sessions_and_stays_where_it_is() {
        let other = put("", None, "other", &["[profile o]\n".to_owned()]);
        let both = put_anew(&other, "[profile c]\n");
        assert!(both.starts_with(&other));
        let range = find(&both, "other").unwrap();
        let moved = put(&both, range, "other", &["[profile n]\n".to_owned()]);
        assert!(moved.find("[profile n]") < moved.find("[profile c]"));
    }

    #[test]
    fn a_block_without_an_end_and_a_second_one_are_refused() {
        let whole = put_anew("", "[profile a]\n");
        let endless = whole.replace("# <<< awsso corp <<<\n", "");
        let refused = find(&endless, "corp").unwrap_err();
        assert!(refused.contains("lacks"), "{refused}");
        let refused = find(&format!("{endless}{whole}"), "corp").unwrap_err();
        assert!(refused.contains("lacks"), "{refused}");
        let refused = find(&format!("{whole}{whole}"), "corp").unwrap_err();
        assert!(refused.contains("two blocks"), "{refused}");
    }
}
