//! `awsso.v1.Credentials`: keys for a person's own programs. Never for an agent.

use awsso_proto::v1::{
    GetCredentialsRequest, GetCredentialsResponse, Secret,
    credentials_server::Credentials as Service, timestamp,
};
use tonic::{Request, Response, Status};

use super::Services;
use crate::policy;

#[tonic::async_trait]
impl Service for Services {
    async fn get(
        &self,
        request: Request<GetCredentialsRequest>,
    ) -> Result<Response<GetCredentialsResponse>, Status> {
        let (principal, files) = self.admit(&request)?;
        policy::person_only(principal, "hold credentials")?;
        let target = request.into_inner().target.unwrap_or_default();
        let target = self.target(&files, target).await?;
        let role = self
            .broker
            .get(&target.session, &target.account, &target.role)
            .await?;
        let keys = &role.credentials;
        Ok(Response::new(GetCredentialsResponse {
            access_key_id: keys.access_key_id().to_owned(),
            secret_access_key: Some(Secret::new(keys.secret_access_key())),
            session_token: keys.session_token().map(Secret::new),
            expires_at: Some(timestamp(role.expires_at)),
            account_id: target.account,
            role_name: target.role,
            region: target.region,
        }))
    }
}
