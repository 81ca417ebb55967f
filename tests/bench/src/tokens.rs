//! What AWS's answers cost a model: ten of them, through the real tool, in tokens.
//!
//! The answers are the examples of AWS's own documentation of its CLI (Apache-2.0), their lists grown to
//! ten rows by changing digits. A tokenizer is a model's own; this one is `o200k`. Beside ours: the JSON
//! as the AWS CLI prints it, and the same in the Markdown of mcp-server-aws-sso 4.0.

use std::io;

use anyhow::Context as _;
use awsso_e2e::{
    Shim, World, bin,
    known::{PRODUCTION, READ_ONLY},
};
use serde_json::{Value, json};

/// Rows of a list that an example shows a few of.
const ROWS: usize = 10;

const ANSWERS: [(&str, &str); 10] = [
    (
        "ec2 describe-instances",
        include_str!("answers/ec2-describe-instances.json"),
    ),
    (
        "ec2 describe-subnets",
        include_str!("answers/ec2-describe-subnets.json"),
    ),
    (
        "iam list-roles",
        include_str!("answers/iam-list-roles.json"),
    ),
    (
        "lambda list-functions",
        include_str!("answers/lambda-list-functions.json"),
    ),
    (
        "logs describe-log-streams",
        include_str!("answers/logs-describe-log-streams.json"),
    ),
    (
        "rds describe-db-clusters",
        include_str!("answers/rds-describe-db-clusters.json"),
    ),
    (
        "cloudwatch describe-alarms",
        include_str!("answers/cloudwatch-describe-alarms.json"),
    ),
    (
        "s3api list-objects-v2",
        include_str!("answers/s3api-list-objects-v2.json"),
    ),
    (
        "organizations list-accounts",
        include_str!("answers/organizations-list-accounts.json"),
    ),
    (
        "ssm describe-parameters",
        include_str!("answers/ssm-describe-parameters.json"),
    ),
];

/// Tokens of one answer, in each form.
struct Counted {
    name: &'static str,
    json: usize,
    raw: usize,
    toon: usize,
    markdown: usize,
}

pub async fn run(out: &mut dyn io::Write) -> anyhow::Result<()> {
    let world = World::logged_in().await;
    let file = world.dir().join("answer.json");
    let mut command = world.program(bin("awsso-mcp"));
    command.env(
        "PATH",
        world.path_with_aws(&format!("cat {}", file.display())),
    );
    let mut shim = Shim::legacy(command).await;
    writeln!(
        out,
        "{:<28} {:>9} {:>9} {:>9} {:>9}",
        "tokens (o200k)", "JSON", "Markdown", "ours", "ours toon"
    )?;
    let mut sums = [0; 4];
    for (name, example) in ANSWERS {
        let answer = grown(serde_json::from_str(example).context(name)?);
        let printed = printed(&answer)?;
        std::fs::write(&file, &printed)?;
        let counted = Counted {
            name,
            json: count(&printed),
            raw: count(&ask(&mut shim, name, "raw").await),
            toon: count(&ask(&mut shim, name, "toon").await),
            markdown: count(&markdown(name, &printed)),
        };
        counted.print(out)?;
        for (sum, tokens) in sums.iter_mut().zip(counted.all()) {
            *sum += tokens;
        }
    }
    let [json, markdown, raw, toon] = sums;
    Counted {
        name: "all",
        json,
        raw,
        toon,
        markdown,
    }
    .print(out)?;
    Ok(())
}

impl Counted {
    fn all(&self) -> [usize; 4] {
        [self.json, self.markdown, self.raw, self.toon]
    }

    fn print(&self, out: &mut dyn io::Write) -> io::Result<()> {
        write!(out, "{:<28}", self.name)?;
        for tokens in self.all() {
            write!(out, " {tokens:>9}")?;
        }
        writeln!(out)
    }
}

/// What the tool answers, all of it.
async fn ask(shim: &mut Shim, name: &str, format: &str) -> String {
    let arguments = json!({
        "accountId": PRODUCTION, "roleName": READ_ONLY, "command": format!("aws {name}"),
        "format": format, "maxChars": 100_000,
    });
    let answer = shim.call("aws_sso_exec_command", arguments).await;
    answer.ok().to_owned()
}

fn count(text: &str) -> usize {
    bpe_openai::o200k_base().count(text)
}

/// As the AWS CLI prints it.
fn printed(answer: &Value) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let indented = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, indented);
    serde::Serialize::serialize(answer, &mut serializer)?;
    bytes.push(b'\n');
    Ok(String::from_utf8(bytes)?)
}

/// Its lists with ten rows.
fn grown(mut answer: Value) -> Value {
    let lists = answer.as_object_mut().into_iter().flatten();
    for (_, list) in lists {
        let Some(rows) = list.as_array_mut().filter(|rows| !rows.is_empty()) else {
            continue;
        };
        let shown = rows.len();
        for row in shown..ROWS {
            let round = u8::try_from(row / shown).expect("a few");
            rows.push(varied(&rows[row % shown], round));
        }
    }
    answer
}

/// Other digits in every text.
fn varied(value: &Value, round: u8) -> Value {
    let digit = |c: char| match c {
        '0'..='9' => char::from(b'0' + (c as u8 - b'0' + round) % 10),
        c => c,
    };
    match value {
        Value::String(text) => text.chars().map(digit).collect::<String>().into(),
        Value::Array(items) => items.iter().map(|item| varied(item, round)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), varied(value, round)))
            .collect(),
        other => other.clone(),
    }
}

/// The layout of mcp-server-aws-sso 4.0.
fn markdown(name: &str, printed: &str) -> String {
    format!(
        "# AWS SSO: Command Execution\n\n## Execution Context\n\n- **Account/Role**: {PRODUCTION}/{READ_ONLY}\n\
         - **Region**: eu-west-1 (Default: ap-southeast-1)\n\n## Command\n\n```bash\naws {name}\n```\n\n## Output\n\n\
         ```\n{}\n```\n\n---\n*Executed: 11/22/2026, 10:00:00 AM*\n*Information retrieved at: 11/22/2026, 10:00:00 AM*",
        printed.trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_grows_by_rows_with_other_digits() {
        let answer = grown(json!({"Rows": [{"Id": "i-1"}, {"Id": "i-2"}], "failures": []}));
        let rows = answer["Rows"].as_array().unwrap();
        assert_eq!(rows.len(), ROWS);
        assert_eq!(
            (&rows[2], &rows[3]),
            (&json!({"Id": "i-2"}), &json!({"Id": "i-3"}))
        );
        assert!(answer["failures"].as_array().unwrap().is_empty());
    }
}
