//! The one thing that EC2 is asked: which tags instances have. Its SDK would be the
//! largest crate by far; its Query protocol is a signed form and a page of XML.

use std::{fmt::Write as _, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{orchestrator::HttpResponse, result::SdkError},
};
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

use crate::{aws::Aws, policy::Tags};

/// Instances of one question.
pub const MOST_IDS: usize = 50;

const FORM: &str = "application/x-www-form-urlencoded";

/// What a call came to, as those of the SDK's clients do.
type Answer<T> = Result<T, SdkError<ErrorMetadata, HttpResponse>>;

/// The instances among `ids` that there are, and their tags.
pub async fn describe_instances(
    aws: &Aws,
    region: &str,
    keys: &Credentials,
    ids: &[String],
    now: SystemTime,
) -> Answer<Vec<(String, Tags)>> {
    let mut form =
        "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-id".to_owned();
    for (number, id) in (1..).zip(ids) {
        // Of letters, digits and a dash.
        let _ = write!(form, "&Filter.1.Value.{number}={id}"); // a String takes everything
    }
    let url = aws
        .ec2_endpoint(region)
        .map_err(|failure| SdkError::construction_failure(failure.message))?;
    let request = signed(&url, region, keys, form, now).map_err(SdkError::construction_failure)?;
    let (status, body) = aws.send(request).await?;
    let raw = || HttpResponse::new(status, aws_smithy_types::body::SdkBody::empty());
    if !status.is_success() {
        return Err(SdkError::service_error(error(&body), raw()));
    }
    instances(&body).map_err(|error| SdkError::response_error(error, raw()))
}

fn signed(
    url: &str,
    region: &str,
    keys: &Credentials,
    form: String,
    now: SystemTime,
) -> Result<http::Request<String>, BoxError> {
    let identity = keys.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("ec2")
        .time(now)
        .settings(SigningSettings::default())
        .build()?;
    let headers = [("content-type", FORM)];
    let signable = SignableRequest::new(
        "POST",
        url,
        headers.into_iter(),
        SignableBody::Bytes(form.as_bytes()),
    )?;
    let (instructions, _) = sign(signable, &params.into())?.into_parts();
    let mut request = http::Request::post(url)
        .header("content-type", FORM)
        .body(form)?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

/// `<Response><Errors><Error><Code>…</Code><Message>…</Message>`
fn error(body: &str) -> ErrorMetadata {
    let mut error = ErrorMetadata::builder();
    let mut document = Document::new(body);
    if let Ok(mut root) = document.root_element() {
        // What cannot be read is an error without a code.
        let _ = each(&mut root, &["Errors", "Error"], &mut |one| {
            while let Some(mut part) = one.next_tag() {
                let name = part.start_el().local().to_owned();
                let text = try_data(&mut part)?.into_owned();
                error = match name.as_str() {
                    "Code" => std::mem::take(&mut error).code(text),
                    "Message" => std::mem::take(&mut error).message(text),
                    _ => continue,
                };
            }
            Ok(())
        });
    }
    error.build()
}

/// `<reservationSet><item><instancesSet><item>` with `<instanceId>` and `<tagSet>`
fn instances(body: &str) -> Result<Vec<(String, Tags)>, XmlDecodeError> {
    // Half an answer would be tags that are missing.
    if !body.trim_end().ends_with("</DescribeInstancesResponse>") {
        return Err(XmlDecodeError::custom("it has no end"));
    }
    let mut document = Document::new(body);
    let mut root = document.root_element()?;
    let mut found = Vec::new();
    each(
        &mut root,
        &["reservationSet", "item", "instancesSet", "item"],
        &mut |instance| {
            let (mut id, mut tags) = (String::new(), Tags::new());
            while let Some(mut part) = instance.next_tag() {
                match part.start_el().local() {
                    "instanceId" => id = try_data(&mut part)?.into_owned(),
                    "tagSet" => each(&mut part, &["item"], &mut |tag| {
                        tags.push(key_and_value(tag)?);
                        Ok(())
                    })?,
                    _ => {}
                }
            }
            found.push((id, tags));
            Ok(())
        },
    )?;
    Ok(found)
}

fn key_and_value(tag: &mut ScopedDecoder<'_, '_>) -> Result<(String, String), XmlDecodeError> {
    let (mut key, mut value) = (String::new(), String::new());
    while let Some(mut part) = tag.next_tag() {
        match part.start_el().local() {
            "key" => key = try_data(&mut part)?.into_owned(),
            "value" => value = try_data(&mut part)?.into_owned(),
            _ => {}
        }
    }
    Ok((key, value))
}

/// Every element at the end of this path.
fn each(
    within: &mut ScopedDecoder<'_, '_>,
    path: &[&str],
    act: &mut dyn FnMut(&mut ScopedDecoder<'_, '_>) -> Result<(), XmlDecodeError>,
) -> Result<(), XmlDecodeError> {
    let [name, deeper @ ..] = path else {
        return act(within);
    };
    while let Some(mut element) = within.next_tag() {
        if element.start_el().matches(name) {
            each(&mut element, deeper, act)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>
 <reservationSet>
  <item><reservationId>r-1</reservationId><groupSet/><instancesSet>
    <item><instanceId>i-1</instanceId><tagSet><item><key>Env</key><value>a &amp; b</value></item>
      <item><key>empty</key><value/></item></tagSet>
      <blockDeviceMapping><item><key>no</key></item></blockDeviceMapping></item>
    <item><instanceId>i-2</instanceId></item>
  </instancesSet></item>
  <item><instancesSet><item><instanceId>i-3</instanceId><tagSet/></item></instancesSet></item>
 </reservationSet></DescribeInstancesResponse>
"#;

    #[test]
    fn instances_are_read_with_their_tags_and_no_others() {
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let found = instances(PAGE).unwrap();
        assert_eq!(
            found,
            [
                (
                    "i-1".to_owned(),
                    vec![tag("Env", "a & b"), tag("empty", "")]
                ),
                ("i-2".to_owned(), vec![]),
                ("i-3".to_owned(), vec![]),
            ]
        );
    }

    #[test]
    fn half_an_answer_is_none() {
        for end in [0, 200, PAGE.len() - 3] {
            assert!(instances(&PAGE[..end]).is_err(), "{end}");
        }
        assert!(instances("<html>a proxy</html>").is_err());
    }

    #[test]
    fn an_error_has_its_code_and_its_message() {
        let body = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized</Message></Error></Errors><RequestID>x</RequestID></Response>";
        let read = error(body);
        assert_eq!(
            (read.code(), read.message()),
            (
                Some("UnauthorizedOperation"),
                Some("You are not authorized")
            )
        );
        assert_eq!(error("<html>").code(), None);
    }
}
