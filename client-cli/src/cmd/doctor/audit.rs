//! Whether the audit log can be written, and is as it was written.

use std::{io, path::Path};

use awsso_proto::{
    audit::{self, Report},
    v1::DiagnoseResponse,
};

use super::{Check, Finding};

/// What the daemon met when it wrote.
pub fn writing(answer: &DiagnoseResponse) -> Option<Check> {
    let summary = "the audit log cannot be written, so agents are refused";
    let cure = "awsso daemon logs says why; when that is put right: awsso daemon restart";
    answer
        .audit_log_broken
        .then(|| Check::fail(Finding::AuditUnwritable, summary, cure))
}

/// What lies on disk: a daemon does not vouch for its own log.
pub fn reading(state: &Path) -> Check {
    let report = match audit::verify(state) {
        Ok(report) => report,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Report::default(),
        Err(error) => {
            let summary = format!("the audit log cannot be read: {error}");
            let cure = format!("look at the rights of {}", state.display());
            return Check::fail(Finding::AuditUnreadable, summary, cure);
        }
    };
    match report.tampered {
        None => {
            let lines = report.lines;
            Check::ok(
                Finding::AuditIntact,
                format!("its {lines} line(s) are as they were written"),
            )
        }
        Some(found) => Check::fail(
            Finding::AuditTampered,
            format!("the audit log is not as it was written: {found}"),
            "find out who changed it; awsso audit show reads what is there",
        ),
    }
}
