//! EC2, query protocol: the instances of an account.

use crate::answer::{Answer, Refusal};
use crate::call::{Call, Form};
use crate::cloud::Cloud;
use crate::keys::Caller;
use crate::organization::{Instance, Platform};
use crate::sigv4::Claim;
use crate::wildcard::fits;
use crate::xml::Xml;
use crate::{mint, paging};

const NAMESPACE: &str = "xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"";
const LAUNCHED: &str = "2026-01-01T08:00:00.000Z";

pub(crate) fn answer(
    cloud: &Cloud,
    caller: &Caller,
    operation: &str,
    call: &Call,
) -> Result<Answer, Refusal> {
    match operation {
        "DescribeInstances" => describe_instances(cloud, caller, call),
        other => Err(Refusal::new(
            400,
            "InvalidAction",
            format!("The action {other} is not valid for this web service."),
        )),
    }
}

struct Filter {
    name: String,
    values: Vec<String>,
}

fn describe_instances(cloud: &Cloud, caller: &Caller, call: &Call) -> Result<Answer, Refusal> {
    let form = call.form();
    let here = call
        .header("authorization")
        .and_then(Claim::parse)
        .is_some_and(|at| at.region == cloud.config.region);
    let account = cloud.organization.account(&caller.account).filter(|_| here);
    let instances: &[Instance] = account.map_or(&[], |account| &account.instances);
    let named = form.list("InstanceId");
    if let Some(unknown) = named
        .iter()
        .find(|id| !instances.iter().any(|instance| instance.id == **id))
    {
        let message = format!("The instance ID '{unknown}' does not exist");
        return Err(Refusal::new(400, "InvalidInstanceID.NotFound", message));
    }
    let filters = read_filters(&form)?;
    let found: Vec<_> = instances
        .iter()
        .filter(|instance| named.is_empty() || named.contains(&instance.id.as_str()))
        .filter(|instance| filters.iter().all(|filter| filter.matches(instance)))
        .collect();
    let size = form
        .get("MaxResults")
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    let page = paging::page(found, "instances", form.get("NextToken"), size)
        .map_err(|_| Refusal::new(400, "InvalidNextToken", "The token is not valid"))?;
    Ok(Answer::xml(Xml::document(
        &format!("DescribeInstancesResponse {NAMESPACE}"),
        |xml| {
            xml.leaf("requestId", &mint::uuid());
            xml.element("reservationSet", |xml| {
                for instance in &page.items {
                    reservation(xml, instance, &caller.account, &cloud.config.region);
                }
            });
            if let Some(next) = &page.next {
                xml.leaf("nextToken", next);
            }
        },
    )))
}

fn read_filters(form: &Form) -> Result<Vec<Filter>, Refusal> {
    let mut filters = Vec::new();
    for number in 1.. {
        let Some(name) = form.get(&format!("Filter.{number}.Name")) else {
            break;
        };
        let known = matches!(
            name,
            "instance-id" | "instance-state-name" | "platform" | "private-ip-address" | "tag-key"
        );
        if !known && !name.starts_with("tag:") {
            return Err(Refusal::new(
                400,
                "InvalidParameterValue",
                format!("The filter '{name}' is invalid"),
            ));
        }
        let values = form
            .list(&format!("Filter.{number}.Value"))
            .into_iter()
            .map(str::to_owned)
            .collect();
        filters.push(Filter {
            name: name.to_owned(),
            values,
        });
    }
    Ok(filters)
}

impl Filter {
    fn matches(&self, instance: &Instance) -> bool {
        let among = |value: &str| self.values.iter().any(|pattern| fits(pattern, value));
        match self.name.as_str() {
            "instance-id" => among(&instance.id),
            "instance-state-name" => among("running"),
            "platform" => instance.platform == Platform::Windows && among("windows"),
            "private-ip-address" => among(&instance.address),
            "tag-key" => instance.tags.iter().any(|(key, _)| among(key)),
            name => name
                .strip_prefix("tag:")
                .and_then(|key| instance.tag(key))
                .is_some_and(among),
        }
    }
}

fn reservation(xml: &mut Xml, instance: &Instance, account: &str, region: &str) {
    let kind = if instance.platform == Platform::MacOs {
        "mac2.metal"
    } else {
        "t3.medium"
    };
    xml.element("item", |xml| {
        xml.leaf("reservationId", &instance.id.replacen("i-", "r-", 1));
        xml.leaf("ownerId", account);
        xml.element("groupSet", |_| {});
        xml.element("instancesSet", |xml| {
            xml.element("item", |xml| {
                xml.leaf("instanceId", &instance.id);
                xml.leaf("imageId", "ami-0a1b2c3d4e5f60789");
                xml.element("instanceState", |xml| {
                    xml.leaf("code", "16");
                    xml.leaf("name", "running");
                });
                xml.leaf(
                    "privateDnsName",
                    &format!("{}.{region}.compute.internal", instance.name),
                );
                xml.leaf("instanceType", kind);
                xml.leaf("launchTime", LAUNCHED);
                xml.element("placement", |xml| {
                    xml.leaf("availabilityZone", &format!("{region}a"));
                });
                if instance.platform == Platform::Windows {
                    xml.leaf("platform", "windows");
                }
                xml.leaf("privateIpAddress", &instance.address);
                xml.element("tagSet", |xml| {
                    for (key, value) in &instance.tags {
                        xml.element("item", |xml| {
                            xml.leaf("key", key);
                            xml.leaf("value", value);
                        });
                    }
                });
            });
        });
    });
}
