//! What is asked for, as rules see it: the operations, their class, and what no
//! agent may whatever the rules say. An [`Action`] knows nothing of who asks.

use awsso_proto::{Failure, Reason, v1};
use serde::Deserialize;

use super::instances::Instances;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    Read,
    /// A read of names, as IAM tells it apart.
    List,
    Write,
    /// A write that changes who may do what.
    Permissions,
    /// A write that changes tags.
    Tagging,
    /// Its answer is a credential.
    Credentials,
}

impl From<Class> for v1::ActionClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Read => Self::Read,
            Class::List => Self::List,
            Class::Write => Self::Write,
            Class::Permissions => Self::Permissions,
            Class::Tagging => Self::Tagging,
            Class::Credentials => Self::Credentials,
        }
    }
}

impl Class {
    pub fn word(self) -> &'static str {
        v1::ActionClass::from(self).word()
    }
}

/// One thing that is done in AWS, by the names it has: the API's, then IAM's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation(pub Vec<String>);

impl Operation {
    pub fn new(service: &str, name: &str) -> Self {
        Self(vec![format!("{service}:{name}")])
    }

    /// The name that is shown.
    pub fn name(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }
}

/// A piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// All of them are done, or may be.
    pub operations: Vec<Operation>,
    pub class: Class,
    /// The region that the command itself names.
    pub region: Option<String>,
    pub instances: Instances,
    /// Whether it reads or writes files of this machine.
    pub local_files: bool,
    /// Why no agent may do it.
    pub objection: Option<Objection>,
}

/// What is refused to agents, and what they do instead; one line, to be read
/// after "an agent may not".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection(pub String);

impl Action {
    pub fn new(class: Class, operations: Vec<Operation>) -> Self {
        Self {
            operations,
            class,
            region: None,
            instances: Instances::None,
            local_files: false,
            objection: None,
        }
    }

    /// A shell command on instances: root there, whatever its text says.
    pub fn ssm(work: &v1::SsmWork) -> Self {
        let mut action = Self::new(Class::Write, vec![Operation::new("ssm", "SendCommand")]);
        if holds_reference(&work.command) {
            action.class = Class::Credentials;
        }
        action.instances = Instances::of_ssm(work);
        action
    }

    /// A person's program gets the keys of a role, and may do all that it may.
    pub fn hold_credentials() -> Self {
        let operation = Operation::new("sso", "GetRoleCredentials");
        Self::new(Class::Credentials, vec![operation])
    }

    pub fn operation_names(&self) -> Vec<String> {
        let names = self.operations.iter().map(Operation::name);
        names.map(str::to_owned).collect()
    }

    /// `s3:CopyObject, s3:DeleteObject (write)`
    pub fn shown(&self) -> String {
        format!(
            "{} ({})",
            self.operation_names().join(", "),
            self.class.word()
        )
    }

    /// What no agent may, whatever the rules say.
    pub fn check_for_agents(&self) -> Result<(), Failure> {
        match &self.objection {
            Some(objection) => Err(Failure::new(Reason::DeniedByPolicy, objection.to_string())),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Objection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "an agent may not {}", self.0)
    }
}

/// AWS puts a stored value where such a reference stands.
pub fn holds_reference(text: &str) -> bool {
    ["{{ssm:", "{{ssm-secure:", "{{resolve:"]
        .iter()
        .any(|start| without_blanks(text).contains(start))
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
