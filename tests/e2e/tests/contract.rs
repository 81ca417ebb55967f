//! What programs and people rely on, as tables: every command and flag, every exit
//! code with a real cause, every JSON document with its exact fields, every tool with
//! its arguments. What a value means, and how it comes about, is proved where the
//! subject has its tests; here nothing may be missing, renamed or of another type.
//!
//! | part of the contract | tables here | proved in depth |
//! |---|---|---|
//! | commands, flags, choices | `commands` | `command_line`, each command's file |
//! | exit codes | `exit_codes`, `codes_of_runs` | `child`, `exec`, `exec_command`, `many`, `ssm` |
//! | JSON of sessions, accounts, jobs | `sessions`, `runs` | `status`, `accounts`, `many`, `killed` |
//! | JSON of everything else | `documents` | `audit`, `approvals`, `doctor`, `mcp_install`, `policy`, `service` |
//! | lines of JSON | `sessions`, `runs`, `documents` | `status`, `many`, `audit` |
//! | region, session, profile | `environment` | `target`, `sources`, `two_users` |
//! | variables, files, sockets | `environment` | `trust`, `daemon`, `child`, `agent` |
//! | MCP tools | `tools` | `mcp*`; the crate of the shim for HTTP, limits, its log |

mod codes_of_runs;
mod commands;
mod documents;
mod environment;
mod exit_codes;
mod runs;
mod sessions;
mod tools;
