//! Numbers as the paper prints them: two decimals, held exactly.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A printed number in hundredths, so that sums and differences of printed numbers are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Printed {
    pub hundredths: i32,
}

impl Printed {
    pub fn value(self) -> f64 {
        f64::from(self.hundredths) / 100.0
    }
}

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.value())
    }
}

impl<'de> Deserialize<'de> for Printed {
    /// A score, a share or a difference of scores: between 0 and 100, with at most two decimals.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = f64::deserialize(deserializer)?;
        let hundredths = (number * 100.0).round();
        if !(0.0..=100.0).contains(&number) {
            return Err(D::Error::custom(format!("expected a number from 0 to 100, found {number}")));
        }
        // The decimal that was written is the double nearest to it, and so is this quotient.
        if hundredths / 100.0 != number {
            return Err(D::Error::custom(format!("expected a number of at most two decimals, found {number}")));
        }
        Ok(Printed { hundredths: hundredths as i32 })
    }
}

impl Serialize for Printed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value())
    }
}
