//! Role credentials: one load at a time per role, kept in memory only.

mod broker;
mod single_flight;

pub use broker::{Broker, RoleCredentials};
