//! Tars that depend on their members alone.

use std::io::Write;

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use tar::{EntryType, Header};

/// Writes a gzipped tar with fixed times, owners and attributes. A folder is a name that ends in `/`.
pub(super) fn gzipped<'m>(
    out: impl Write,
    members: impl IntoIterator<Item = (&'m str, &'m [u8])>,
) -> anyhow::Result<()> {
    // No name, and 0 for the time.
    let gzip = GzBuilder::new().write(out, Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, bytes) in members {
        let mut header = Header::new_ustar();
        header.set_path(name).with_context(|| name.to_owned())?;
        let (kind, mode) =
            if name.ends_with('/') { (EntryType::Directory, 0o755) } else { (EntryType::Regular, 0o644) };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(bytes.len() as u64);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        tar.append(&header, bytes).with_context(|| name.to_owned())?;
    }
    tar.into_inner()?.finish()?;
    Ok(())
}
