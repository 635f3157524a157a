//! From where on this machine a connection goes out.

use std::net::IpAddr;

/// From where a connection goes out; by default as the routing table says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// The source address.
    pub source: Option<IpAddr>,
    /// The network interface, or the VRF device, by its name.
    pub interface: Option<String>,
}
