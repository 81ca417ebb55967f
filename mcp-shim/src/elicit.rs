//! Asking the person through the client, in either era of the protocol: to open
//! the link of a login (`link`), to approve what is asked for (`form`).
//!
//! Newer clients get the question as the answer to their call and call again with
//! what the person chose; an answer with a state alone means "call again", which
//! makes a long wait of short ones. Older clients are asked inside the call. A
//! client that cancels may have asked nobody.

pub(crate) mod form;
pub(crate) mod link;

use std::time::Duration;

use rmcp::{
    RoleServer,
    model::{ElicitationCapability, ProtocolVersion},
    service::RequestContext,
};

/// Clients give up after ten rounds.
const MOST_ROUNDS: u32 = 8;

/// The usual wait of one round, and for a person who is asked inside a call.
pub(crate) const ROUND: Duration = Duration::from_secs(40);

/// How this client can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the answer to its call.
    Answer,
    /// By a request inside its call.
    Request,
}

/// A call that comes again after a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Round {
    Link(link::Round),
    Form(form::Round),
}

impl Way {
    /// None when the client cannot show links.
    pub(crate) fn of_links(request: &RequestContext<RoleServer>) -> Option<Self> {
        declared(request)?.url?;
        Some(Self::of(request))
    }

    /// None when the client cannot show forms. One that names nothing shows those.
    pub(crate) fn of_forms(request: &RequestContext<RoleServer>) -> Option<Self> {
        let declared = declared(request)?;
        let forms = declared.form.is_some() || declared.url.is_none();
        forms.then(|| Self::of(request))
    }

    fn of(request: &RequestContext<RoleServer>) -> Self {
        let is_newer = request
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        if is_newer {
            Self::Answer
        } else {
            Self::Request
        }
    }
}

/// Not by the version: clients of older ones declare it, too.
fn declared(request: &RequestContext<RoleServer>) -> Option<ElicitationCapability> {
    request.client_capabilities()?.elicitation
}
