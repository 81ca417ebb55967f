//! The service manager that started this daemon, if one did: the socket on which
//! it has listened so far, and what it wants to hear. systemd hands both over
//! (`sd_listen_fds(3)`, `sd_notify(3)`), launchd a socket by its name.

#[cfg(unix)]
use awsso_proto::Reason;
use awsso_proto::{Failure, ipc};

#[cfg(unix)]
pub use unix::Supervisor;

/// The Task Scheduler hands nothing over, and hears nothing but the end.
#[cfg(windows)]
#[derive(Debug, Clone, Default)]
pub struct Supervisor;

#[cfg(windows)]
impl Supervisor {
    pub fn take() -> (Self, Result<Option<ipc::Bound>, Failure>) {
        (Self, Ok(None))
    }

    #[expect(clippy::unused_self, reason = "elsewhere somebody hears it")]
    pub fn ready(&self) {}

    #[expect(clippy::unused_self, reason = "elsewhere somebody hears it")]
    pub fn stopping(&self) {}

    #[expect(clippy::unused_self, reason = "elsewhere somebody hears it")]
    pub fn failed(&self, _: &Failure) {}
}

/// Descriptors that cannot be used.
#[cfg(unix)]
fn unusable(why: impl std::fmt::Display) -> Failure {
    Failure::new(
        Reason::InvalidArgument,
        format!("the socket of the service manager cannot be used: {why}"),
    )
}

#[cfg(unix)]
mod unix {
    use std::{
        env,
        ffi::{OsStr, OsString},
        os::{
            fd::{FromRawFd as _, OwnedFd, RawFd},
            unix::{
                ffi::OsStrExt as _,
                net::{SocketAddr, UnixDatagram},
            },
        },
    };

    use rustix::io::{FdFlags, fcntl_setfd};

    use super::{Failure, ipc, unusable};

    /// The protocol's variables. None is for a child of ours.
    const VARIABLES: [&str; 5] = [
        "LISTEN_PID",
        "LISTEN_FDS",
        "LISTEN_FDNAMES",
        "LISTEN_PIDFDID",
        "NOTIFY_SOCKET",
    ];
    const FIRST: RawFd = 3;

    /// Hears how the daemon goes. Without a service manager nobody does.
    #[derive(Debug, Clone, Default)]
    pub struct Supervisor {
        notify: Option<SocketAddr>,
    }

    impl Supervisor {
        /// Takes what was handed over, once, before there is a second thread.
        pub fn take() -> (Self, Result<Option<ipc::Bound>, Failure>) {
            let var = |name: &str| env::var_os(name);
            let supervisor = Self {
                notify: var("NOTIFY_SOCKET").and_then(|name| address(&name)),
            };
            let handed = handed(&var, std::process::id());
            for name in VARIABLES {
                #[expect(unsafe_code, reason = "the environment belongs to this one thread")]
                // SAFETY: the caller has started no thread yet.
                unsafe {
                    env::remove_var(name);
                }
            }
            (supervisor, handed.and_then(adopt))
        }

        pub fn ready(&self) {
            self.say("READY=1");
        }

        pub fn stopping(&self) {
            self.say("STOPPING=1");
        }

        /// One line on why there is no daemon, for whoever asks how the service goes.
        pub fn failed(&self, why: &Failure) {
            self.say(&format!("STATUS={}", why.to_string().replace('\n', " ")));
        }

        fn say(&self, state: &str) {
            let Some(to) = &self.notify else { return };
            let told = UnixDatagram::unbound()
                .and_then(|socket| socket.send_to_addr(state.as_bytes(), to));
            if let Err(error) = told {
                tracing::warn!(%error, state, "the service manager does not listen");
            }
        }
    }

    /// A path, or with `@` a name in Linux's abstract namespace.
    fn address(name: &OsStr) -> Option<SocketAddr> {
        match name.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(name).ok(),
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt as _;
                SocketAddr::from_abstract_name(name).ok()
            }
            _ => None,
        }
    }

    /// Whether a descriptor waits at the one place where it can be.
    fn handed(var: &dyn Fn(&str) -> Option<OsString>, own: u32) -> Result<bool, Failure> {
        let number = |name: &str| var(name)?.to_str()?.parse::<u32>().ok();
        // Meant for whoever was to become the daemon, and not for a child of theirs.
        if number("LISTEN_PID") != Some(own) {
            return Ok(false);
        }
        match number("LISTEN_FDS") {
            None | Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(many) => Err(unusable(format_args!("there are {many}, one is enough"))),
        }
    }

    #[cfg(not(target_os = "macos"))]
    fn adopt(handed: bool) -> Result<Option<ipc::Bound>, Failure> {
        handed.then(|| bound(FIRST)).transpose()
    }

    #[cfg(target_os = "macos")]
    fn adopt(handed: bool) -> Result<Option<ipc::Bound>, Failure> {
        let fd = if handed { Some(FIRST) } else { launchd::fd()? };
        fd.map(bound).transpose()
    }

    fn bound(fd: RawFd) -> Result<ipc::Bound, Failure> {
        #[expect(unsafe_code, reason = "a descriptor that comes as a number")]
        // SAFETY: the service manager opened it for this process, and nobody else in here knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        fcntl_setfd(&fd, FdFlags::CLOEXEC).map_err(unusable)?;
        let bound = ipc::Bound::new(fd).map_err(unusable)?;
        Ok(bound)
    }

    /// `launch(3)`. Never run: there was no Mac.
    #[cfg(target_os = "macos")]
    #[allow(unsafe_code, reason = "a function of the system")]
    mod launchd {
        use std::{os::fd::RawFd, ptr};

        use super::{Failure, unusable};

        /// As the agent's property list calls it, under `Sockets`.
        const NAME: &std::ffi::CStr = c"awssod";

        unsafe extern "C" {
            fn launch_activate_socket(
                name: *const libc::c_char,
                fds: *mut *mut libc::c_int,
                count: *mut libc::size_t,
            ) -> libc::c_int;
        }

        pub fn fd() -> Result<Option<RawFd>, Failure> {
            let (mut fds, mut count) = (ptr::null_mut(), 0);
            // SAFETY: the arguments are as the manual wants them; the array is ours to free.
            let (error, first) = unsafe {
                let error = launch_activate_socket(NAME.as_ptr(), &raw mut fds, &raw mut count);
                let first = (error == 0 && count > 0).then(|| *fds);
                libc::free(fds.cast());
                (error, first)
            };
            match error {
                0 if count <= 1 => Ok(first),
                0 => Err(unusable(format_args!("there are {count}, one is enough"))),
                // Not started by launchd, or by an agent without this socket.
                libc::ESRCH | libc::ENOENT => Ok(None),
                error => Err(unusable(std::io::Error::from_raw_os_error(error))),
            }
        }
    }

    #[cfg(test)]
    #[cfg(target_os = "linux")]
    mod tests {
        use std::os::linux::net::SocketAddrExt as _;

        use super::*;

        fn heard(socket: &UnixDatagram) -> String {
            let mut bytes = [0; 256];
            let length = socket.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        }

        #[test]
        fn a_supervisor_hears_on_a_path_and_on_an_abstract_name() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("notify");
            let abstract_name = format!("awsso-test-{}", std::process::id());
            let on_path = UnixDatagram::bind(&path).unwrap();
            let address_of = SocketAddr::from_abstract_name(abstract_name.as_bytes()).unwrap();
            let on_name = UnixDatagram::bind_addr(&address_of).unwrap();
            for (socket, name) in [
                (on_path, path.into_os_string()),
                (on_name, format!("@{abstract_name}").into()),
            ] {
                let supervisor = Supervisor {
                    notify: address(&name),
                };
                supervisor.ready();
                assert_eq!(heard(&socket), "READY=1");
                supervisor.failed(&unusable("a\nb"));
                let status = heard(&socket);
                assert!(
                    status.starts_with("STATUS=") && status.ends_with("a b"),
                    "{status}"
                );
            }
            assert!(address(OsStr::new("relative")).is_none());
        }

        #[test]
        fn a_socket_is_taken_only_by_the_process_it_is_meant_for() {
            let with = |pid: &'static str, fds: &'static str| {
                handed(
                    &|name| match name {
                        "LISTEN_PID" => Some(pid.into()),
                        "LISTEN_FDS" => Some(fds.into()),
                        _ => None,
                    },
                    7,
                )
            };
            assert!(with("7", "1").unwrap());
            assert!(!with("8", "1").unwrap());
            assert!(!with("7", "0").unwrap());
            assert!(!with("", "").unwrap());
            let failure = with("7", "2").unwrap_err();
            assert!(failure.message.contains("there are 2"), "{failure}");
        }
    }
}
