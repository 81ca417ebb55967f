//! Who this user is to Windows, and what a security descriptor says.

#![expect(unsafe_code, reason = "functions of the system")]

use std::{
    ffi::c_void, io, os::windows::ffi::OsStrExt as _, path::Path, ptr::null_mut, slice,
    sync::OnceLock,
};

use windows_sys::{
    Win32::{
        Foundation::{
            CloseHandle, ERROR_SUCCESS, GENERIC_ALL, GENERIC_READ, GENERIC_WRITE, HANDLE, LocalFree,
        },
        Security::{
            ACCESS_ALLOWED_ACE, ACL,
            Authorization::{
                ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW,
                GetNamedSecurityInfoW, GetSecurityInfo, SDDL_REVISION_1, SE_FILE_OBJECT,
                SE_KERNEL_OBJECT,
            },
            DACL_SECURITY_INFORMATION, GetAce, GetSecurityDescriptorDacl,
            GetSecurityDescriptorOwner, GetTokenInformation, INHERIT_ONLY_ACE,
            OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES,
            TOKEN_QUERY, TOKEN_USER, TokenUser,
        },
        Storage::FileSystem::{
            CreateDirectoryW, DELETE, FILE_APPEND_DATA, FILE_DELETE_CHILD, FILE_READ_DATA,
            FILE_WRITE_DATA, WRITE_DAC, WRITE_OWNER,
        },
        System::{
            SystemServices::{ACCESS_ALLOWED_ACE_TYPE, ACCESS_ALLOWED_CALLBACK_ACE_TYPE},
            Threading::{GetCurrentProcess, OpenProcessToken},
        },
    },
    core::PWSTR,
};

/// Who may do everything in any case, or stands for the owner: SYSTEM, Administrators,
/// CREATOR OWNER, OWNER RIGHTS.
const ABOVE: [&str; 4] = ["S-1-5-18", "S-1-5-32-544", "S-1-3-0", "S-1-3-4"];

/// Rights to see what is in a file or a folder.
pub const READ: u32 = FILE_READ_DATA | GENERIC_READ | GENERIC_ALL;
/// Rights to change it, or who may.
pub const WRITE: u32 = FILE_WRITE_DATA
    | FILE_APPEND_DATA
    | FILE_DELETE_CHILD
    | DELETE
    | WRITE_DAC
    | WRITE_OWNER
    | GENERIC_WRITE
    | GENERIC_ALL;

/// This user, as Windows writes it: `S-1-5-21-…`.
pub fn own_sid() -> io::Result<&'static str> {
    static OWN: OnceLock<String> = OnceLock::new();
    if let Some(sid) = OWN.get() {
        return Ok(sid);
    }
    let sid = ask_own_sid()?;
    Ok(OWN.get_or_init(|| sid))
}

fn ask_own_sid() -> io::Result<String> {
    let mut token = null_mut();
    // SAFETY: the pseudo handle of this process needs no closing; the token is ours to close.
    check(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) })?;
    // Of pointers, so that it lies as the structure at its start has to.
    let mut room = [null_mut::<c_void>(); 32];
    let mut length = 0;
    // SAFETY: as many bytes as the room has; the SID that is told of lies in it.
    unsafe {
        let size = u32::try_from(size_of_val(&room)).expect("it is small");
        let told = GetTokenInformation(
            token,
            TokenUser,
            room.as_mut_ptr().cast(),
            size,
            &raw mut length,
        );
        let told = check(told);
        CloseHandle(token);
        told?;
        text((*room.as_ptr().cast::<TOKEN_USER>()).User.Sid)
    }
}

/// Whether somebody other than this user has a say; administrators always have.
fn is_other(sid: &str) -> io::Result<bool> {
    Ok(sid != own_sid()? && !ABOVE.contains(&sid))
}

/// Memory of the system that holds a security descriptor.
pub struct Descriptor(PSECURITY_DESCRIPTOR);

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the functions that made it leave it to be freed in this way.
        unsafe { LocalFree(self.0) };
    }
}

impl Descriptor {
    /// From the security descriptor definition language.
    pub fn parse(text: &str) -> io::Result<Self> {
        let text = wide(text.as_ref());
        let mut made = null_mut();
        // SAFETY: the text ends with a zero; the descriptor is ours to free.
        check(unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                text.as_ptr(),
                SDDL_REVISION_1,
                &raw mut made,
                null_mut(),
            )
        })?;
        Ok(Self(made))
    }

    /// The owner of what a handle stands for.
    pub fn of_handle(handle: HANDLE) -> io::Result<Self> {
        let mut found = null_mut();
        // SAFETY: the handle is open; the descriptor is ours to free.
        let code = unsafe {
            GetSecurityInfo(
                handle,
                SE_KERNEL_OBJECT,
                OWNER_SECURITY_INFORMATION,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut found,
            )
        };
        Self::found(code, found)
    }

    /// The owner of a file or a folder, and who may do what with it.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let path = wide(path);
        let mut found = null_mut();
        // SAFETY: the path ends with a zero; the descriptor is ours to free.
        let code = unsafe {
            GetNamedSecurityInfoW(
                path.as_ptr(),
                SE_FILE_OBJECT,
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                null_mut(),
                null_mut(),
                null_mut(),
                null_mut(),
                &raw mut found,
            )
        };
        Self::found(code, found)
    }

    fn found(code: u32, found: PSECURITY_DESCRIPTOR) -> io::Result<Self> {
        match code {
            ERROR_SUCCESS => Ok(Self(found)),
            code => Err(io::Error::from_raw_os_error(code.cast_signed())),
        }
    }

    pub fn as_ptr(&self) -> PSECURITY_DESCRIPTOR {
        self.0
    }

    /// For what is made with this descriptor; it must live as long.
    pub fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).expect("it is small"),
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }

    pub fn owner(&self) -> io::Result<String> {
        let (mut owner, mut defaulted) = (null_mut(), 0);
        // SAFETY: the owner lies in the descriptor, which lives.
        unsafe {
            check(GetSecurityDescriptorOwner(
                self.0,
                &raw mut owner,
                &raw mut defaulted,
            ))?;
            text(owner)
        }
    }

    /// Somebody without a say in all things owns it.
    pub fn is_owned_by_another(&self) -> io::Result<bool> {
        is_other(&self.owner()?)
    }

    /// All that anybody else is allowed, whatever is denied to him besides.
    pub fn rights_of_others(&self) -> io::Result<u32> {
        let (mut present, mut acl, mut defaulted) = (0, null_mut::<ACL>(), 0);
        // SAFETY: the list and its entries lie in the descriptor, which lives; each
        // allowing entry has a mask and, from `SidStart` on, a SID.
        unsafe {
            check(GetSecurityDescriptorDacl(
                self.0,
                &raw mut present,
                &raw mut acl,
                &raw mut defaulted,
            ))?;
            // Without a list everybody may do everything.
            if present == 0 || acl.is_null() {
                return Ok(u32::MAX);
            }
            let mut rights = 0;
            for index in 0..u32::from((*acl).AceCount) {
                let mut entry = null_mut();
                check(GetAce(acl, index, &raw mut entry))?;
                let entry = entry.cast::<ACCESS_ALLOWED_ACE>();
                let header = (*entry).Header;
                let allows = [ACCESS_ALLOWED_ACE_TYPE, ACCESS_ALLOWED_CALLBACK_ACE_TYPE]
                    .contains(&u32::from(header.AceType));
                let is_for_others_only = u32::from(header.AceFlags) & INHERIT_ONLY_ACE != 0;
                if allows
                    && !is_for_others_only
                    && is_other(&text((&raw mut (*entry).SidStart).cast())?)?
                {
                    rights |= (*entry).Mask;
                }
            }
            Ok(rights)
        }
    }
}

/// A name as the system takes it.
pub fn wide(name: &Path) -> Vec<u16> {
    name.as_os_str().encode_wide().chain([0]).collect()
}

/// # Safety
/// The SID is a whole one.
unsafe fn text(sid: PSID) -> io::Result<String> {
    let mut text: PWSTR = null_mut();
    // SAFETY: as the caller says; the text ends with a zero and is ours to free.
    unsafe {
        check(ConvertSidToStringSidW(sid, &raw mut text))?;
        let length = (0..).take_while(|&at| *text.add(at) != 0).count();
        let copy = String::from_utf16_lossy(slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        Ok(copy)
    }
}

/// What the system says of a call that failed.
fn check(succeeded: i32) -> io::Result<()> {
    if succeeded == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Makes a folder.
pub(super) fn create_with(dir: &Path, descriptor: &Descriptor) -> io::Result<()> {
    let attributes = descriptor.attributes();
    let name = wide(dir);
    // SAFETY: the name ends with a zero; the attributes live until the call returns.
    check(unsafe { CreateDirectoryW(name.as_ptr(), &raw const attributes) })
}
