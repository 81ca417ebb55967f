//! `DescribeInstanceInformation`: the instances Systems Manager knows.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, bad_token, page_size};
use crate::answer::Refusal;
use crate::organization::{Instance, Platform, Reach};
use crate::{clock, paging};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeInstanceInformation {
    #[serde(default)]
    filters: Vec<Filter>,
    #[serde(default)]
    instance_information_filter_list: Vec<OldFilter>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    key: String,
    values: Vec<String>,
}

/// The older spelling; lower case on the wire.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OldFilter {
    key: String,
    value_set: Vec<String>,
}

impl Desk<'_> {
    pub(super) fn describe_instance_information(
        &self,
        request: &DescribeInstanceInformation,
    ) -> Result<Value, Refusal> {
        let new = request
            .filters
            .iter()
            .map(|filter| (filter.key.as_str(), &filter.values));
        let old = request
            .instance_information_filter_list
            .iter()
            .map(|filter| (filter.key.as_str(), &filter.value_set));
        let filters: Vec<_> = new.chain(old).collect();
        if let Some((key, _)) = filters.iter().find(|(key, _)| !is_key(key)) {
            return Err(Refusal::bad(
                "InvalidInstanceInformationFilterValue",
                format!("Invalid filter key {key}"),
            ));
        }
        let meets = |instance: &&Instance| {
            instance.is_managed()
                && filters
                    .iter()
                    .all(|(key, values)| matches(instance, key, values))
        };
        let found: Vec<_> = self.instances.iter().filter(meets).collect();
        let size = page_size(request.max_results, 5, 50, 50)?;
        let list = format!("instances/{filters:?}");
        let page = paging::page(found, &list, request.next_token.as_deref(), size)
            .map_err(|_| bad_token())?;
        let now = self.cloud.now();
        let list: Vec<_> = page
            .items
            .iter()
            .map(|instance| describe(instance, clock::epoch_seconds(now)))
            .collect();
        let mut value = json!({ "InstanceInformationList": list });
        if let Some(next) = page.next {
            value["NextToken"] = next.into();
        }
        Ok(value)
    }
}

fn is_key(key: &str) -> bool {
    matches!(
        key,
        "InstanceIds"
            | "PingStatus"
            | "PlatformTypes"
            | "AgentVersion"
            | "ResourceType"
            | "tag-key"
            | "SourceIds"
    ) || key.starts_with("tag:")
}

fn matches(instance: &Instance, key: &str, values: &[String]) -> bool {
    let among = |value: &str| values.iter().any(|one| one == value);
    match key {
        "InstanceIds" | "SourceIds" => among(&instance.id),
        "PingStatus" => among(ping_status(instance)),
        "PlatformTypes" => among(instance.platform.name()),
        "AgentVersion" => among(AGENT_VERSION),
        "ResourceType" => among("EC2Instance"),
        "tag-key" => values.iter().any(|tag| instance.tag(tag).is_some()),
        other => other
            .strip_prefix("tag:")
            .and_then(|tag| instance.tag(tag))
            .is_some_and(among),
    }
}

const AGENT_VERSION: &str = "3.3.2299.0";

fn describe(instance: &Instance, now: f64) -> Value {
    let (platform_name, platform_version) = match instance.platform {
        Platform::Linux => ("Amazon Linux", "2023"),
        Platform::Windows => ("Microsoft Windows Server 2022 Datacenter", "10.0.20348"),
        Platform::MacOs => ("macOS", "14.6"),
    };
    let silent_for = if instance.reach == Reach::Online {
        60.0
    } else {
        Duration::from_hours(24).as_secs_f64()
    };
    json!({
        "InstanceId": instance.id,
        "PingStatus": ping_status(instance),
        "LastPingDateTime": now - silent_for,
        "AgentVersion": AGENT_VERSION,
        "IsLatestVersion": true,
        "PlatformType": instance.platform.name(),
        "PlatformName": platform_name,
        "PlatformVersion": platform_version,
        "ResourceType": "EC2Instance",
        "IPAddress": instance.address,
        "ComputerName": instance.name,
        "SourceId": instance.id,
        "SourceType": "AWS::EC2::Instance",
    })
}

fn ping_status(instance: &Instance) -> &'static str {
    match instance.reach {
        Reach::Online => "Online",
        Reach::Offline | Reach::Unmanaged => "ConnectionLost",
    }
}
