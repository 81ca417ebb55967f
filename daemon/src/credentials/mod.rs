//! Role credentials: one load at a time per role, kept in memory only, handed out
//! over the socket or over an endpoint on loopback.

mod assume;
mod broker;
mod console;
mod endpoint;
mod keys;
mod locker;
mod role;
mod single_flight;

pub use broker::Broker;
pub use endpoint::{Endpoint, Source};
pub use keys::RoleCredentials;
pub use role::{Assumed, Role};
