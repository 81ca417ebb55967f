//! AWS Signature Version 4, from the documentation: what a request's signature has to be. Pure; who may call is
//! decided in [`crate::gate`].

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::call::Call;
use crate::percent;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What the `Authorization` header claims.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Claim<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) date: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    pub(crate) signed_headers: &'a str,
    pub(crate) signature: &'a str,
}

impl<'a> Claim<'a> {
    pub(crate) fn parse(authorization: &'a str) -> Option<Self> {
        let fields = authorization.strip_prefix(ALGORITHM)?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
        };
        // A key id has no slash, so the scope is always the last four parts.
        let mut scope = field("Credential")?.splitn(5, '/');
        let claim = Self {
            key_id: scope.next()?,
            date: scope.next()?,
            region: scope.next()?,
            service: scope.next()?,
            signed_headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        };
        (scope.next()? == "aws4_request").then_some(claim)
    }

    pub(crate) fn signs(&self, header: &str) -> bool {
        self.signed_headers.split(';').any(|name| name == header)
    }

    /// The signature the holder of `secret` would have made.
    pub(crate) fn expected(
        &self,
        call: &Call,
        secret: &str,
        amz_date: &str,
        payload_hash: &str,
    ) -> String {
        let canonical = self.canonical_request(call, payload_hash);
        let scope = format!(
            "{}/{}/{}/aws4_request",
            self.date, self.region, self.service
        );
        let to_sign = format!(
            "{ALGORITHM}\n{amz_date}\n{scope}\n{}",
            sha256(canonical.as_bytes())
        );
        hex::encode(hmac(
            &signing_key(secret, self.date, self.region, self.service),
            &to_sign,
        ))
    }

    fn canonical_request(&self, call: &Call, payload_hash: &str) -> String {
        let mut query: Vec<_> = call
            .query
            .iter()
            .map(|(name, value)| (percent::encode(name), percent::encode(value)))
            .collect();
        query.sort();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut headers = String::new();
        for name in self.signed_headers.split(';') {
            headers.push_str(name);
            headers.push(':');
            headers.push_str(&canonical_values(call, name));
            headers.push('\n');
        }
        format!(
            "{}\n{}\n{}\n{headers}\n{}\n{payload_hash}",
            call.method,
            self.canonical_path(call),
            query.join("&"),
            self.signed_headers,
        )
    }

    fn canonical_path(&self, call: &Call) -> String {
        if self.service == "s3" {
            // S3 codes once and takes the path as it is, dots and double slashes included.
            percent::encode_path(&percent::decode(&call.raw_path))
        } else {
            percent::encode_path(&without_dots(&call.raw_path))
        }
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn canonical_values(call: &Call, name: &str) -> String {
    let values = call.headers.get_all(name).iter();
    let values: Vec<_> = values
        .map(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .split(' ')
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    values.join(",")
}

fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    let trailing = if path.ends_with('/') && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{trailing}", parts.join("/"))
}

fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> Vec<u8> {
    let date = hmac(format!("AWS4{secret}").as_bytes(), date);
    let region = hmac(&date, region);
    let service = hmac(&region, service);
    hmac(&service, "aws4_request")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call;

    const SUITE_SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn suite(method: &str, target: &str) -> String {
        let headers = [
            ("host", "example.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        let call = call::for_test(method, target, &headers, "");
        let claim = Claim {
            key_id: "AKIDEXAMPLE",
            date: "20150830",
            region: "us-east-1",
            service: "service",
            signed_headers: "host;x-amz-date",
            signature: "",
        };
        claim.expected(&call, SUITE_SECRET, "20150830T123600Z", &sha256(b""))
    }

    #[test]
    fn the_signatures_of_the_published_test_suite_come_out() {
        for (method, target, signature) in [
            (
                "GET",
                "/",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "/",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "GET",
                "/?Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "GET",
                "/./",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
        ] {
            assert_eq!(suite(method, target), signature, "{method} {target}");
        }
    }

    #[test]
    fn the_documented_iam_request_has_the_documented_signature() {
        let headers = [
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            ),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        let call = call::for_test("GET", "/?Action=ListUsers&Version=2010-05-08", &headers, "");
        let claim = Claim {
            key_id: "AKIDEXAMPLE",
            date: "20150830",
            region: "us-east-1",
            service: "iam",
            signed_headers: "content-type;host;x-amz-date",
            signature: "",
        };
        assert_eq!(
            claim.expected(&call, SUITE_SECRET, "20150830T123600Z", &sha256(b"")),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
        assert_eq!(
            hex::encode(signing_key(SUITE_SECRET, "20150830", "us-east-1", "iam")),
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }

    #[test]
    fn the_documented_s3_request_has_the_documented_signature() {
        let empty = sha256(b"");
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", &empty),
            ("x-amz-date", "20130524T000000Z"),
        ];
        let call = call::for_test("GET", "/test.txt", &headers, "");
        let claim = Claim {
            key_id: "AKIAIOSFODNN7EXAMPLE",
            date: "20130524",
            region: "us-east-1",
            service: "s3",
            signed_headers: "host;range;x-amz-content-sha256;x-amz-date",
            signature: "",
        };
        assert_eq!(
            claim.expected(
                &call,
                "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "20130524T000000Z",
                &empty
            ),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    #[test]
    fn a_path_is_coded_once_for_s3_and_twice_elsewhere() {
        let call = call::for_test("GET", "/a%20b", &[], "");
        let claim = |service| Claim {
            key_id: "",
            date: "",
            region: "",
            service,
            signed_headers: "",
            signature: "",
        };
        assert_eq!(claim("s3").canonical_path(&call), "/a%20b");
        assert_eq!(claim("service").canonical_path(&call), "/a%2520b");
    }

    #[test]
    fn a_claim_is_read_with_and_without_blanks() {
        for gap in [",", ", "] {
            let header = format!(
                "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/ssm/aws4_request{gap}SignedHeaders=host{gap}Signature=ab"
            );
            let claim = Claim::parse(&header).unwrap();
            assert_eq!(
                (claim.key_id, claim.service, claim.signature),
                ("AKID", "ssm", "ab")
            );
        }
        assert_eq!(
            Claim::parse("AWS4-HMAC-SHA256 Credential=AKID/x, SignedHeaders=host, Signature=ab"),
            None
        );
        assert_eq!(Claim::parse("Basic abc"), None);
    }
}
