//! Where a device's files are in the repository, and whose a file is.

use super::super::Layout;
use crate::model::device::{DeviceName, GroupName};

const CONFIG: &str = ".cfg";

/// What is kept beside the config.
const INFO: &str = ".info.txt";

/// Where a device's config is.
pub(super) fn config(layout: Layout, device: &DeviceName, group: Option<&GroupName>) -> String {
    path(layout, device, group, CONFIG)
}

/// Where what is kept beside a device's config is.
pub(super) fn info(layout: Layout, device: &DeviceName, group: Option<&GroupName>) -> String {
    path(layout, device, group, INFO)
}

fn path(layout: Layout, device: &DeviceName, group: Option<&GroupName>, kind: &str) -> String {
    match (layout, group) {
        (Layout::ByGroup, Some(group)) => format!("{group}/{device}{kind}"),
        _ => format!("{device}{kind}"),
    }
}

/// The device whose config a file is.
pub(super) fn device_of_config(path: &str) -> Option<DeviceName> {
    named(path, CONFIG)
}

/// The device to which a file belongs.
pub(super) fn device_of(path: &str) -> Option<DeviceName> {
    named(path, CONFIG).or_else(|| named(path, INFO))
}

fn named(path: &str, kind: &str) -> Option<DeviceName> {
    let name = path.rsplit('/').next()?.strip_suffix(kind)?;
    DeviceName::new(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_its_device() {
        for (path, config, any) in [
            ("csr1.cfg", Some("csr1"), Some("csr1")),
            ("core/csr1.cfg", Some("csr1"), Some("csr1")),
            ("core/csr1.info.txt", None, Some("csr1")),
            ("README.md", None, None),
            (".cfg", None, None),
        ] {
            let name = |device: Option<DeviceName>| device.map(|device| device.to_string());
            assert_eq!(name(device_of_config(path)).as_deref(), config, "{path}");
            assert_eq!(name(device_of(path)).as_deref(), any, "{path}");
        }
    }
}
