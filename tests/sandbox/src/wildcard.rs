//! Patterns as EC2's filters and IAM's policies write them. Pure.

/// `*` stands for anything, `?` for one character.
pub(crate) fn fits(pattern: &str, value: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => value.is_empty(),
        Some('*') => {
            let mut ends = value.char_indices().map(|(at, _)| at).chain([value.len()]);
            ends.any(|at| fits(rest.as_str(), &value[at..]))
        }
        Some(wanted) => {
            let mut letters = value.chars();
            letters
                .next()
                .is_some_and(|letter| wanted == '?' || wanted == letter)
                && fits(rest.as_str(), letters.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_anything_and_a_question_mark_for_one_character() {
        for (pattern, value, expected) in [
            ("web-*", "web-1", true),
            ("*", "", true),
            ("w*1", "web-1", true),
            ("web-?", "web-ü", true),
            ("web", "web-1", false),
            ("w*2", "web-1", false),
            ("web-1?", "web-1", false),
        ] {
            assert_eq!(fits(pattern, value), expected, "{pattern} {value}");
        }
    }
}
