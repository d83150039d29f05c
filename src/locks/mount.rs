//! What the options of a mount tell about `flock`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Why `flock` on a file below `path` is local to this machine, by the text of `/proc/self/mountinfo`. None: it may not be.
pub fn local_flock(mountinfo: &str, path: &Path) -> Option<String> {
    // ID, parent, device, root, mount point, options, optional fields, `-`, type, source, options of the filesystem.
    let mounts = mountinfo.lines().filter_map(|line| {
        let (first, last) = line.split_once(" - ")?;
        let (mut last, point) = (last.split(' '), unescaped(first.split(' ').nth(4)?));
        let (kind, options) = (last.next()?, last.nth(1)?);
        path.starts_with(std::ffi::OsStr::from_bytes(&point)).then_some((point.len(), kind, options))
    });
    // The last of those with the same mount point hides the others.
    let (_, kind, options) = mounts.max_by_key(|(length, ..)| *length)?;
    let has = |wanted: &[&str]| options.split(',').find(|option| wanted.contains(option)).map(str::to_owned);
    let option = match kind {
        "lustre" => has(&["localflock"]),
        "nfs" | "nfs4" => has(&["nolock", "local_lock=flock", "local_lock=all"]),
        "cifs" | "smb3" => has(&["nobrl"]),
        // BeeGFS passes `flock` on if its configuration says so, which no mount tells.
        "beegfs" | "fuse.sshfs" | "gpfs" => return Some(format!("`flock` on {kind} does not reach other machines")),
        _ => None,
    };
    option.map(|option| format!("`flock` on {kind} mounted with `{option}` does not reach other machines"))
}

/// The bytes of a path in which `\040` stands for a blank.
fn unescaped(text: &str) -> Vec<u8> {
    let mut pieces = text.split('\\');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let code = piece.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.extend(code);
        bytes.extend_from_slice(&piece.as_bytes()[if code.is_some() { 3 } else { 0 }..]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_flock_is_told_by_the_mount() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            30 22 0:50 / /lustre rw shared:9 - lustre mgs:/fs rw,localflock,lazystatfs\n\
            31 30 0:51 / /lustre/global rw - lustre mgs:/other rw,flock\n\
            32 22 0:52 / /my\\040home rw - nfs server:/home rw,vers=3,nolock,local_lock=all\n\
            33 22 0:53 / /nfs4 rw - nfs4 server:/a rw,vers=4.2,local_lock=none\n\
            34 22 0:54 / /twice rw - nfs server:/a rw,local_lock=flock\n\
            35 34 0:55 / /twice rw - tmpfs tmpfs rw\n\
            36 22 0:56 / /gpfs rw - gpfs fs1 rw\n";
        let found = |path: &str| local_flock(mounts, Path::new(path));
        let local = [("/lustre/me/store", "localflock"), ("/my home/a", "nolock"), ("/gpfs/a", "gpfs")];
        for (path, why) in local {
            assert!(found(path).is_some_and(|found| found.contains(why)), "{path}");
        }
        for path in ["/home", "/lustre/global/a", "/lustre2", "/nfs4", "/twice/a"] {
            assert_eq!(found(path), None, "{path}");
        }
        assert_eq!(local_flock("", Path::new("/")), None);
    }
}
