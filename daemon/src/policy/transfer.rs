//! `aws s3 cp`, `mv` and `sync`: what they do depends on which side is in S3 and
//! which on this machine.

use super::{
    action::{Action, Class, Operation},
    aws_cli,
};

const WITH_VALUE: &[&str] = &[
    "--acl",
    "--cache-control",
    "--case-conflict",
    "--checksum-algorithm",
    "--checksum-mode",
    "--content-disposition",
    "--content-encoding",
    "--content-language",
    "--content-type",
    "--copy-props",
    "--exclude",
    "--expected-size",
    "--expires",
    "--include",
    "--metadata",
    "--metadata-directive",
    "--page-size",
    "--source-region",
    "--sse-c-copy-source-key",
    "--sse-c-key",
    "--sse-kms-key-id",
    "--storage-class",
    "--website-redirect",
];

/// They take a value where one follows.
const WITH_ANY_VALUE: &[&str] = &["--sse", "--sse-c", "--sse-c-copy-source", "--request-payer"];

/// It takes all that follow.
const WITH_VALUES: &str = "--grants";

const WITHOUT_VALUE: &[&str] = &[
    "--delete",
    "--dryrun",
    "--exact-timestamps",
    "--follow-symlinks",
    "--force-glacier-transfer",
    "--ignore-glacier-warnings",
    "--no-follow-symlinks",
    "--no-guess-mime-type",
    "--no-overwrite",
    "--no-progress",
    "--only-show-errors",
    "--quiet",
    "--recursive",
    "--size-only",
    "--validate-same-s3-paths",
];

/// The paths of one such command.
pub struct Transfer<'a> {
    what: &'a str,
    paths: Vec<&'a str>,
    deletes: bool,
    unknown: Option<&'a str>,
}

/// Where one side is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    S3,
    Local,
    Stream,
}

impl<'a> Transfer<'a> {
    pub fn read(what: &'a str, words: &'a [String]) -> Self {
        let mut transfer = Self {
            what,
            paths: Vec::new(),
            deletes: false,
            unknown: None,
        };
        // How many values the option before may still take.
        let mut values = 0_usize;
        for word in words {
            let Some((name, value)) = aws_cli::option(word) else {
                match values {
                    0 => transfer.paths.push(word),
                    _ => values -= 1,
                }
                continue;
            };
            transfer.deletes |= name == "--delete";
            let known = |list: &[&str]| list.contains(&name);
            values = match value {
                _ if known(WITHOUT_VALUE) || known(aws_cli::WITHOUT_VALUE) => 0,
                Some(_) => 0,
                None if name == WITH_VALUES => usize::MAX,
                None if known(WITH_VALUE)
                    || known(WITH_ANY_VALUE)
                    || known(aws_cli::WITH_VALUE) =>
                {
                    1
                }
                None => {
                    transfer.unknown = transfer.unknown.or(Some(name));
                    0
                }
            };
        }
        transfer
    }

    pub fn action(&self) -> Action {
        let operation = |name| Operation::new("s3", name);
        let mut operations = match self.sides() {
            Some([Side::S3, Side::S3]) => vec![
                operation("CopyObject"),
                operation("GetObject"),
                operation("PutObject"),
            ],
            Some([Side::S3, _]) => vec![operation("GetObject")],
            Some([_, Side::S3]) => vec![operation("PutObject")],
            // The AWS CLI refuses it, or it is not understood.
            Some(_) | None => vec![
                operation("GetObject"),
                operation("PutObject"),
                operation("DeleteObject"),
            ],
        };
        let to_s3 = self.sides().is_none_or(|[_, to]| to == Side::S3);
        if self.what == "mv" || (self.deletes && to_s3) {
            operations.push(operation("DeleteObject"));
        }
        let class = match &operations[..] {
            [only] if only.name() == "s3:GetObject" => Class::Read,
            _ => Class::Write,
        };
        Action::new(class, operations)
    }

    /// The files and folders of this machine.
    pub fn local(&self) -> Result<Vec<String>, String> {
        if let Some(name) = self.unknown {
            return Err(format!(
                "use {name} with aws s3 {}, which has no option of this name; options are written out",
                self.what
            ));
        }
        let Some(sides) = self.sides() else {
            return Err(format!(
                "use aws s3 {} without a source and a destination",
                self.what
            ));
        };
        let local = self.paths.iter().zip(sides);
        Ok(local
            .filter(|(_, side)| *side == Side::Local)
            .map(|(path, _)| (*path).to_owned())
            .collect())
    }

    fn sides(&self) -> Option<[Side; 2]> {
        match self.paths[..] {
            [from, to] => Some([side(from), side(to)]),
            _ => None,
        }
    }
}

fn side(path: &str) -> Side {
    match path {
        "-" => Side::Stream,
        path if path.starts_with("s3://") => Side::S3,
        _ => Side::Local,
    }
}
