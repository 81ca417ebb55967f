//! One binary for all system tests, one file per subject.

#![expect(clippy::unwrap_used, reason = "tests")]

mod accounts;
mod agent;
mod browser;
mod browser_flow;
mod cancel;
mod chained;
mod child;
mod command_line;
mod completions;
mod console;
mod contract;
mod daemon;
mod desktop;
mod exec;
mod exec_command;
mod keyring;
mod killed;
mod login;
mod many;
mod mcp;
mod mcp_clients;
mod mcp_commands;
mod mcp_http;
mod mcp_jobs;
mod outputs;
mod pick;
mod profiles;
mod remote_shell;
mod role_credentials;
mod serve;
mod session;
mod shared_cache;
mod shells;
mod sources;
mod ssm;
mod ssm_trouble;
mod status;
mod target;
mod trust;
mod two_users;
