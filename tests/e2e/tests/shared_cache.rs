//! `~/.aws/sso/cache`, shared with the AWS CLI and the SDKs: the real ones
//! read what we leave, and we use what they leave.

mod crowd;
mod ours;
mod theirs;
mod vandals;

use std::path::Path;

use awsso_e2e::World;
use serde_json::Value;

const ASKED: &str = "ssooidc.StartDeviceAuthorization";
const TOKENS: &str = "ssooidc.CreateToken";
const REGISTERED: &str = "ssooidc.RegisterClient";

/// The session `corp` stands in the AWS config.
async fn world_of_corp() -> World {
    let world = World::new().await;
    world.aws_config(&world.sso_session("corp"));
    world
}

async fn session(world: &World, name: &str) -> Value {
    let status = world.awsso(&["status", "--json"]).await.code(0).json();
    let sessions = status["sessions"].as_array().unwrap();
    let session = sessions.iter().find(|session| session["name"] == name);
    session.unwrap_or_else(|| panic!("{status:#}")).clone()
}

/// The access token that a file holds.
fn token(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_slice(&text).unwrap();
    file["accessToken"].as_str().unwrap().to_owned()
}
