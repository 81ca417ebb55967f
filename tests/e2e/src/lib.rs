//! The harness of the system tests: a sandbox for AWS, a person's empty home,
//! and the built binaries in it. A test that ends takes its daemon with it.

mod background;
mod botocore;
mod bus;
mod chromium;
mod desktop;
mod devtools;
mod fake_aws;
mod links;
mod logind;
mod mcp_clients;
mod notifications;
mod other_daemon;
pub mod process;
mod run;
mod shape;
mod shim;
mod supervised;
mod terminal;
mod user_manager;
mod wire;
mod world;

pub use awsso_sandbox as sandbox;
pub use background::Background;
pub use chromium::{Browser, Page};
pub use desktop::{Desktop, Item};
pub use fake_aws::FakeAws;
pub use links::Links;
pub use logind::Logind;
pub use mcp_clients::{Client, HttpShim};
pub use notifications::{Notification, Notifications};
pub use other_daemon::{Diagnosis, OtherDaemon};
pub use run::Run;
pub use shape::assert_shape;
pub use shim::{Answer, Shim};
pub use supervised::Supervised;
pub use terminal::OnTerminal;
pub use user_manager::UserManager;
pub use wire::Stranger;
pub use world::{World, bin, finish, within_limit};

/// Roles and accounts that the sandbox always has.
pub mod known {
    pub const PRODUCTION: &str = "111122223333";
    pub const STAGING: &str = "444455556666";
    pub const ADMIN: &str = "AdministratorAccess";
    pub const READ_ONLY: &str = "ReadOnly";
    pub const NO_S3: &str = "NoS3";
    pub const NO_SSM_INVENTORY: &str = "NoSSMInventory";
    pub const LINUX: &str = "i-0a1b2c3d4e5f60001";
    pub const LINUX_2: &str = "i-0a1b2c3d4e5f60002";
    pub const WINDOWS: &str = "i-0a1b2c3d4e5f60003";
    pub const MAC: &str = "i-0a1b2c3d4e5f60004";
    pub const OFFLINE: &str = "i-0a1b2c3d4e5f60005";
}
