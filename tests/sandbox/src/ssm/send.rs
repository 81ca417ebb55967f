//! `SendCommand`: what is refused outright, which instances are meant, and the command that results.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::commands::{Command, Invocation};
use super::schedule::{self, End, Prospect, Terms, Unstarted};
use super::script::{self, Ran};
use super::{Desk, validation};
use crate::answer::Refusal;
use crate::mint;
use crate::organization::{Instance, Platform, Reach};

const DEFAULT_EXECUTION_TIMEOUT: u64 = 3600;
const DELIVERY_TIMEOUT: std::ops::RangeInclusive<u64> = 30..=2_592_000;
const EXECUTION_TIMEOUT: std::ops::RangeInclusive<u64> = 5..=172_800;
const MOST_COMMENT: usize = 100;
const MOST_TARGETS: usize = 5;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendCommand {
    document_name: String,
    document_version: Option<String>,
    #[serde(default)]
    instance_ids: Vec<String>,
    #[serde(default)]
    targets: Vec<Target>,
    timeout_seconds: Option<u64>,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    parameters: Map<String, Value>,
    max_concurrency: Option<String>,
    max_errors: Option<String>,
    #[serde(default, rename = "OutputS3BucketName")]
    output_bucket: String,
    #[serde(default, rename = "OutputS3KeyPrefix")]
    output_prefix: String,
    #[serde(default)]
    cloud_watch_output_config: LogConfig,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LogConfig {
    #[serde(default)]
    cloud_watch_log_group_name: String,
    #[serde(default)]
    cloud_watch_output_enabled: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    key: String,
    #[serde(default)]
    values: Vec<String>,
}

/// A document AWS provides.
struct Document {
    plugin: &'static str,
    platforms: &'static [Platform],
}

impl Desk<'_> {
    pub(super) fn send_command(&self, request: SendCommand) -> Result<Value, Refusal> {
        check_shape(&request)?;
        let document = document(&request.document_name).ok_or_else(|| {
            Refusal::bad(
                "InvalidDocument",
                format!(
                    "Document with name {} does not exist.",
                    request.document_name
                ),
            )
        })?;
        let work = read_parameters(&request.parameters)?;
        let instances = self.meant(&request, &document)?;
        let standing = self.cloud.faults.standing();
        let now = self.cloud.now();
        let timeout =
            Duration::from_secs(request.timeout_seconds.unwrap_or(DEFAULT_EXECUTION_TIMEOUT));
        let max_concurrency = request.max_concurrency.unwrap_or_else(|| "50".into());
        let max_errors = request.max_errors.unwrap_or_else(|| "0".into());
        let terms = Terms {
            sent: now,
            pickup_delay: standing.pickup_delay,
            delivery_timeout: timeout,
            max_concurrency: share(&max_concurrency, instances.len(), "maxConcurrency")?.max(1),
            max_errors: share(&max_errors, instances.len(), "maxErrors")?,
        };
        let ran: Vec<Ran> = instances
            .iter()
            .map(|instance| outcome(instance, &document, &work))
            .collect();
        let prospects: Vec<Prospect> = instances
            .iter()
            .zip(&ran)
            .map(|(instance, ran)| match standing.unstarted {
                Some(how) => Prospect::Refused(how),
                None => prospect(instance, &document, ran, work.timeout),
            })
            .collect();
        let invocations = schedule::schedule(&prospects, &terms)
            .into_iter()
            .zip(instances.iter().zip(ran))
            .map(|(timeline, (instance, ran))| Invocation {
                instance_id: instance.id.clone(),
                instance_name: instance.name.clone(),
                plugin: document.plugin,
                timeline,
                cancelled: None,
                ran,
            })
            .collect();
        let logs = request.cloud_watch_output_config;
        let log_group = match logs.cloud_watch_log_group_name {
            _ if !logs.cloud_watch_output_enabled => String::new(),
            unnamed if unnamed.is_empty() => format!("aws/ssm/{}", request.document_name),
            named => named,
        };
        let command = Command {
            id: mint::uuid(),
            document: request.document_name,
            document_version: request.document_version.unwrap_or_default(),
            comment: request.comment,
            parameters: Value::Object(request.parameters),
            instance_ids: request.instance_ids,
            targets: json!(request.targets),
            sent: now,
            timeout,
            max_concurrency,
            max_errors,
            errors_allowed: terms.max_errors,
            output_bucket: request.output_bucket,
            output_prefix: request.output_prefix,
            log_group,
            uploads: standing.uploads,
            visible: now + standing.visibility_delay,
            invocations,
        };
        let described = command.describe(now);
        self.cloud.commands.add(&self.place, command);
        Ok(json!({ "Command": described }))
    }

    fn meant(&self, request: &SendCommand, document: &Document) -> Result<Vec<&Instance>, Refusal> {
        if request.targets.is_empty() {
            self.check_known(&request.instance_ids)?;
            let named: Vec<_> = request
                .instance_ids
                .iter()
                .filter_map(|id| self.managed(id))
                .collect();
            return if named
                .iter()
                .all(|instance| document.platforms.contains(&instance.platform))
            {
                Ok(named)
            } else {
                let message = format!(
                    "Platform type of an instance is not supported by document {}",
                    request.document_name
                );
                Err(Refusal::bad("UnsupportedPlatformType", message))
            };
        }
        if let Some(target) = request
            .targets
            .iter()
            .find(|target| !is_target_key(&target.key))
        {
            return Err(Refusal::bad(
                "InvalidTarget",
                format!("Invalid target key {}", target.key),
            ));
        }
        let meets = |instance: &&Instance| {
            instance.is_managed()
                && request
                    .targets
                    .iter()
                    .all(|target| target.matches(instance))
        };
        Ok(self.instances.iter().filter(meets).collect())
    }
}

impl Target {
    fn matches(&self, instance: &Instance) -> bool {
        let tag_among = |key: &str| {
            instance
                .tag(key)
                .is_some_and(|value| self.values.iter().any(|one| one == value))
        };
        match self.key.as_str() {
            "InstanceIds" => self.values.contains(&instance.id),
            "tag-key" => self.values.iter().any(|key| instance.tag(key).is_some()),
            key => key.strip_prefix("tag:").is_some_and(tag_among),
        }
    }
}

fn is_target_key(key: &str) -> bool {
    matches!(key, "InstanceIds" | "tag-key") || key.starts_with("tag:")
}

fn document(name: &str) -> Option<Document> {
    match name {
        "AWS-RunShellScript" => Some(Document {
            plugin: "aws:runShellScript",
            platforms: &[Platform::Linux, Platform::MacOs],
        }),
        // As in AWS it is good for every platform; on Linux and macOS it needs pwsh, which is not installed here.
        "AWS-RunPowerShellScript" => Some(Document {
            plugin: "aws:runPowerShellScript",
            platforms: &[Platform::Windows, Platform::Linux, Platform::MacOs],
        }),
        _ => None,
    }
}

fn check_shape(request: &SendCommand) -> Result<(), Refusal> {
    if let Some(timeout) = request
        .timeout_seconds
        .filter(|timeout| !DELIVERY_TIMEOUT.contains(timeout))
    {
        let bound = if timeout < *DELIVERY_TIMEOUT.start() {
            format!("greater than or equal to {}", DELIVERY_TIMEOUT.start())
        } else {
            format!("less than or equal to {}", DELIVERY_TIMEOUT.end())
        };
        return Err(validation(&format!(
            "Value '{timeout}' at 'timeoutSeconds' failed to satisfy constraint: Member must have value {bound}"
        )));
    }
    if request.comment.chars().count() > MOST_COMMENT {
        return Err(validation(&format!(
            "Value at 'comment' failed to satisfy constraint: Member must have length less than or equal to {MOST_COMMENT}"
        )));
    }
    if request.targets.len() > MOST_TARGETS {
        return Err(validation(&format!(
            "Value at 'targets' failed to satisfy constraint: Member must have length less than or equal to {MOST_TARGETS}"
        )));
    }
    match (request.instance_ids.is_empty(), request.targets.is_empty()) {
        (true, true) => Err(Refusal::bad(
            "ValidationException",
            "InstanceIds or Targets is required.",
        )),
        (false, false) => Err(Refusal::bad(
            "ValidationException",
            "Only one of InstanceIds or Targets is allowed.",
        )),
        _ => Ok(()),
    }
}

/// What the parameters of the documents say.
#[derive(Debug, PartialEq, Eq)]
struct Work {
    lines: Vec<String>,
    directory: String,
    timeout: Duration,
}

fn read_parameters(parameters: &Map<String, Value>) -> Result<Work, Refusal> {
    const KNOWN: [&str; 3] = ["commands", "workingDirectory", "executionTimeout"];
    if let Some(unknown) = parameters
        .keys()
        .find(|name| !KNOWN.contains(&name.as_str()))
    {
        return Err(invalid(format!(
            "Parameter {unknown} is not defined in the document."
        )));
    }
    let strings = |name: &str| -> Result<Option<Vec<String>>, Refusal> {
        let Some(value) = parameters.get(name) else {
            return Ok(None);
        };
        let strings = value.as_array().and_then(|list| {
            list.iter()
                .map(|one| one.as_str().map(str::to_owned))
                .collect()
        });
        strings
            .map(Some)
            .ok_or_else(|| Refusal::bad("SerializationException", "Expected a list of strings"))
    };
    let commands = strings("commands")?.filter(|commands| !commands.is_empty());
    let commands = commands.ok_or_else(|| invalid("Parameter commands is required.".into()))?;
    let seconds = match strings("executionTimeout")?.as_deref() {
        None => DEFAULT_EXECUTION_TIMEOUT,
        Some([text]) => text
            .parse()
            .ok()
            .filter(|seconds| (1..=*EXECUTION_TIMEOUT.end()).contains(seconds))
            .ok_or_else(|| {
                invalid("Parameter executionTimeout does not match its allowed pattern.".into())
            })?,
        Some(_) => {
            return Err(invalid(
                "Parameter executionTimeout is a single string.".into(),
            ));
        }
    };
    // What the agent finds too short it replaces by its default.
    let seconds = if EXECUTION_TIMEOUT.contains(&seconds) {
        seconds
    } else {
        DEFAULT_EXECUTION_TIMEOUT
    };
    let directory = strings("workingDirectory")?.unwrap_or_default();
    if directory.len() > 1 {
        return Err(invalid(
            "Parameter workingDirectory is a single string.".into(),
        ));
    }
    Ok(Work {
        lines: commands,
        directory: directory.into_iter().next().unwrap_or_default(),
        timeout: Duration::from_secs(seconds),
    })
}

fn outcome(instance: &Instance, document: &Document, work: &Work) -> Ran {
    if document.plugin == "aws:runPowerShellScript" && instance.platform != Platform::Windows {
        return Ran {
            stderr: "sh: 1: pwsh: not found\n".into(),
            code: 127,
            ..Ran::default()
        };
    }
    script::run(instance, &work.lines, &work.directory)
}

fn prospect(
    instance: &Instance,
    document: &Document,
    ran: &Ran,
    execution_timeout: Duration,
) -> Prospect {
    if !document.platforms.contains(&instance.platform) {
        return Prospect::Refused(Unstarted::InvalidPlatform);
    }
    match instance.reach {
        Reach::Offline | Reach::Unmanaged => Prospect::Unreachable,
        Reach::Online if ran.took > execution_timeout => Prospect::Runs {
            takes: execution_timeout,
            end: End::ExecutionTimedOut,
        },
        Reach::Online => Prospect::Runs {
            takes: ran.took,
            end: if ran.code == 0 {
                End::Success
            } else {
                End::Failed
            },
        },
    }
}

/// `10` or `10%` of the targets.
fn share(text: &str, of: usize, name: &str) -> Result<usize, Refusal> {
    let number = match text.strip_suffix('%') {
        Some(percent) => percent
            .parse()
            .ok()
            .filter(|percent| *percent <= 100)
            .map(|percent: usize| of * percent / 100),
        None => text.parse().ok(),
    };
    number.ok_or_else(|| {
        validation(&format!("Value '{text}' at '{name}' failed to satisfy constraint: Member must satisfy its pattern"))
    })
}

fn invalid(message: String) -> Refusal {
    Refusal::bad("InvalidParameters", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_or_a_percentage() {
        assert_eq!(share("10", 50, "maxErrors"), Ok(10));
        assert_eq!(share("10%", 50, "maxErrors"), Ok(5));
        assert!(share("200%", 50, "maxErrors").is_err());
        assert!(share("many", 50, "maxErrors").is_err());
    }

    #[test]
    fn parameters_have_to_be_those_of_the_document() {
        let read = |value: Value| {
            read_parameters(value.as_object().unwrap()).map_err(|refusal| refusal.code)
        };
        let hour = || Work {
            lines: vec!["a".into()],
            directory: String::new(),
            timeout: Duration::from_hours(1),
        };
        assert_eq!(read(json!({})), Err("InvalidParameters"));
        assert_eq!(
            read(json!({"commands": ["a"], "command": ["b"]})),
            Err("InvalidParameters")
        );
        assert_eq!(
            read(json!({"commands": "a"})),
            Err("SerializationException")
        );
        assert_eq!(read(json!({"commands": ["a"]})), Ok(hour()));
        let short = read(json!({"commands": ["a"], "executionTimeout": ["2"]}));
        assert_eq!(short, Ok(hour()), "too short for the agent");
    }
}
