//! Every line that doctor can print, by name: programs tell lines apart by it, and
//! `awsso doctor --list` prints them all. Each is brought about by a system test.

use clap::ValueEnum;
use serde::Serialize;

/// What was found; the first line of its comment is what `--list` says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The folder of the socket is yours alone
    SocketPrivate,
    /// The folder of the socket is another user's, a link, or open to others
    SocketFolderUnsafe,
    /// A daemon that was killed left its socket
    SocketLeftBehind,
    /// Another user has the socket
    SocketForeign,
    /// A daemon of this version runs
    DaemonRuns,
    /// The daemon is of another version, and can be used
    DaemonOtherVersion,
    /// The daemon speaks another protocol
    DaemonOtherProtocol,
    /// No daemon can be started or reached
    DaemonUnreachable,
    /// The daemon does not take a connection in time
    DaemonStuck,
    /// The daemon does not know the question
    DaemonCannotSay,
    /// The daemon does not answer in time
    DaemonSlow,
    /// The configuration can be used
    ConfigurationUsable,
    /// The configuration cannot be used, so everything is refused
    ConfigurationUnusable,
    /// The policy cannot be trusted, so agents are refused
    AgentsRefused,
    /// A locked screen does not lock awsso although it is wanted
    ScreenLockUnheard,
    /// A session is logged in
    SessionActive,
    /// Every login is locked away
    SessionsLocked,
    /// No session is configured
    SessionsNone,
    /// A login ends soon and cannot be renewed
    SessionExpiring,
    /// A login has run out, and is being renewed or cannot be
    SessionExpired,
    /// A login waits for its person
    SessionLoginPending,
    /// Nobody is logged in to the session that is meant
    SessionLoginRequired,
    /// Nobody is logged in to another session
    OtherSessionLoginRequired,
    /// Nothing says which of several sessions is meant
    SessionAmbiguous,
    /// The keyring holds the key of the logins
    StoreKeyring,
    /// A file holds the key of the logins, as it was wanted
    StoreFile,
    /// Logins are kept in memory only, as it was wanted
    StoreMemory,
    /// The keyring cannot be used, and something else is in its place
    StoreFallback,
    /// The keyring does not answer
    StoreSilent,
    /// AWS answers
    NetworkReached,
    /// AWS is not reached
    NetworkUnreached,
    /// This clock and that of AWS agree
    ClockAgrees,
    /// This clock and that of AWS differ
    ClockDiffers,
    /// The clocks differ so far that AWS refuses requests
    ClockRefused,
    /// AWS has not said "slow down" lately
    ThrottlingNone,
    /// AWS said "slow down" lately
    ThrottlingLately,
    /// The audit log is as it was written
    AuditIntact,
    /// The audit log cannot be written, so agents are refused
    AuditUnwritable,
    /// The audit log cannot be read
    AuditUnreadable,
    /// The audit log was changed
    AuditTampered,
    /// What is secret is for you alone
    FilesPrivate,
    /// A folder of awsso is another user's, a link, or open to others
    FolderUnsafe,
    /// A file with secrets is open to other users
    FileOpen,
    /// More files than are named are open to other users
    MoreFilesOpen,
    /// Others can write `config.toml`, so agents are refused
    ConfigurationWritable,
    /// Looking at files took too long
    FilesNotLookedAt,
    /// No variable is in the way
    EnvironmentClear,
    /// Half of a pair of keys is in the environment
    EnvironmentHalfKeys,
    /// Keys in the environment have ended
    EnvironmentEndedKeys,
    /// Keys in the environment win over profiles
    EnvironmentKeys,
    /// A variable names a profile that is not there
    EnvironmentNoProfile,
    /// A variable names a file that is not there
    EnvironmentNoFile,
    /// No profile is ambiguous
    ProfilesClear,
    /// A file of profiles cannot be read
    ProfilesUnreadable,
    /// A profile with `role_arn` has `sso_*` settings that are not used
    ProfileRoleBeforeSso,
    /// A profile with `role_arn` does not say whose credentials assume the role
    ProfileRoleWithoutSource,
    /// A profile with `role_arn` says twice whose credentials assume the role
    ProfileRoleWithTwoSources,
    /// A `source_profile` is not there
    ProfileNoSource,
    /// A profile with `sso_*` settings has a `credential_process` that is not asked
    ProfileSsoBeforeProcess,
    /// Keys in the credentials file win over a `credential_process`
    ProfileKeysBeforeProcess,
    /// Keys in the credentials file and `sso_*` settings are in one profile
    ProfileKeysAndSso,
    /// An `sso_session` is not there
    ProfileNoSsoSession,
    /// A profile contradicts its `sso_session`
    ProfileContradictsSsoSession,
    /// The AWS CLI is there
    AwsCliUsable,
    /// The AWS CLI is not there
    AwsCliMissing,
    /// `aws` does not say its version
    AwsCliSilent,
    /// `aws` is another program
    AwsCliForeign,
    /// The AWS CLI is too old for an `sso_session`
    AwsCliOld,
    /// The plug-in for interactive sessions is there
    PluginPresent,
    /// The plug-in for interactive sessions is not there
    PluginAbsent,
    /// No MCP client starts awsso-mcp
    McpNone,
    /// MCP clients can start awsso-mcp
    McpReady,
    /// Nothing says where the home folder is
    McpNoHome,
    /// A client's settings cannot be read
    McpUnreadableFile,
    /// The program that a client starts is not there
    McpMissingProgram,
    /// The program that a client starts cannot be executed
    McpNotExecutable,
    /// A client starts another version
    McpOtherVersion,
    /// The program that a client starts does not say its version
    McpNoAnswer,
    /// A client names a program without its folder
    McpRelativePath,
    /// A client starts awsso-mcp through another program
    McpWrapper,
    /// A client starts another program by our name
    McpOtherProgram,
    /// A client is told not to start it
    McpSwitchedOff,
    /// A client starts it more than once
    McpSeveralEntries,
    /// A client has the server with tools of the same names
    McpOldServer,
    /// Looking at MCP clients took too long
    McpNotLookedAt,
}

impl Finding {
    /// What was looked at.
    pub fn subject(self) -> &'static str {
        match self {
            Self::SocketPrivate
            | Self::SocketFolderUnsafe
            | Self::SocketLeftBehind
            | Self::SocketForeign => "socket",
            Self::DaemonRuns
            | Self::DaemonOtherVersion
            | Self::DaemonOtherProtocol
            | Self::DaemonUnreachable
            | Self::DaemonStuck
            | Self::DaemonCannotSay
            | Self::DaemonSlow => "daemon",
            Self::ConfigurationUsable
            | Self::ConfigurationUnusable
            | Self::AgentsRefused
            | Self::ScreenLockUnheard => "configuration",
            Self::SessionActive
            | Self::SessionsLocked
            | Self::SessionsNone
            | Self::SessionExpiring
            | Self::SessionExpired
            | Self::SessionLoginPending
            | Self::SessionLoginRequired
            | Self::OtherSessionLoginRequired
            | Self::SessionAmbiguous => "session",
            Self::StoreKeyring
            | Self::StoreFile
            | Self::StoreMemory
            | Self::StoreFallback
            | Self::StoreSilent => "store",
            Self::NetworkReached | Self::NetworkUnreached => "network",
            Self::ClockAgrees | Self::ClockDiffers | Self::ClockRefused => "clock",
            Self::ThrottlingNone | Self::ThrottlingLately => "throttling",
            Self::AuditIntact
            | Self::AuditUnwritable
            | Self::AuditUnreadable
            | Self::AuditTampered => "audit",
            Self::FilesPrivate
            | Self::FolderUnsafe
            | Self::FileOpen
            | Self::MoreFilesOpen
            | Self::ConfigurationWritable
            | Self::FilesNotLookedAt => "files",
            Self::EnvironmentClear
            | Self::EnvironmentHalfKeys
            | Self::EnvironmentEndedKeys
            | Self::EnvironmentKeys
            | Self::EnvironmentNoProfile
            | Self::EnvironmentNoFile => "environment",
            Self::ProfilesClear
            | Self::ProfilesUnreadable
            | Self::ProfileRoleBeforeSso
            | Self::ProfileRoleWithoutSource
            | Self::ProfileRoleWithTwoSources
            | Self::ProfileNoSource
            | Self::ProfileSsoBeforeProcess
            | Self::ProfileKeysBeforeProcess
            | Self::ProfileKeysAndSso
            | Self::ProfileNoSsoSession
            | Self::ProfileContradictsSsoSession => "profiles",
            Self::AwsCliUsable
            | Self::AwsCliMissing
            | Self::AwsCliSilent
            | Self::AwsCliForeign
            | Self::AwsCliOld => "aws-cli",
            Self::PluginPresent | Self::PluginAbsent => "session-manager-plugin",
            Self::McpNone
            | Self::McpReady
            | Self::McpNoHome
            | Self::McpUnreadableFile
            | Self::McpMissingProgram
            | Self::McpNotExecutable
            | Self::McpOtherVersion
            | Self::McpNoAnswer
            | Self::McpRelativePath
            | Self::McpWrapper
            | Self::McpOtherProgram
            | Self::McpSwitchedOff
            | Self::McpSeveralEntries
            | Self::McpOldServer
            | Self::McpNotLookedAt => "mcp",
        }
    }

    /// All of them, with what each says.
    pub fn all() -> impl Iterator<Item = (Self, String)> {
        Self::value_variants().iter().map(|finding| {
            let value = finding.to_possible_value();
            let meaning = value.and_then(|value| Some(value.get_help()?.to_string()));
            (*finding, meaning.unwrap_or_default())
        })
    }
}
