//! Whole outputs in S3: byte for byte what was printed. The bucket may be in any
//! region.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::{Cut, Destination, Kept, Patience, WAIT, begin, not_stored, refused};
use crate::{
    config::check_region,
    jobs::{
        output::Output,
        ssm::place::{Ssm, SsmError},
    },
    limiter::{Limiter, Repeat},
};

pub(super) async fn fetch(
    ssm: &Ssm,
    from: &Destination,
    cut: &mut Cut,
    output: &Arc<Output>,
) -> Result<(), String> {
    let bucket = Bucket::new(ssm, from);
    let keys = bucket.keys(cut).await?;
    while let Some(kept) = cut.streams.first() {
        if let Some(key) = keys.get(kept.name()) {
            bucket.download(key, kept, output).await?;
        }
        cut.streams.remove(0);
    }
    Ok(())
}

struct Bucket<'a> {
    ssm: &'a Ssm,
    limiter: Arc<Limiter>,
    name: &'a str,
    prefix: &'a str,
    /// Of the instances, until S3 names another one.
    region: Mutex<String>,
}

impl<'a> Bucket<'a> {
    fn new(ssm: &'a Ssm, from: &'a Destination) -> Self {
        Self {
            limiter: ssm.limiter_of("s3"),
            ssm,
            name: &from.bucket,
            prefix: &from.prefix,
            region: Mutex::new(ssm.target.region.clone()),
        }
    }

    /// Key by stream. Waits for those that have to be there.
    async fn keys(&self, cut: &Cut) -> Result<BTreeMap<&'static str, String>, String> {
        let folder = self.key(&format!("{}/{}/", cut.command_id, cut.instance));
        let mut patience = Patience::new();
        loop {
            let found = match self.list(&folder).await {
                Ok(found) => found,
                // Reading suffices, as far as SSM says what to read.
                Err(error) if error.is_denied() => return self.keys_by_url(cut, error),
                Err(error) => return Err(self.refused(error)),
            };
            let of = |kept: &Kept| {
                // A document may have steps, each with a folder of its own; ours have one.
                let end = format!("/{}", kept.name());
                found.iter().find(|key| key.ends_with(&end)).cloned()
            };
            let keys: BTreeMap<_, _> = cut
                .streams
                .iter()
                .filter_map(|kept| Some((kept.name(), of(kept)?)))
                .collect();
            let has = |kept: &Kept| kept.may_be_missing() || keys.contains_key(kept.name());
            if cut.streams.iter().all(has) {
                return Ok(keys);
            }
            if !patience.wait().await {
                return Err(format!(
                    "the whole output has not come to {} within {} s; may the instance's role write there?",
                    self.shown(),
                    WAIT.as_secs()
                ));
            }
        }
    }

    fn keys_by_url(
        &self,
        cut: &Cut,
        denied: SsmError,
    ) -> Result<BTreeMap<&'static str, String>, String> {
        let key = |kept: &Kept| {
            let (_, rest) = kept.url.split_once(&cut.command_id)?;
            Some((kept.name(), self.key(&format!("{}{rest}", cut.command_id))))
        };
        let needed = || cut.streams.iter().filter(|kept| !kept.may_be_missing());
        let keys: BTreeMap<_, _> = needed().filter_map(key).collect();
        if keys.len() < needed().count() {
            return Err(self.refused(denied));
        }
        Ok(keys)
    }

    /// The keys of one invocation are few: a page has them all.
    async fn list(&self, folder: &str) -> Result<Vec<String>, SsmError> {
        let page = self
            .call("ListObjectsV2", |client| {
                client
                    .list_objects_v2()
                    .bucket(self.name)
                    .prefix(folder)
                    .send()
            })
            .await?;
        let objects = page.contents.unwrap_or_default();
        Ok(objects.into_iter().filter_map(|it| it.key).collect())
    }

    async fn download(&self, key: &str, kept: &Kept, output: &Arc<Output>) -> Result<(), String> {
        let object = self.call("GetObject", |client| {
            client.get_object().bucket(self.name).key(key).send()
        });
        let object = object.await.map_err(|error| self.refused(error))?;
        let mut body = object.body;
        let mut whole = begin(output, kept)?;
        loop {
            let chunk = body
                .try_next()
                .await
                .map_err(|_| format!("the connection to {} broke off", self.shown()))?;
            let Some(chunk) = chunk else { break };
            if !whole.write(&chunk).await.map_err(not_stored)? {
                break;
            }
        }
        whole.take_place().await.map_err(not_stored)
    }

    /// Makes a call in the bucket's region: S3 says which one that is.
    async fn call<T, E, F>(
        &self,
        name: &'static str,
        attempt: impl Fn(aws_sdk_s3::Client) -> F,
    ) -> Result<T, SsmError>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let mut moved = false;
        loop {
            let region = self.region();
            let client = |keys| self.ssm.jobs.0.parts.aws.s3(&region, keys);
            let noting = |client| async {
                let result = attempt(client).await;
                if let Err(SdkError::ServiceError(error)) = &result
                    && let Some(other) = region_of_bucket(error.raw())
                {
                    let mut region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
                    other.clone_into(&mut region);
                }
                result
            };
            let called = self
                .ssm
                .call_by(&self.limiter, client, name, Repeat::Freely, noting);
            match called.await {
                Err(_) if !moved && self.region() != region => moved = true,
                result => return result,
            }
        }
    }

    fn region(&self) -> String {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        region.clone()
    }

    fn key(&self, rest: &str) -> String {
        match self.prefix {
            "" => rest.to_owned(),
            prefix => format!("{prefix}/{rest}"),
        }
    }

    fn shown(&self) -> String {
        format!("s3://{}/{}", self.name, self.prefix)
    }

    fn refused(&self, error: SsmError) -> String {
        refused(self.ssm, &self.shown(), error)
    }
}

/// The region that S3 names when it was asked in another one: in a header, or in
/// the words about a signature that is for the wrong one.
fn region_of_bucket(answer: &HttpResponse) -> Option<&str> {
    let in_body = || {
        let body = std::str::from_utf8(answer.body().bytes()?).ok()?;
        let (_, rest) = body.split_once("<Region>")?;
        Some(rest.split_once("</Region>")?.0)
    };
    let named = answer.headers().get("x-amz-bucket-region");
    named
        .or_else(in_body)
        .filter(|region| check_region(region).is_ok())
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::body::SdkBody;

    use super::*;

    #[test]
    fn s3_names_the_region_of_a_bucket_in_a_header_or_in_words() {
        let answer = |header: Option<&'static str>, body: &str| {
            let status = 400.try_into().unwrap();
            let mut answer = HttpResponse::new(status, SdkBody::from(body));
            if let Some(region) = header {
                answer.headers_mut().insert("x-amz-bucket-region", region);
            }
            answer
        };
        let words =
            "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-west-2</Region></Error>";
        for (answer, region) in [
            (answer(Some("eu-west-1"), ""), Some("eu-west-1")),
            (answer(None, words), Some("us-west-2")),
            (answer(None, "<Error></Error>"), None),
            (answer(None, "<Region>evil.example/</Region>"), None),
        ] {
            assert_eq!(region_of_bucket(&answer), region);
        }
    }
}
