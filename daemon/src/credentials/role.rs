//! Whom credentials are for: a permission set's role, or one that is assumed
//! with another's credentials.

use std::sync::Arc;

/// A role in an account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Role {
    /// Twelve digits.
    pub account: String,
    pub name: String,
    /// How it is come by, when Identity Center does not give it.
    pub assumed: Option<Arc<Assumed>>,
}

/// What `AssumeRole` is asked. All of it tells credentials apart: a change in
/// the configuration is another role.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Assumed {
    pub source: Role,
    pub arn: String,
    /// What logs in AWS show; unset: ours.
    pub session_name: Option<String>,
    pub external_id: Option<String>,
    pub seconds: Option<u32>,
    /// JSON: what the credentials may do at most.
    pub policy: Option<String>,
    pub policy_arns: Vec<String>,
}
