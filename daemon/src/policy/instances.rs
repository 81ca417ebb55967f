//! On which instances work is done, as far as its words tell, and how a rule
//! about their tags fits. Pure: the tags themselves are looked up elsewhere.

use awsso_proto::v1;

use super::{
    decide::Fit,
    rules::{Any, TagPattern},
};

/// The instances of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instances {
    /// It is not done on instances.
    None,
    /// A key, and the values one of which each instance has; of other keys, and
    /// if there is no key at all, nothing is known.
    Tagged(Vec<(String, Vec<String>)>),
    /// These ids are in its words.
    Named {
        ids: Vec<String>,
        /// It is done on them and on no others.
        on_no_others: bool,
    },
}

/// Keys and values.
pub type Tags = Vec<(String, String)>;

/// What was found out about named instances, in one account and region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Of each instance that was found.
    pub found: Vec<Tags>,
    /// Which are not known, and why; one line.
    pub unknown: Option<String>,
}

impl Instances {
    /// Of a shell command.
    pub fn of_ssm(work: &v1::SsmWork) -> Self {
        if work.targets.is_empty() {
            return Self::Named {
                ids: work.instance_ids.clone(),
                on_no_others: true,
            };
        }
        let tags = work.targets.iter().filter_map(|target| {
            let key = target.key.strip_prefix("tag:")?;
            Some((key.to_owned(), target.values.clone()))
        });
        Self::Tagged(tags.collect())
    }

    /// Of the words of an AWS CLI command. An id anywhere restricts; what a rule
    /// allows, it allows only for ids that are said to be all.
    pub fn of_words(words: &[String], operation: &str) -> Self {
        let by_option = |option: &str| words.iter().any(|word| word.starts_with(option));
        // JSON can spell an id in ways that are not looked for, and stand in a file.
        let escaped = words.iter().any(|word| word.contains("\\u")) || by_option("--cli-i");
        let by_tags = operation.starts_with("ssm:") && by_option("--ta");
        if escaped || by_tags {
            return Self::Tagged(Vec::new());
        }
        let mut ids = Vec::new();
        let mut on_no_others = true;
        let mut of_option = false;
        for word in words {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) if word.starts_with("--") => (Some(name), value),
                _ if word.starts_with("--") => (Some(word.as_str()), ""),
                _ => (None, word.as_str()),
            };
            if let Some(name) = name {
                of_option = matches!(name, "--instance-ids" | "--instance-id");
            }
            let before = ids.len();
            ids.extend(ids_in(value));
            on_no_others &= before == ids.len() || of_option;
        }
        ids.sort_unstable();
        ids.dedup();
        match operation {
            _ if !ids.is_empty() => Self::Named { ids, on_no_others },
            "ssm:SendCommand" | "ssm:StartSession" => Self::Tagged(Vec::new()),
            _ => Self::None,
        }
    }

    /// How a rule about tags fits. Of several instances each counts.
    pub(super) fn fit(&self, asked: &Any<TagPattern>, seen: Option<&Seen>) -> Fit {
        if asked.is_empty() {
            return Fit::Yes;
        }
        match self {
            Self::None => Fit::No,
            Self::Tagged(known) => {
                let fits = asked.iter().map(|tag| selection_fits(tag, known));
                fits.max().unwrap_or(Fit::No)
            }
            Self::Named { on_no_others, .. } => {
                let Some(seen) = seen else {
                    return Fit::Maybe;
                };
                let fits = |tags: &&Tags| asked.iter().any(|asked| asked.is_among(tags));
                let count = seen.found.iter().filter(fits).count();
                match (count, &seen.unknown) {
                    (0, None) => Fit::No,
                    (_, None) if count == seen.found.len() && *on_no_others => Fit::Yes,
                    _ => Fit::Maybe,
                }
            }
        }
    }

    /// Why it is not certain how a rule about tags fits.
    pub(super) fn doubt(&self, seen: Option<&Seen>) -> Option<String> {
        match self {
            Self::Tagged(known) if known.is_empty() => Some(
                "which instances it is done on is not certain, so only what restricts counts"
                    .to_owned(),
            ),
            Self::Named { .. } => {
                let unknown = seen?.unknown.as_ref()?;
                Some(format!(
                    "the tags of {unknown}, so only what restricts counts"
                ))
            }
            Self::None | Self::Tagged(_) => None,
        }
    }
}

impl TagPattern {
    fn is_among(&self, tags: &Tags) -> bool {
        let mut tags = tags.iter();
        tags.any(|(key, value)| *key == self.key && self.value.matches(value))
    }
}

/// Of a selection by tags each instance has one of the values.
fn selection_fits(asked: &TagPattern, known: &[(String, Vec<String>)]) -> Fit {
    let Some((_, values)) = known.iter().find(|(key, _)| *key == asked.key) else {
        return Fit::Maybe;
    };
    let fits = values.iter().filter(|value| asked.value.matches(value));
    match fits.count() {
        0 => Fit::No,
        count if count == values.len() => Fit::Yes,
        _ => Fit::Maybe,
    }
}

/// `i-0123456789abcdef0`, `mi-…`, wherever they stand in a word.
fn ids_in(word: &str) -> impl Iterator<Item = String> {
    let lower = word.to_ascii_lowercase();
    let parts = lower.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let ids: Vec<_> = parts
        .filter(|part| is_id(part))
        .map(str::to_owned)
        .collect();
    ids.into_iter()
}

/// Whether it has the form of an instance's id.
pub fn is_id(text: &str) -> bool {
    let digits = text.strip_prefix("i-").or_else(|| text.strip_prefix("mi-"));
    digits.is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rules::Pattern;

    const A: &str = "i-0123456789abcdef0";
    const B: &str = "i-0123456789abcdef1";

    fn of(command: &str, operation: &str) -> Instances {
        let words: Vec<_> = command.split(' ').map(str::to_owned).collect();
        Instances::of_words(&words, operation)
    }

    fn named(ids: &[&str], on_no_others: bool) -> Instances {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        Instances::Named { ids, on_no_others }
    }

    #[test]
    fn the_words_of_a_command_name_its_instances() {
        for (command, operation, expected) in [
            ("s3 ls", "s3:ListBuckets", Instances::None),
            (
                "ec2 stop-instances --instance-ids A B",
                "ec2:StopInstances",
                named(&[A, B], true),
            ),
            (
                "ec2 stop-instances --instance-ids=A --region x",
                "ec2:StopInstances",
                named(&[A], true),
            ),
            (
                "ec2 stop-instances --instance-ids [\"A\",\"B\"]",
                "ec2:StopInstances",
                named(&[A, B], true),
            ),
            (
                "ec2 stop-instances --instance-ids A --instance-ids B",
                "ec2:StopInstances",
                named(&[A, B], true),
            ),
            (
                "ec2 create-tags --resources A",
                "ec2:CreateTags",
                named(&[A], false),
            ),
            (
                "ec2 stop-instances --instance-i A",
                "ec2:StopInstances",
                named(&[A], false),
            ),
            (
                "ssm send-command --comment A --instance-ids B",
                "ssm:SendCommand",
                named(&[A, B], false),
            ),
            (
                "ec2 run-instances --user-data A",
                "ec2:RunInstances",
                named(&[A], false),
            ),
            // What selects in another way may mean any.
            (
                "ssm send-command --targets Key=tag:Role,Values=web --comment A",
                "ssm:SendCommand",
                Instances::Tagged(vec![]),
            ),
            (
                "ssm send-command --ta Key=InstanceIds,Values=A",
                "ssm:SendCommand",
                Instances::Tagged(vec![]),
            ),
            (
                "ssm send-command --document-name x",
                "ssm:SendCommand",
                Instances::Tagged(vec![]),
            ),
            (
                "ec2 stop-instances --instance-ids [\"\\u0069-0123456789abcdef0\"]",
                "ec2:StopInstances",
                Instances::Tagged(vec![]),
            ),
        ] {
            let command = command.replace('A', A).replace('B', B);
            assert_eq!(of(&command, operation), expected, "{command}");
        }
    }

    #[test]
    fn a_rule_fits_where_every_instance_has_the_tag_and_maybe_where_one_may_have_it() {
        let rule = |value: &str| {
            vec![TagPattern {
                key: "Env".to_owned(),
                value: Pattern::new(value),
            }]
        };
        let seen = |values: &[&str], unknown: Option<&str>| Seen {
            found: values
                .iter()
                .map(|value| vec![("Env".to_owned(), (*value).to_owned())])
                .collect(),
            unknown: unknown.map(str::to_owned),
        };
        for (values, unknown, on_no_others, fit) in [
            (&["prod-1"][..], None, true, Fit::Yes),
            (&["prod-1", "prod-2"], None, true, Fit::Yes),
            (&["prod-1"], None, false, Fit::Maybe),
            (&["prod-1", "dev"], None, true, Fit::Maybe),
            (&["dev"], None, true, Fit::No),
            (&["dev"], None, false, Fit::No),
            (&["dev"], Some("x"), true, Fit::Maybe),
            (&["prod-1"], Some("x"), true, Fit::Maybe),
            (&[], Some("x"), true, Fit::Maybe),
        ] {
            let instances = named(&[A], on_no_others);
            let seen = seen(values, unknown);
            assert_eq!(
                instances.fit(&rule("prod*"), Some(&seen)),
                fit,
                "{values:?} {unknown:?} {on_no_others}"
            );
        }
        assert_eq!(named(&[A], true).fit(&rule("prod*"), None), Fit::Maybe);
        let untagged = Seen {
            found: vec![vec![]],
            unknown: None,
        };
        assert_eq!(named(&[A], true).fit(&rule("*"), Some(&untagged)), Fit::No);
    }
}
