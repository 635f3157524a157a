//! A device's place in its turn.

use crate::model::device::DeviceName;
use jiff::SignedDuration;
use sha2::{Digest, Sha256};

/// Where within a span a device has its turn: a fraction that follows from its name, the same on
/// every machine and in every version, and evenly spread over many names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(u64);

impl Seat {
    /// The seat of the device of this name.
    #[must_use]
    pub fn of(name: &DeviceName) -> Self {
        let digest = Sha256::digest(name.as_str().as_bytes());
        Self(
            digest
                .iter()
                .take(8)
                .fold(0, |seat, byte| seat << 8 | u64::from(*byte)),
        )
    }

    /// The seat at this fraction of 2^64.
    #[must_use]
    pub const fn new(fraction: u64) -> Self {
        Self(fraction)
    }

    /// How far into `span` the seat is; less than `span`.
    #[must_use]
    pub fn within(self, span: SignedDuration) -> SignedDuration {
        // In microseconds, of which 64 bits hold every span there is.
        let span = u128::try_from(span.as_micros()).unwrap_or(0);
        let offset = (span * u128::from(self.0)) >> 64;
        SignedDuration::from_micros(i64::try_from(offset).unwrap_or(i64::MAX))
    }
}
