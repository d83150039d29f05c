//! A JPEG's frame header: what its components are, and which of them the decoder reads as libjpeg does.
//!
//! Source: ITU-T T.81, sections A.2 and B.2.2.

use super::{LONGEST_SIDE, PictureFault};

pub(super) struct Frame {
    pub(super) marker: u8,
    width: u16,
    height: u16,
    pub(super) components: Vec<Component>,
}

pub(super) struct Component {
    pub(super) id: u8,
    across: u8,
    down: u8,
    quantisation: u8,
}

pub(super) fn damaged(what: &str) -> PictureFault {
    PictureFault::Damaged(what.to_owned())
}

fn unsupported<T>(what: &str) -> Result<T, PictureFault> {
    Err(PictureFault::NotSupported(format!("{what} JPEG")))
}

impl Frame {
    /// # Errors
    /// If the header is damaged, declares too large a picture, or a coding that the decoder does not know.
    pub(super) fn parse(marker: u8, content: &[u8]) -> Result<Self, PictureFault> {
        let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = content else {
            return Err(damaged("its frame header is too short"));
        };
        match marker {
            0xC3 => return unsupported("lossless"),
            0xC5..=0xC7 => return unsupported("hierarchical"),
            0xC9..=0xCF => return unsupported("arithmetically coded"),
            _ if precision != 8 => return unsupported(&format!("{precision}-bit")),
            _ => {}
        }
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        if height == 0 {
            return unsupported("a height behind the picture in a");
        }
        debug_assert!(u32::from(width.max(height)) <= LONGEST_SIDE);
        super::check_size(width.into(), height.into())?;
        if rest.len() != 3 * usize::from(count) {
            return Err(damaged("its frame header has another length than its components"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return unsupported(&format!("{count}-component"));
        }
        let components: Vec<Component> = rest
            .chunks_exact(3)
            .map(|part| Component { id: part[0], across: part[1] >> 4, down: part[1] & 15, quantisation: part[2] })
            .collect();
        if components.iter().any(|component| !(1..=4).contains(&component.across) || !(1..=4).contains(&component.down))
        {
            return Err(damaged("a component has a sampling factor outside of 1 to 4"));
        }
        Ok(Frame { marker, width, height, components })
    }

    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    fn most(&self) -> (u8, u8) {
        let across = self.components.iter().map(|component| component.across).max();
        let down = self.components.iter().map(|component| component.down).max();
        (across.unwrap_or(1), down.unwrap_or(1))
    }

    /// The places of a scan's components among those of the frame.
    ///
    /// # Errors
    /// If the header is damaged.
    pub(super) fn scan_components(&self, head: &[u8]) -> Result<Vec<usize>, PictureFault> {
        let count = usize::from(head.first().copied().unwrap_or_default());
        if count == 0 || head.len() != 4 + 2 * count {
            return Err(damaged("a scan's header has another length than its components"));
        }
        let ids = head[1..].chunks_exact(2).take(count).map(|part| part[0]);
        ids.map(|id| self.components.iter().position(|component| component.id == id))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| damaged("a scan names a component that is not there"))
    }

    /// A scan's header with components by number, from 1.
    ///
    /// # Errors
    /// If the header is damaged.
    pub(super) fn renumbered(&self, head: &[u8]) -> Result<Vec<u8>, PictureFault> {
        let mut new = head.to_vec();
        for (place, component) in self.scan_components(head)?.into_iter().enumerate() {
            new[1 + 2 * place] = component as u8 + 1;
        }
        Ok(new)
    }

    /// The header's content, with components by number, from 1.
    pub(super) fn content(&self) -> Vec<u8> {
        let mut out = vec![8];
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.width.to_be_bytes());
        out.push(self.components.len() as u8);
        for (number, component) in (1..).zip(&self.components) {
            out.extend_from_slice(&[number, component.across << 4 | component.down, component.quantisation]);
        }
        out
    }

    /// How many units (MCUs) a scan of these components has.
    pub(super) fn units(&self, components: &[usize]) -> u64 {
        let (most_across, most_down) = self.most();
        let side =
            |length: u16, factor: u8, most: u8| (u64::from(length) * u64::from(factor)).div_ceil(u64::from(most) * 8);
        match components {
            &[only] => {
                let component = &self.components[only];
                side(self.width, component.across, most_across) * side(self.height, component.down, most_down)
            }
            _ => {
                side(self.width, 1, 1).div_ceil(most_across.into()) * side(self.height, 1, 1).div_ceil(most_down.into())
            }
        }
    }

    /// # Errors
    /// If units of a scan have more than ten blocks, which libjpeg refuses.
    pub(super) fn check_scan(&self, components: &[usize]) -> Result<(), PictureFault> {
        let blocks = components.iter().map(|&place| &self.components[place]).map(|part| part.across * part.down);
        match components.len() > 1 && blocks.sum::<u8>() > 10 {
            true => Err(damaged("a unit of a scan has more than 10 blocks")),
            false => Ok(()),
        }
    }

    /// Divides sampling factors by what all of them have in common, if scans have one component each: then only their ratios
    /// matter.
    pub(super) fn simplify(&mut self, is_separate: bool) {
        if !is_separate {
            return;
        }
        for divisor in [4, 3, 2] {
            if self.components.iter().all(|component| component.across % divisor == 0) {
                self.components.iter_mut().for_each(|component| component.across /= divisor);
            }
            if self.components.iter().all(|component| component.down % divisor == 0) {
                self.components.iter_mut().for_each(|component| component.down /= divisor);
            }
        }
    }

    /// Refuses what the decoder gives false colours or does not know, and libjpeg reads: three columns to one, a first component
    /// that is coarser than others, and a sequential picture with coarse components in several scans.
    ///
    /// # Errors
    /// If the picture is such a one.
    pub(super) fn check_sampling(&self, is_split: bool) -> Result<(), PictureFault> {
        let (across, down) = self.most();
        let parts = || self.components.iter();
        if parts().any(|component| component.across == 3) {
            return unsupported("three columns to one in a");
        }
        if self.components[0].across < across || self.components[0].down < down {
            return unsupported("a coarse first component in a");
        }
        let is_coarse = parts().any(|component| component.down != down || component.across * 2 < across);
        if self.marker != 0xC2 && is_coarse && is_split {
            return unsupported("coarse colours in scans of their own in a");
        }
        Ok(())
    }
}
