//! A local stand-in for AWS: IAM Identity Center, STS, console sign-in, SSM Run Command, CloudWatch Logs, EC2
//! and S3 behind one loopback address.
//!
//! It is a *model* of an organisation and not a script of answers: accounts, roles with rights, instances on which
//! commands take time, tokens that age. It speaks AWS's wire protocols, signatures included, so that the real SDKs
//! and the real AWS CLI use it through `AWS_ENDPOINT_URL`. What goes wrong is switched on with [`Faults`], what
//! "AWS" saw is read with [`Sandbox::counts`].
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use awsso_sandbox::{Config, Sandbox};
//!
//! let sandbox = Sandbox::start(Config { accounts: 3, ..Config::default() }).await?;
//! sandbox.faults().throttle_next("ssm.SendCommand", 2);
//! println!("{} {}", sandbox.base_url(), sandbox.start_url());
//! # Ok(())
//! # }
//! ```

mod answer;
mod call;
mod clock;
mod cloud;
mod config;
mod control;
mod ec2;
mod faults;
mod gate;
mod keys;
mod listener;
mod login;
mod logs;
mod mint;
mod organization;
mod paging;
mod percent;
mod portal;
mod rights;
mod s3;
mod sandbox;
mod service;
mod session_policy;
mod signin;
mod sigv4;
mod ssm;
mod sts;
mod tally;
mod wildcard;
mod xml;

pub use config::Config;
pub use faults::Faults;
pub use keys::IssuedKeys;
pub use organization::{Account, Bucket, Instance, MOST_ACCOUNTS, Organization, Platform, Reach};
pub use sandbox::Sandbox;
pub use ssm::Unstarted;
