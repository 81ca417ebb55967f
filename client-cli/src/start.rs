//! Where the system starts the program on Linux, in place of Rust's own start. That one first reads from
//! `/proc/self/maps` where the stack ends, for the words of an overflow: a twentieth of the time of a whole
//! `awsso credential-process`. What else it does is done here.

use std::{
    ffi::c_int,
    io::{self, Write as _},
    panic,
};

/// What a program of Rust's ends with when it has panicked.
const PANICKED: u8 = 101;

#[expect(unsafe_code, reason = "the name by which the C library calls it")]
// SAFETY: no other function of the program has this name.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    open_standard_streams();
    // A reader that has gone is an error of a write, not the end.
    #[expect(unsafe_code, reason = "a function of the system")]
    // SAFETY: no function is to be called, and there is no other thread yet.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
    let code = panic::catch_unwind(crate::program).unwrap_or(PANICKED);
    // Nobody is left to be told.
    let _ = io::stdout().flush();
    code.into()
}

/// Where one of the three is closed, the next file that is opened would take its place, and be written to.
fn open_standard_streams() {
    for stream in 0..3 {
        #[expect(unsafe_code, reason = "functions of the system")]
        // SAFETY: a number is looked at, and a path that ends with its zero is opened.
        unsafe {
            if libc::fcntl(stream, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
    }
}
