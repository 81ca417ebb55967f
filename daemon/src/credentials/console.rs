//! Links that sign a browser in to the AWS Management Console
//! (docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html).
//! Whoever has such a link is signed in: it is made for a person and never logged.

use std::time::{Duration, SystemTime};

use awsso_proto::{Failure, Reason, error::key};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use super::{Broker, Role, RoleCredentials};
use crate::{limiter::backoff, session::Session};

/// How long AWS takes a link for good.
const LIFE: Duration = Duration::from_mins(15);
const TRIES: u32 = 3;

/// A link, and until when it can be followed.
pub struct SignIn {
    pub url: Zeroizing<String>,
    pub expires_at: SystemTime,
}

/// The sign-in service and the console of a partition.
struct Partition {
    sign_in: &'static str,
    console: &'static str,
}

const PARTITIONS: &[(&str, Partition)] = &[
    (
        "cn-",
        Partition {
            sign_in: "signin.amazonaws.cn",
            console: "console.amazonaws.cn",
        },
    ),
    (
        "us-gov-",
        Partition {
            sign_in: "signin.amazonaws-us-gov.com",
            console: "console.amazonaws-us-gov.com",
        },
    ),
    (
        "eusc-",
        Partition {
            sign_in: "signin.amazonaws-eusc.eu",
            console: "console.amazonaws-eusc.eu",
        },
    ),
];
const AWS: Partition = Partition {
    sign_in: "signin.aws.amazon.com",
    console: "console.aws.amazon.com",
};

#[derive(Serialize)]
struct SessionForm<'a> {
    #[serde(rename = "sessionId")]
    id: &'a str,
    #[serde(rename = "sessionKey")]
    key: &'a str,
    #[serde(rename = "sessionToken")]
    token: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TokenForm {
    signin_token: String,
}

impl Broker {
    /// A link to `destination`: a URL, a service's name, or nothing.
    pub async fn sign_in(
        &self,
        session: &Session,
        role: &Role,
        region: &str,
        destination: &str,
    ) -> Result<SignIn, Failure> {
        let destination = page(region, destination)?;
        let federation = match self.aws.sign_in_endpoint()? {
            Some(url) => format!("{}/federation", url.trim_end_matches('/')),
            None => format!("https://{}/federation", partition(region).sign_in),
        };
        let credentials = self.get(session, role).await?;
        let token = match self.sign_in_token(&federation, &credentials).await {
            Err(refusal) if refusal.reason == Reason::AccessDenied => {
                // The keys may have been revoked since they were fetched.
                self.reject(session, role, &credentials);
                let credentials = self.get(session, role).await?;
                self.sign_in_token(&federation, &credentials).await
            }
            answered => answered,
        };
        let token = token.map_err(|failure| failure.with(key::SESSION, session.name()))?;
        let url = address(
            &federation,
            &[
                ("Action", "login"),
                ("Issuer", &session.spec().start_url),
                ("Destination", destination.as_str()),
                ("SigninToken", &token),
            ],
        )?;
        Ok(SignIn {
            url,
            expires_at: self.clock.now() + LIFE,
        })
    }

    async fn sign_in_token(
        &self,
        federation: &str,
        credentials: &RoleCredentials,
    ) -> Result<Zeroizing<String>, Failure> {
        let keys = credentials.open();
        let session = Zeroizing::new(
            serde_json::to_string(&SessionForm {
                id: keys.access_key_id(),
                key: keys.secret_access_key(),
                token: keys.session_token(),
            })
            .map_err(|_| incomprehensible())?,
        );
        // Without SessionDuration, which chained roles may not ask for, the
        // console's session lasts as long as the credentials.
        let url = address(
            federation,
            &[("Action", "getSigninToken"), ("Session", &session)],
        )?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.aws.fetch(&url).await {
                Ok((200, body)) => {
                    let form: TokenForm =
                        serde_json::from_slice(&body).map_err(|_| incomprehensible())?;
                    return Ok(Zeroizing::new(form.signin_token));
                }
                Ok((status, _)) if (400..500).contains(&status) && status != 429 => {
                    return Err(Failure::new(
                        Reason::AccessDenied,
                        format!("AWS Sign-In refuses these credentials (status {status})"),
                    ));
                }
                Ok((status, _)) if tries == TRIES => return Err(unreachable(&status.to_string())),
                Err(error) if tries == TRIES => return Err(unreachable(&error)),
                Ok(_) | Err(_) => tokio::time::sleep(backoff(tries)).await,
            }
        }
    }
}

fn unreachable(what: &str) -> Failure {
    Failure::new(
        Reason::AwsUnavailable,
        format!("AWS Sign-In cannot be reached: {what}"),
    )
}

fn incomprehensible() -> Failure {
    unreachable("its answer is not understood")
}

fn partition(region: &str) -> &'static Partition {
    PARTITIONS
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix))
        .map_or(&AWS, |(_, partition)| partition)
}

/// The page of the console that is meant.
fn page(region: &str, destination: &str) -> Result<String, Failure> {
    let console = partition(region).console;
    if destination.is_empty() {
        return Ok(format!(
            "https://{region}.{console}/console/home?region={region}"
        ));
    }
    if let Ok(url) = Url::parse(destination) {
        let host = url.host_str().unwrap_or_default();
        let of_console = host
            .strip_suffix(console)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if url.scheme() == "https" && of_console {
            return Ok(url.into());
        }
        return Err(Failure::new(
            Reason::InvalidArgument,
            format!("{destination:?} is not a page of https://{console}/"),
        ));
    }
    let is_service = destination
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_service {
        return Err(Failure::new(
            Reason::InvalidArgument,
            format!(
                "{destination:?} is neither a service's name, such as ec2, nor a page of https://{console}/"
            ),
        ));
    }
    let service = destination.to_ascii_lowercase();
    Ok(format!(
        "https://{region}.{console}/{service}/home?region={region}"
    ))
}

fn address(base: &str, parameters: &[(&str, &str)]) -> Result<Zeroizing<String>, Failure> {
    Url::parse_with_params(base, parameters)
        .map(|url| Zeroizing::new(url.into()))
        .map_err(|_| unreachable("its address is not a URL"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_service_or_a_page_of_this_partitions_console() {
        for (region, destination, expected) in [
            (
                "eu-west-1",
                "",
                "https://eu-west-1.console.aws.amazon.com/console/home?region=eu-west-1",
            ),
            (
                "eu-west-1",
                "EC2",
                "https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1",
            ),
            (
                "cn-north-1",
                "s3",
                "https://cn-north-1.console.amazonaws.cn/s3/home?region=cn-north-1",
            ),
            (
                "us-gov-west-1",
                "https://console.amazonaws-us-gov.com/x?y=z#a",
                "https://console.amazonaws-us-gov.com/x?y=z#a",
            ),
        ] {
            assert_eq!(page(region, destination).unwrap(), expected);
        }
        for bad in [
            "https://console.aws.amazon.com.evil.example/",
            "https://evilconsole.aws.amazon.com/",
            "http://console.aws.amazon.com/",
            "javascript:alert(1)",
            "ec2/home",
            "a b",
        ] {
            let failure = page("eu-west-1", bad).unwrap_err();
            assert_eq!(failure.reason, Reason::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn each_partition_has_its_own_sign_in() {
        for (region, host) in [
            ("us-east-1", "signin.aws.amazon.com"),
            ("cn-northwest-1", "signin.amazonaws.cn"),
            ("us-gov-east-1", "signin.amazonaws-us-gov.com"),
            ("eusc-de-east-1", "signin.amazonaws-eusc.eu"),
        ] {
            assert_eq!(partition(region).sign_in, host);
        }
    }

    #[test]
    fn what_stands_in_a_link_is_percent_encoded() {
        let url = address(
            "https://x.example/federation",
            &[("a", "{\"k\":\"+/= &\"}")],
        )
        .unwrap();
        assert_eq!(
            url.as_str(),
            "https://x.example/federation?a=%7B%22k%22%3A%22%2B%2F%3D+%26%22%7D"
        );
    }
}
