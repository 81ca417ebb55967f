//! Role credentials: one load at a time per role, kept in memory only, handed out
//! over the socket or over an endpoint on loopback.

mod assume;
mod broker;
mod console;
mod endpoint;
mod role;
mod single_flight;

pub use broker::{Broker, RoleCredentials};
pub use endpoint::{Endpoint, Source};
pub use role::{Assumed, Role};
