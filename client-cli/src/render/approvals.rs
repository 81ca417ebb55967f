//! What waits for a person's yes, as a list.

use std::time::SystemTime;

use awsso_proto::{
    approval::{command, places, who},
    v1::{Approval, ApprovalPlace, instant},
};
use serde::Serialize;

use super::{Rows, time};

#[derive(Debug, Serialize)]
pub struct View<'a> {
    approvals: Vec<ApprovalView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ApprovalView<'a> {
    id: &'a str,
    asked_at: Option<String>,
    expires_at: Option<String>,
    client_name: &'a str,
    pid: u32,
    kind: &'static str,
    class: &'a str,
    why: &'a str,
    argv: &'a [String],
    detail: &'a str,
    targets: u32,
    places: Vec<PlaceView<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PlaceView<'a> {
    account_id: &'a str,
    account_name: &'a str,
    role_name: &'a str,
    region: &'a str,
    instance_id: Option<&'a str>,
}

impl<'a> View<'a> {
    pub fn new(waiting: &'a [Approval]) -> Self {
        let approvals = waiting.iter().map(ApprovalView::from).collect();
        Self { approvals }
    }
}

impl<'a> From<&'a Approval> for ApprovalView<'a> {
    fn from(approval: &'a Approval) -> Self {
        Self {
            id: &approval.id,
            asked_at: time::wire(approval.asked_at.as_ref()),
            expires_at: time::wire(approval.expires_at.as_ref()),
            client_name: &approval.client_name,
            pid: approval.pid,
            kind: approval.kind().word(),
            class: &approval.class,
            why: &approval.why,
            argv: &approval.argv,
            detail: &approval.detail,
            targets: approval.targets,
            places: approval.places.iter().map(PlaceView::from).collect(),
        }
    }
}

impl<'a> From<&'a ApprovalPlace> for PlaceView<'a> {
    fn from(place: &'a ApprovalPlace) -> Self {
        Self {
            account_id: &place.account_id,
            account_name: &place.account_name,
            role_name: &place.role_name,
            region: &place.region,
            instance_id: Some(place.instance_id.as_str()).filter(|id| !id.is_empty()),
        }
    }
}

pub fn rows(waiting: &[Approval], now: SystemTime) -> Rows {
    let mut rows = Rows::new(&["ID", "WHO", "CLASS", "WHERE", "LEFT", "COMMAND"]);
    for approval in waiting {
        let left = approval.expires_at.as_ref().and_then(instant);
        let left = left.and_then(|at| at.duration_since(now).ok());
        rows.push([
            approval.id.clone(),
            who(approval),
            approval.class.clone(),
            places(approval, 1),
            left.map(time::span).unwrap_or_default(),
            command(approval),
        ]);
    }
    rows
}

/// One row for each place that is told.
pub fn csv(waiting: &[Approval]) -> Rows {
    let mut rows = Rows::new(&[
        "id",
        "askedAt",
        "expiresAt",
        "clientName",
        "pid",
        "kind",
        "class",
        "why",
        "command",
        "targets",
        "accountId",
        "accountName",
        "roleName",
        "region",
        "instanceId",
    ]);
    for approval in waiting {
        for place in &approval.places {
            rows.push([
                approval.id.clone(),
                time::wire(approval.asked_at.as_ref()).unwrap_or_default(),
                time::wire(approval.expires_at.as_ref()).unwrap_or_default(),
                approval.client_name.clone(),
                approval.pid.to_string(),
                approval.kind().word().to_owned(),
                approval.class.clone(),
                approval.why.clone(),
                command(approval),
                approval.targets.to_string(),
                place.account_id.clone(),
                place.account_name.clone(),
                place.role_name.clone(),
                place.region.clone(),
                place.instance_id.clone(),
            ]);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approval() -> Approval {
        Approval {
            id: "apr_1".into(),
            client_name: "editor/2\u{1b}[2J".into(),
            pid: 7,
            class: "write".into(),
            why: "preset guarded".into(),
            argv: [
                "aws",
                "ec2",
                "stop-instances",
                "a b",
                "it's",
                "--x=\u{1b}[1A",
            ]
            .map(str::to_owned)
            .into(),
            places: vec![ApprovalPlace {
                account_id: "111122223333".into(),
                account_name: "prod".into(),
                role_name: "Admin".into(),
                region: "eu-west-1".into(),
                ..ApprovalPlace::default()
            }],
            targets: 3,
            ..Approval::default()
        }
    }

    #[test]
    fn a_program_reads_the_words_as_they_are() {
        let waiting = [approval()];
        let view = serde_json::to_value(View::new(&waiting)).unwrap();
        let first = &view["approvals"][0];
        assert_eq!(first["argv"][5], "--x=\u{1b}[1A");
        assert_eq!(first["places"][0]["accountName"], "prod");
        assert_eq!(first["places"][0]["instanceId"], serde_json::Value::Null);
        assert_eq!(first["targets"], 3);
    }
}
