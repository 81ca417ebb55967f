//! S3, path style: the buckets of an account, read only.

use std::collections::BTreeSet;

use crate::answer::{Answer, Protocol, Refusal};
use crate::call::Call;
use crate::cloud::Cloud;
use crate::keys::Caller;
use crate::organization::Bucket;
use crate::percent;
use crate::sigv4::{self, Claim};
use crate::xml::Xml;

const NAMESPACE: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
const CREATED: &str = "2026-01-01T08:00:00.000Z";
const MOST_KEYS: usize = 1000;

/// The IAM action an operation needs; S3's names differ from its operations.
pub(crate) fn permission(operation: &str) -> &str {
    match operation {
        "ListBuckets" => "ListAllMyBuckets",
        "ListObjects" | "ListObjectsV2" | "HeadBucket" => "ListBucket",
        "HeadObject" => "GetObject",
        other => other,
    }
}

pub(crate) fn answer(
    cloud: &Cloud,
    caller: &Caller,
    operation: &str,
    call: &Call,
) -> Result<Answer, Refusal> {
    let account = cloud.organization.account(&caller.account);
    let buckets: &[Bucket] = account.map_or(&[], |account| &account.buckets);
    let path = call.raw_path.trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let (bucket, key) = (percent::decode(bucket), percent::decode(key));
    if operation == "ListBuckets" {
        return Ok(list_buckets(caller, buckets));
    }
    let bucket = match buckets.iter().find(|one| one.name == bucket) {
        Some(found) => found,
        // The name is taken by another account: its owner has not let this caller in.
        None if cloud
            .organization
            .accounts()
            .iter()
            .flat_map(|one| &one.buckets)
            .any(|one| one.name == bucket) =>
        {
            return Err(Refusal::new(403, "AccessDenied", "Access Denied"));
        }
        None => {
            return Err(Refusal::new(
                404,
                "NoSuchBucket",
                "The specified bucket does not exist",
            ));
        }
    };
    if let Some(home) = cloud.faults.standing().bucket_region
        && call
            .header("authorization")
            .and_then(Claim::parse)
            .is_some_and(|claim| claim.region != home)
    {
        return Ok(elsewhere(&home));
    }
    match operation {
        "ListObjectsV2" | "ListObjects" => list_objects(&with_outputs(cloud, caller, bucket), call),
        "GetObject" | "HeadObject" => get_object(&with_outputs(cloud, caller, bucket), &key),
        "HeadBucket" => {
            Ok(Answer::bytes("application/xml", "")
                .with("x-amz-bucket-region", &cloud.config.region))
        }
        "GetBucketLocation" => Ok(Answer::bytes(
            "application/xml",
            Xml::document(&format!("LocationConstraint {NAMESPACE}"), |xml| {
                xml.text(&cloud.config.region);
            }),
        )),
        _ => {
            let message = "A header you provided implies functionality that is not implemented";
            Err(Refusal::new(501, "NotImplemented", message))
        }
    }
}

/// A bucket with what commands have left there.
fn with_outputs(cloud: &Cloud, caller: &Caller, bucket: &Bucket) -> Bucket {
    let mut bucket = bucket.clone();
    let outputs = cloud
        .commands
        .objects(&caller.account, &bucket.name, cloud.now());
    bucket.objects.extend(outputs);
    bucket.objects.sort();
    bucket
}

fn elsewhere(region: &str) -> Answer {
    let message =
        "The bucket you are attempting to access must be addressed using the specified endpoint.";
    Refusal::new(301, "PermanentRedirect", message)
        .write(Protocol::S3)
        .with("x-amz-bucket-region", region)
}

fn list_buckets(caller: &Caller, buckets: &[Bucket]) -> Answer {
    let body = Xml::document(&format!("ListAllMyBucketsResult {NAMESPACE}"), |xml| {
        xml.element("Buckets", |xml| {
            for bucket in buckets {
                xml.element("Bucket", |xml| {
                    xml.leaf("CreationDate", CREATED);
                    xml.leaf("Name", &bucket.name);
                });
            }
        });
        xml.element("Owner", |xml| {
            xml.leaf("ID", &sigv4::sha256(caller.account.as_bytes()));
        });
    });
    Answer::bytes("application/xml", body)
}

/// One page of a listing.
#[derive(Debug, PartialEq, Eq)]
struct Listing<'a> {
    objects: Vec<&'a (String, String)>,
    prefixes: BTreeSet<String>,
    /// The last name of a page that is followed by another.
    next_after: Option<String>,
}

fn list<'a>(
    bucket: &'a Bucket,
    prefix: &str,
    delimiter: &str,
    after: &str,
    most: usize,
) -> Listing<'a> {
    let mut listing = Listing {
        objects: Vec::new(),
        prefixes: BTreeSet::new(),
        next_after: None,
    };
    let mut last = String::new();
    for object in &bucket.objects {
        let Some(rest) = object.0.strip_prefix(prefix) else {
            continue;
        };
        let folder = (!delimiter.is_empty())
            .then(|| rest.find(delimiter))
            .flatten();
        let name = folder.map_or(object.0.as_str(), |end| {
            &object.0[..prefix.len() + end + delimiter.len()]
        });
        // What a folder groups counts once, and was on the page that ended with the folder.
        if name <= after || listing.prefixes.contains(name) {
            continue;
        }
        if listing.objects.len() + listing.prefixes.len() == most {
            listing.next_after = Some(last);
            break;
        }
        name.clone_into(&mut last);
        if folder.is_some() {
            listing.prefixes.insert(name.to_owned());
        } else {
            listing.objects.push(object);
        }
    }
    listing
}

fn list_objects(bucket: &Bucket, call: &Call) -> Result<Answer, Refusal> {
    let parameter = |name| call.parameter(name).unwrap_or_default();
    let invalid = |message: &str| Refusal::new(400, "InvalidArgument", message);
    let most = match call.parameter("max-keys") {
        None => MOST_KEYS,
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| invalid("max-keys is no number"))?
            .clamp(1, MOST_KEYS),
    };
    let version_two = call.parameter("list-type") == Some("2");
    let after = if version_two {
        match call.parameter("continuation-token") {
            None => parameter("start-after").to_owned(),
            Some(token) => hex::decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| invalid("The continuation token provided is incorrect"))?,
        }
    } else {
        parameter("marker").to_owned()
    };
    let listing = list(
        bucket,
        parameter("prefix"),
        parameter("delimiter"),
        &after,
        most,
    );
    let by_url = call.parameter("encoding-type") == Some("url");
    let coded = |text: &str| {
        if by_url {
            percent::encode_path(text)
        } else {
            text.to_owned()
        }
    };
    let body = Xml::document(&format!("ListBucketResult {NAMESPACE}"), |xml| {
        xml.leaf("Name", &bucket.name);
        xml.leaf("Prefix", &coded(parameter("prefix")));
        xml.leaf("MaxKeys", &most.to_string());
        if let Some(delimiter) = call.parameter("delimiter") {
            xml.leaf("Delimiter", &coded(delimiter));
        }
        if by_url {
            xml.leaf("EncodingType", "url");
        }
        xml.leaf(
            "IsTruncated",
            if listing.next_after.is_some() {
                "true"
            } else {
                "false"
            },
        );
        if version_two {
            xml.leaf(
                "KeyCount",
                &(listing.objects.len() + listing.prefixes.len()).to_string(),
            );
            if let Some(next) = &listing.next_after {
                xml.leaf("NextContinuationToken", &hex::encode(next));
            }
        } else if let Some(next) = &listing.next_after {
            xml.leaf("NextMarker", &coded(next));
        }
        for (key, text) in &listing.objects {
            xml.element("Contents", |xml| {
                xml.leaf("Key", &coded(key));
                xml.leaf("LastModified", CREATED);
                xml.leaf("ETag", &etag(text));
                xml.leaf("Size", &text.len().to_string());
                xml.leaf("StorageClass", "STANDARD");
            });
        }
        for prefix in &listing.prefixes {
            xml.element("CommonPrefixes", |xml| xml.leaf("Prefix", &coded(prefix)));
        }
    });
    Ok(Answer::bytes("application/xml", body))
}

fn get_object(bucket: &Bucket, key: &str) -> Result<Answer, Refusal> {
    let object = bucket.objects.iter().find(|object| object.0 == key);
    let (_, text) = object
        .ok_or_else(|| Refusal::new(404, "NoSuchKey", "The specified key does not exist."))?;
    Ok(Answer::bytes("text/plain", text.clone())
        .with("etag", etag(text))
        .with("last-modified", "Thu, 01 Jan 2026 08:00:00 GMT")
        .with("accept-ranges", "bytes"))
}

fn etag(text: &str) -> String {
    format!("\"{}\"", &sigv4::sha256(text.as_bytes())[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket() -> Bucket {
        let keys = ["a", "logs/1", "logs/2", "z"];
        Bucket {
            name: "b".into(),
            objects: keys.map(|key| (key.to_owned(), String::new())).into(),
        }
    }

    #[test]
    fn a_delimiter_groups_keys_into_folders() {
        let bucket = bucket();
        let listing = list(&bucket, "", "/", "", 10);
        assert_eq!(listing.objects.len(), 2);
        assert_eq!(listing.prefixes, BTreeSet::from(["logs/".to_owned()]));
        assert_eq!(list(&bucket, "logs/", "/", "", 10).objects.len(), 2);
    }

    #[test]
    fn pages_of_a_listing_miss_nothing_and_repeat_nothing() {
        let bucket = bucket();
        let (mut after, mut names) = (String::new(), Vec::new());
        loop {
            let listing = list(&bucket, "", "/", &after, 1);
            names.extend(listing.objects.iter().map(|object| object.0.clone()));
            names.extend(listing.prefixes);
            match listing.next_after {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(names, ["a", "logs/", "z"]);
    }
}
