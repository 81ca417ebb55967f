//! The front door of every signed service: whose keys signed this request, or how that service says no.

use std::time::{Duration, SystemTime};

use crate::answer::Refusal;
use crate::call::Call;
use crate::clock;
use crate::keys::{Caller, KeyRing};
use crate::service::Service;
use crate::sigv4::{self, Claim};

/// AWS's allowance for clocks that disagree.
const LEEWAY: Duration = Duration::from_mins(5);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Closed {
    Unsigned,
    Malformed,
    UnknownKey,
    Expired,
    /// The signature is too old or from the future; what AWS says about it.
    Stale(String),
    WrongSignature,
    WrongPayloadHash,
}

/// `now` is the model's time, by which keys expire; `wire` is the time signatures are compared with.
pub(crate) fn caller(
    service: Service,
    call: &Call,
    keys: &KeyRing,
    now: SystemTime,
    wire: SystemTime,
) -> Result<Caller, Refusal> {
    check(call, keys, now, wire).map_err(|closed| refusal(&closed, service))
}

fn check(call: &Call, keys: &KeyRing, now: SystemTime, wire: SystemTime) -> Result<Caller, Closed> {
    let authorization = call.header("authorization").ok_or(Closed::Unsigned)?;
    let claim = Claim::parse(authorization).ok_or(Closed::Malformed)?;
    let key = keys.find(claim.key_id).ok_or(Closed::UnknownKey)?;
    if call.header("x-amz-security-token") != Some(key.session_token.as_str()) {
        return Err(Closed::UnknownKey);
    }
    if key.expires <= now {
        return Err(Closed::Expired);
    }
    let amz_date = call.header("x-amz-date").ok_or(Closed::Malformed)?;
    let signed_at = parse_amz_date(amz_date).ok_or(Closed::Malformed)?;
    if !amz_date.starts_with(claim.date) || !claim.signs("host") {
        return Err(Closed::Malformed);
    }
    if let Some(why) = stale(amz_date, signed_at, wire) {
        return Err(Closed::Stale(why));
    }
    let payload_hash = payload_hash(call, &claim)?;
    if claim.expected(call, &key.secret, amz_date, &payload_hash) != claim.signature {
        return Err(Closed::WrongSignature);
    }
    Ok(key.caller)
}

fn payload_hash(call: &Call, claim: &Claim<'_>) -> Result<String, Closed> {
    let of_body = || sigv4::sha256(&call.body);
    if claim.service != "s3" {
        return Ok(of_body());
    }
    let stated = call
        .header("x-amz-content-sha256")
        .ok_or(Closed::Malformed)?;
    let is_hash = stated.len() == 64;
    if is_hash && stated != of_body() {
        return Err(Closed::WrongPayloadHash);
    }
    // UNSIGNED-PAYLOAD and the STREAMING-… kinds stand in the canonical request as they are.
    Ok(stated.to_owned())
}

fn stale(amz_date: &str, signed_at: SystemTime, wire: SystemTime) -> Option<String> {
    let compact = |at| clock::rfc3339(at)[..19].replace(['-', ':'], "") + "Z";
    if signed_at + LEEWAY < wire {
        let (limit, wire) = (compact(wire - LEEWAY), compact(wire));
        return Some(format!(
            "Signature expired: {amz_date} is now earlier than {limit} ({wire} - 5 min.)"
        ));
    }
    if wire + LEEWAY < signed_at {
        let (limit, wire) = (compact(wire + LEEWAY), compact(wire));
        return Some(format!(
            "Signature not yet current: {amz_date} is still later than {limit} ({wire} + 5 min.)"
        ));
    }
    None
}

/// `20150830T123600Z`
fn parse_amz_date(text: &str) -> Option<SystemTime> {
    if !text.is_ascii() || text.len() != 16 {
        return None;
    }
    let rfc3339 = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &text[..4],
        &text[4..6],
        &text[6..8],
        &text[9..11],
        &text[11..13],
        &text[13..15]
    );
    humantime::parse_rfc3339(&rfc3339).ok()
}

/// How each service says it; the codes and texts are AWS's.
fn refusal(closed: &Closed, service: Service) -> Refusal {
    const INVALID_TOKEN: &str = "The security token included in the request is invalid.";
    const EXPIRED_TOKEN: &str = "The security token included in the request is expired";
    const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your \
                            AWS Secret Access Key and signing method. Consult the service documentation for details.";
    let refuse = |status, code, message: &str| Refusal::new(status, code, message);
    match (service, closed) {
        (Service::S3, Closed::Unsigned) => refuse(403, "AccessDenied", "Access Denied"),
        (Service::S3, Closed::Malformed) => refuse(
            400,
            "AuthorizationHeaderMalformed",
            "The authorization header that you provided is not valid.",
        ),
        (Service::S3, Closed::UnknownKey) => refuse(
            403,
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
        (Service::S3, Closed::Expired) => {
            refuse(400, "ExpiredToken", "The provided token has expired.")
        }
        (Service::S3, Closed::Stale(_)) => refuse(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        ),
        (Service::S3, Closed::WrongPayloadHash) => refuse(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
        (Service::S3, Closed::WrongSignature) => refuse(403, "SignatureDoesNotMatch", MISMATCH),

        (Service::Ec2, Closed::Unsigned) => refuse(
            400,
            "MissingParameter",
            "The request must contain the parameter AWSAccessKeyId",
        ),
        (Service::Ec2, Closed::Expired) => refuse(400, "RequestExpired", "Request has expired."),
        (Service::Ec2, Closed::Stale(why)) => refuse(
            400,
            "RequestExpired",
            &format!("Request has expired. {why}"),
        ),
        (Service::Ec2, _) => refuse(
            401,
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
        ),

        (Service::Ssm | Service::Logs, Closed::Unsigned) => refuse(
            400,
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ),
        (Service::Ssm | Service::Logs, Closed::Malformed) => refuse(
            400,
            "IncompleteSignatureException",
            "Authorization header is incomplete or malformed.",
        ),
        (Service::Ssm | Service::Logs, Closed::UnknownKey) => {
            refuse(400, "UnrecognizedClientException", INVALID_TOKEN)
        }
        (Service::Ssm | Service::Logs, Closed::Expired) => {
            refuse(400, "ExpiredTokenException", EXPIRED_TOKEN)
        }
        (Service::Ssm | Service::Logs, Closed::Stale(why)) => {
            refuse(400, "InvalidSignatureException", why)
        }
        (Service::Ssm | Service::Logs, Closed::WrongSignature | Closed::WrongPayloadHash) => {
            refuse(400, "InvalidSignatureException", MISMATCH)
        }

        (Service::Sts | Service::Sso | Service::Oidc | Service::Signin, closed) => match closed {
            Closed::Unsigned => refuse(
                403,
                "MissingAuthenticationToken",
                "Request is missing Authentication Token",
            ),
            Closed::Malformed => refuse(
                400,
                "IncompleteSignature",
                "Authorization header is incomplete or malformed.",
            ),
            Closed::UnknownKey => refuse(403, "InvalidClientTokenId", INVALID_TOKEN),
            Closed::Expired => refuse(403, "ExpiredToken", EXPIRED_TOKEN),
            Closed::Stale(why) => refuse(403, "SignatureDoesNotMatch", why),
            Closed::WrongSignature | Closed::WrongPayloadHash => {
                refuse(403, "SignatureDoesNotMatch", MISMATCH)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call;
    use crate::keys::{IssuedKeys, Origin};
    use crate::mint::Mint;

    const DATE: &str = "20150830T123600Z";

    struct Signed {
        keys: KeyRing,
        issued: IssuedKeys,
        at: SystemTime,
    }

    fn signed() -> Signed {
        let (keys, mint, at) = (
            KeyRing::default(),
            Mint::default(),
            parse_amz_date(DATE).unwrap(),
        );
        let caller = Caller {
            account: "111122223333".into(),
            role: "ReadOnly".into(),
            role_in_arn: "ReadOnly".into(),
            session_name: "alice".into(),
            origin: Origin::Portal,
        };
        let issued = keys.issue(&mint, caller, at, Duration::from_hours(1));
        Signed { keys, issued, at }
    }

    impl Signed {
        fn call(&self, secret: &str, body: &str) -> Call {
            let headers = |authorization: &str| {
                call::for_test(
                    "POST",
                    "/",
                    &[
                        ("host", "127.0.0.1:1"),
                        ("x-amz-date", DATE),
                        ("x-amz-security-token", &self.issued.session_token),
                        ("authorization", authorization),
                    ],
                    body,
                )
            };
            let authorization = |signature: &str| {
                format!(
                    "AWS4-HMAC-SHA256 Credential={}/20150830/eu-west-1/ssm/aws4_request, \
                     SignedHeaders=host;x-amz-date;x-amz-security-token, Signature={signature}",
                    self.issued.access_key_id
                )
            };
            let unsigned = authorization("");
            let claim = Claim::parse(&unsigned).unwrap();
            let signature =
                claim.expected(&headers(""), secret, DATE, &sigv4::sha256(body.as_bytes()));
            headers(&authorization(&signature))
        }

        fn verdict(&self, call: &Call, at: SystemTime) -> Result<Caller, Closed> {
            check(call, &self.keys, at, at)
        }
    }

    #[test]
    fn a_signature_with_the_issued_secret_opens_and_any_other_does_not() {
        let signed = signed();
        let good = signed.call(&signed.issued.secret_access_key, "{}");
        assert_eq!(
            signed.verdict(&good, signed.at).unwrap().account,
            "111122223333"
        );
        let bad = signed.call("another secret", "{}");
        assert_eq!(signed.verdict(&bad, signed.at), Err(Closed::WrongSignature));
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_either_way() {
        let signed = signed();
        let call = signed.call(&signed.issued.secret_access_key, "{}");
        assert!(signed.verdict(&call, signed.at + LEEWAY).is_ok());
        let late = signed
            .verdict(&call, signed.at + LEEWAY + Duration::from_secs(1))
            .unwrap_err();
        assert_eq!(
            late,
            Closed::Stale(
                "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T124101Z - 5 min.)"
                    .into()
            )
        );
        assert!(
            signed
                .verdict(&call, signed.at - LEEWAY - Duration::from_secs(1))
                .is_err()
        );
    }

    #[test]
    fn expired_and_revoked_keys_are_told_apart() {
        let signed = signed();
        let call = signed.call(&signed.issued.secret_access_key, "{}");
        assert_eq!(
            signed.verdict(&call, signed.issued.expires),
            Err(Closed::Expired)
        );
        signed.keys.revoke_all();
        assert_eq!(signed.verdict(&call, signed.at), Err(Closed::UnknownKey));
    }

    #[test]
    fn each_service_has_its_own_word_for_a_wrong_key() {
        for (service, code) in [
            (Service::Sts, "InvalidClientTokenId"),
            (Service::Ssm, "UnrecognizedClientException"),
            (Service::S3, "InvalidAccessKeyId"),
            (Service::Ec2, "AuthFailure"),
        ] {
            assert_eq!(refusal(&Closed::UnknownKey, service).code, code);
        }
    }
}
