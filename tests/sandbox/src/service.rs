//! Which service and operation a request is for. One listener serves all of AWS, so the services are told apart as a
//! proxy would: by path, by `X-Amz-Target`, and by the scope of the signature. Pure.

use std::fmt;

use hyper::Method;

use crate::answer::Protocol;
use crate::call::Call;
use crate::sigv4::Claim;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Sso,
    Oidc,
    Sts,
    Ssm,
    Ec2,
    S3,
    Logs,
    Signin,
}

/// `ssm.SendCommand`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) service: Service,
    pub(crate) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// The switches of the sandbox itself, below `/_sandbox/`.
    Control(String),
    /// What a person sees in a browser.
    Page(String),
    Operation(Operation),
    Nowhere,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sso => "sso",
            Self::Oidc => "ssooidc",
            Self::Sts => "sts",
            Self::Ssm => "ssm",
            Self::Ec2 => "ec2",
            Self::S3 => "s3",
            Self::Logs => "logs",
            Self::Signin => "signin",
        }
    }

    pub(crate) fn protocol(self) -> Protocol {
        match self {
            Self::Sso => Protocol::Portal,
            Self::Oidc => Protocol::OAuth,
            Self::Sts => Protocol::Query,
            Self::Ssm | Self::Logs => Protocol::Json,
            Self::Ec2 => Protocol::Ec2,
            Self::S3 => Protocol::S3,
            Self::Signin => Protocol::Page,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service.name(), self.name)
    }
}

pub(crate) fn route(call: &Call) -> Route {
    if let Some(switch) = call.raw_path.strip_prefix("/_sandbox/") {
        return Route::Control(switch.to_owned());
    }
    if let Some(claim) = call.header("authorization").and_then(Claim::parse) {
        return signed(claim.service, call);
    }
    if call.header("x-amz-target").is_some() {
        return signed("ssm", call);
    }
    match (call.method.as_str(), call.raw_path.as_str()) {
        ("POST", "/client/register") => operation(Service::Oidc, "RegisterClient"),
        ("POST", "/device_authorization") => operation(Service::Oidc, "StartDeviceAuthorization"),
        ("POST", "/token") => operation(Service::Oidc, "CreateToken"),
        ("GET", "/assignment/accounts") => operation(Service::Sso, "ListAccounts"),
        ("GET", "/assignment/roles") => operation(Service::Sso, "ListAccountRoles"),
        ("GET", "/federation/credentials") => operation(Service::Sso, "GetRoleCredentials"),
        ("POST", "/logout") => operation(Service::Sso, "Logout"),
        ("GET", "/federation") => operation(Service::Signin, signin_operation(call)),
        ("GET" | "POST", "/authorize" | "/device") | ("GET", "/start" | "/start/") => Route::Page(
            call.raw_path
                .trim_start_matches('/')
                .trim_end_matches('/')
                .to_owned(),
        ),
        ("POST", "/") => signed("sts", call),
        ("GET" | "HEAD", path)
            if path.matches('/').count() == 1 && call.parameter("list-type").is_some() =>
        {
            signed("s3", call)
        }
        _ => Route::Nowhere,
    }
}

fn signed(service: &str, call: &Call) -> Route {
    let action = || {
        call.form()
            .get("Action")
            .or(call.parameter("Action"))
            .unwrap_or("Unknown")
            .to_owned()
    };
    match service {
        "sts" => operation(Service::Sts, action()),
        "ec2" => operation(Service::Ec2, action()),
        "ssm" => {
            let target = call.header("x-amz-target").unwrap_or_default();
            operation(
                Service::Ssm,
                target.strip_prefix("AmazonSSM.").unwrap_or("Unknown"),
            )
        }
        "logs" => {
            let target = call.header("x-amz-target").unwrap_or_default();
            operation(
                Service::Logs,
                target.strip_prefix("Logs_20140328.").unwrap_or("Unknown"),
            )
        }
        "s3" => operation(Service::S3, s3_operation(call)),
        _ => Route::Nowhere,
    }
}

fn operation(service: Service, name: impl Into<String>) -> Route {
    Route::Operation(Operation {
        service,
        name: name.into(),
    })
}

fn s3_operation(call: &Call) -> &'static str {
    let path = call.raw_path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let has = |name| call.parameter(name).is_some();
    match (&call.method, bucket.is_empty(), key.is_empty()) {
        (&Method::GET, true, _) => "ListBuckets",
        (&Method::GET, false, true) if has("location") => "GetBucketLocation",
        (&Method::GET, false, true) if call.parameter("list-type") == Some("2") => "ListObjectsV2",
        (&Method::GET, false, true) => "ListObjects",
        (&Method::GET, false, false) => "GetObject",
        (&Method::HEAD, false, true) => "HeadBucket",
        (&Method::HEAD, false, false) => "HeadObject",
        (&Method::PUT, false, false) => "PutObject",
        (&Method::DELETE, false, false) => "DeleteObject",
        _ => "Unknown",
    }
}

fn signin_operation(call: &Call) -> &'static str {
    match call.parameter("Action") {
        Some("getSigninToken") => "GetSigninToken",
        Some("login") => "Login",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn signed_for(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=a"
        )
    }

    #[test]
    fn each_request_finds_its_operation() {
        let (ec2, s3, ssm) = (signed_for("ec2"), signed_for("s3"), signed_for("ssm"));
        let logs = signed_for("logs");
        let cases: [(&str, &str, Headers<'_>, &str, &str); 11] = [
            (
                "GET",
                "/assignment/accounts?max_result=5",
                &[],
                "",
                "sso.ListAccounts",
            ),
            ("POST", "/token", &[], "{}", "ssooidc.CreateToken"),
            (
                "GET",
                "/federation?Action=getSigninToken&Session=x",
                &[],
                "",
                "signin.GetSigninToken",
            ),
            (
                "POST",
                "/",
                &[("authorization", &ec2)],
                "Action=DescribeInstances",
                "ec2.DescribeInstances",
            ),
            (
                "POST",
                "/",
                &[
                    ("authorization", &ssm),
                    ("x-amz-target", "AmazonSSM.SendCommand"),
                ],
                "",
                "ssm.SendCommand",
            ),
            (
                "POST",
                "/",
                &[
                    ("authorization", &logs),
                    ("x-amz-target", "Logs_20140328.GetLogEvents"),
                ],
                "",
                "logs.GetLogEvents",
            ),
            ("GET", "/", &[("authorization", &s3)], "", "s3.ListBuckets"),
            (
                "GET",
                "/b?list-type=2",
                &[("authorization", &s3)],
                "",
                "s3.ListObjectsV2",
            ),
            (
                "GET",
                "/token/x",
                &[("authorization", &s3)],
                "",
                "s3.GetObject",
            ),
            (
                "HEAD",
                "/b/k",
                &[("authorization", &s3)],
                "",
                "s3.HeadObject",
            ),
            (
                "POST",
                "/",
                &[],
                "Action=GetCallerIdentity",
                "sts.GetCallerIdentity",
            ),
        ];
        for (method, target, headers, body, expected) in cases {
            match route(&call::for_test(method, target, headers, body)) {
                Route::Operation(operation) => assert_eq!(operation.to_string(), expected),
                other => panic!("{method} {target} went to {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_nothing_of_aws_goes_nowhere() {
        assert_eq!(
            route(&call::for_test("GET", "/favicon.ico", &[], "")),
            Route::Nowhere
        );
    }
}
