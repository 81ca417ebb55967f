//! The handshake: what a client says of itself, in a Hello or with its first
//! request, and what it is told.

use std::time::SystemTime;

use awsso_proto::{
    Failure, HELLO, OLDEST_PROTOCOL, PROTOCOL, Reason, VERSION,
    error::key,
    v1::{HelloRequest, HelloResponse, timestamp},
};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use http::{HeaderMap, HeaderValue};
use prost::Message as _;
use tracing::debug;

use super::connection::Caller;
use crate::policy::{Agents, Principal};

/// What every client is met with.
#[derive(Debug, Clone)]
pub struct Welcome {
    agents: Agents,
    response: HelloResponse,
    encoded: HeaderValue,
}

impl Welcome {
    pub fn new(agents: Agents, started_at: SystemTime) -> Self {
        let response = HelloResponse {
            protocol: PROTOCOL,
            version: VERSION.to_owned(),
            pid: std::process::id(),
            started_at: Some(timestamp(started_at)),
            oldest_protocol: OLDEST_PROTOCOL,
        };
        let encoded = STANDARD_NO_PAD.encode(response.encode_to_vec());
        Self {
            agents,
            response,
            encoded: encoded.try_into().expect("Base64 is a header's value"),
        }
    }

    pub fn meet(&self, caller: &Caller, hello: &HelloRequest) -> HelloResponse {
        caller.introduce(hello);
        if let (Principal::Agent, Some(pid)) = (caller.principal(), caller.pid()) {
            self.agents.met(pid);
        }
        debug!(
            kind = hello.kind().as_str_name(),
            name = caller.name(),
            pid = caller.pid(),
            protocol = hello.protocol,
            "client"
        );
        self.response.clone()
    }

    /// A request that brings its Hello along: what its answer is to bring. What
    /// a protocol that is not served means by a request is not known, so it is refused.
    pub fn meet_with(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Option<(HeaderValue, Result<(), Failure>)> {
        let encoded = headers.get(HELLO)?.as_bytes();
        let bytes = STANDARD_NO_PAD.decode(encoded.trim_ascii_end()).ok()?;
        let hello = HelloRequest::decode(bytes.as_slice()).ok()?;
        let met = if (OLDEST_PROTOCOL..=PROTOCOL).contains(&hello.protocol) {
            self.meet(caller, &hello);
            Ok(())
        } else {
            let message = format!("this daemon speaks protocol {PROTOCOL}");
            let failure = Failure::new(Reason::ProtocolMismatch, message);
            Err(failure.with(key::DAEMON_PROTOCOL, PROTOCOL.to_string()))
        };
        Some((self.encoded.clone(), met))
    }
}
