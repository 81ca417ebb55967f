//! `awsso.v1.Credentials`: keys for a person's own programs. Never for an agent.

use awsso_proto::{
    Failure,
    v1::{
        self, GetCredentialsRequest, GetCredentialsResponse, LoopbackEndpoint, OpenEndpointRequest,
        OpenEndpointResponse, Secret, SignInRequest, SignInResponse,
        credentials_server::Credentials as Service, timestamp,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::info;

use super::{STREAM_QUEUE, Services, Stream, policy::place};
use crate::{
    config::Files,
    credentials::{Endpoint, Source},
    jobs::Target,
    policy::{Action, Principal, Verdict},
    session::locked_failure,
};

#[tonic::async_trait]
impl Service for Services {
    async fn get(
        &self,
        request: Request<GetCredentialsRequest>,
    ) -> Result<Response<GetCredentialsResponse>, Status> {
        let files = self.admit_person(&request, "hold credentials")?;
        let note = Self::note(&request);
        let request = request.into_inner();
        if !request.unattended {
            self.admit_to_logins(Principal::Person)?;
        }
        let target = self.target_for_keys(&files, request.target).await?;
        note.target(&target);
        let held = self.broker.get(&target.session, &target.role).await?;
        if !request.unattended {
            self.accounts.used(&target.session, &target.role);
        }
        let keys = held.open();
        Ok(Response::new(GetCredentialsResponse {
            access_key_id: keys.access_key_id().to_owned(),
            secret_access_key: Some(Secret::new(keys.secret_access_key())),
            session_token: Some(Secret::new(keys.session_token())),
            expires_at: Some(timestamp(held.expires_at())),
            account_id: target.role.account,
            role_name: target.role.name,
            region: target.region,
        }))
    }

    type OpenEndpointStream = Stream<OpenEndpointResponse>;

    async fn open_endpoint(
        &self,
        request: Request<OpenEndpointRequest>,
    ) -> Result<Response<Self::OpenEndpointStream>, Status> {
        let files = self.admit_person(&request, "hold credentials")?;
        let note = Self::note(&request);
        let request = request.into_inner();
        match &request.again {
            None => self.admit_to_logins(Principal::Person)?,
            // No person asks for it.
            Some(_) if self.lock.is_closed() => return Err(locked_failure().into()),
            Some(_) => {}
        }
        let target = self.target_for_keys(&files, request.target).await?;
        note.target(&target);
        let source = Source {
            broker: self.broker.clone(),
            audit: self.audit.clone(),
            session: target.session,
            role: target.role,
        };
        if request.again.is_none() {
            // Before a program is started, its person hears why it would get nothing.
            source.credentials().await?;
            self.accounts.used(&source.session, &source.role);
        }
        let endpoint = Endpoint::open(request.again.as_ref(), &self.redactor).await?;
        let opened = OpenEndpointResponse {
            url: endpoint.url(),
            endpoint: Some(LoopbackEndpoint {
                port: endpoint.port().into(),
                token: Some(Secret::new(endpoint.token())),
            }),
            account_id: source.role.account.clone(),
            role_name: source.role.name.clone(),
            region: target.region,
        };
        let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
        let (stop, lock) = (self.stop.clone(), self.lock.clone());
        self.tracker.spawn(async move {
            let port = endpoint.port();
            info!(port, account = %source.role.account, role = %source.role.name, "credential endpoint opened");
            let _ = sender.send(Ok(opened)).await; // the client hung up
            tokio::select! {
                never = endpoint.serve(source) => match never {},
                () = stop.cancelled() => {}
                () = lock.closed() => {
                    let _ = sender.send(Err(locked_failure().into())).await; // the client hung up
                }
                () = sender.closed() => {}
            }
            info!(port, "credential endpoint closed");
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn sign_in(
        &self,
        request: Request<SignInRequest>,
    ) -> Result<Response<SignInResponse>, Status> {
        let files = self.admit_person(&request, "sign in to the console")?;
        let note = Self::note(&request);
        self.admit_to_logins(Principal::Person)?;
        let request = request.into_inner();
        let target = self.target_for_keys(&files, request.target).await?;
        note.target(&target);
        let Target {
            session,
            role,
            region,
            ..
        } = target;
        let link = self
            .broker
            .sign_in(&session, &role, &region, &request.destination)
            .await?;
        self.accounts.used(&session, &role);
        info!(account = %role.account, role = %role.name, "a link to the console was made");
        Ok(Response::new(SignInResponse {
            url: Some(Secret::new(link.url.as_str())),
            expires_at: Some(timestamp(link.expires_at)),
            account_id: role.account,
            role_name: role.name,
            region,
        }))
    }
}

impl Services {
    /// A target whose keys a person may hold. Whoever holds them may do all that
    /// the role may: rules about some of it cannot be kept here.
    async fn target_for_keys(
        &self,
        files: &Files,
        target: Option<v1::Target>,
    ) -> Result<Target, Failure> {
        let target = self.target(files, Principal::Person, target).await?;
        let rules = &files.settings.policy.rules;
        let action = Action::hold_credentials();
        Verdict::of(Principal::Person, &action, [place(&target, None)], rules).permit(false)?;
        Ok(target)
    }
}
