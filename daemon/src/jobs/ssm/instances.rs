//! Which instances a request means, and what each of them runs.

use aws_sdk_ssm::types::{InstanceInformationStringFilter, PlatformType};
use awsso_proto::{Failure, Reason, error::key};
use tracing::info;

use super::{
    Work,
    place::{Ssm, SsmError},
};
use crate::{
    jobs::{Jobs, Target},
    limiter::Repeat,
};

/// `InstanceInformationFilterList` takes this many values.
const FILTER_VALUES: usize = 50;
const PAGE: i32 = 50;

/// A document that runs shell commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Document {
    Shell,
    PowerShell,
}

impl Document {
    pub fn name(self) -> &'static str {
        match self {
            Self::Shell => "AWS-RunShellScript",
            Self::PowerShell => "AWS-RunPowerShellScript",
        }
    }
}

/// An instance to run on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    /// `None` when the role may not ask: then it is tried.
    pub document: Option<Document>,
    /// SSM has never heard of it, here.
    pub unknown: bool,
}

/// The instances of a request. One that SSM does not know is an error when it
/// is alone, and an end state beside others.
pub async fn select(jobs: &Jobs, target: &Target, work: &Work) -> Result<Vec<Instance>, Failure> {
    let ssm = Ssm::new(jobs, target);
    match describe(&ssm, work).await {
        Ok(known) if !work.targets.is_empty() => {
            if known.is_empty() {
                return Err(not_found(
                    target,
                    "no instance that SSM manages has these tags",
                ));
            }
            Ok(known)
        }
        Ok(known) => {
            let found = |id: &String| known.iter().find(|instance| instance.id == *id).cloned();
            let instances: Vec<Instance> = work
                .instance_ids
                .iter()
                .map(|id| {
                    found(id).unwrap_or_else(|| Instance {
                        id: id.clone(),
                        document: None,
                        unknown: true,
                    })
                })
                .collect();
            if instances.iter().all(|instance| instance.unknown) {
                let ids = work.instance_ids.join(", ");
                return Err(not_found(target, &format!("SSM does not know {ids}")));
            }
            Ok(instances)
        }
        Err(error) if error.is_refusal() && work.targets.is_empty() => {
            info!(account = %target.role.account, role = %target.role.name, "no right to look at the instances; trying");
            Ok(work
                .instance_ids
                .iter()
                .map(|id| Instance {
                    id: id.clone(),
                    document: None,
                    unknown: false,
                })
                .collect())
        }
        Err(error) => Err(error.into()),
    }
}

fn not_found(target: &Target, what: &str) -> Failure {
    Failure::new(
        Reason::NotFound,
        format!("{what} in account {} and region {}", target.role.account, target.region),
    )
    .with(
        key::HINT,
        "check the id, the account and the region; the instance needs a running SSM agent and AmazonSSMManagedInstanceCore",
    )
}

async fn describe(ssm: &Ssm, work: &Work) -> Result<Vec<Instance>, SsmError> {
    let filter = |key: &str, values: &[String]| {
        InstanceInformationStringFilter::builder()
            .key(key)
            .set_values(Some(values.to_vec()))
            .build()
            .expect("a key and values are there")
    };
    let filters: Vec<Vec<_>> = if work.targets.is_empty() {
        work.instance_ids
            .chunks(FILTER_VALUES)
            .map(|ids| vec![filter("InstanceIds", ids)])
            .collect()
    } else {
        vec![
            work.targets
                .iter()
                .map(|target| filter(&target.key, &target.values))
                .collect(),
        ]
    };
    let mut instances = Vec::new();
    for filters in filters {
        let mut token: Option<String> = None;
        loop {
            let page = ssm
                .call("DescribeInstanceInformation", Repeat::Freely, |client| {
                    client
                        .describe_instance_information()
                        .set_filters(Some(filters.clone()))
                        .max_results(PAGE)
                        .set_next_token(token.clone())
                        .send()
                })
                .await?;
            instances.extend(
                page.instance_information_list
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|info| {
                        Some(Instance {
                            document: Some(match info.platform_type {
                                Some(PlatformType::Windows) => Document::PowerShell,
                                _ => Document::Shell,
                            }),
                            id: info.instance_id?,
                            unknown: false,
                        })
                    }),
            );
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
    }
    Ok(instances)
}
