//! Which blocks with rules of their own a line lies in.

use super::search::Seen;
use crate::model::secrets::Secrets;

/// Follows a config line by line. Blocks may overlap: masking may hide the beginning of one, and
/// then the others must not mean something else the next time.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The blocks that only their last line ends.
    until_end: Vec<usize>,
    /// The blocks that end with their indentation: that of the line that opened each, and its
    /// number.
    indented: Vec<(usize, usize)>,
    /// The numbers of all of them.
    open: Vec<usize>,
}

impl Blocks {
    /// The blocks that `line`, which comes next, lies in.
    pub(super) fn around(&mut self, line: &[u8]) -> &[usize] {
        if !line.trim_ascii().is_empty() {
            let own = indentation(line);
            self.indented.retain(|(outer, _)| *outer < own);
        }
        self.open.clone_from(&self.until_end);
        self.open
            .extend(self.indented.iter().map(|(_, block)| *block));
        &self.open
    }

    /// Takes in what was seen on the line.
    pub(super) fn pass(&mut self, line: &[u8], seen: &Seen, secrets: &Secrets) {
        self.until_end.retain(|block| !seen.ends.contains(block));
        for block in &seen.begins {
            if !secrets.has_end(*block) {
                self.indented.push((indentation(line), *block));
            } else if !seen.ends.contains(block) && !self.until_end.contains(block) {
                self.until_end.push(*block);
            }
        }
    }
}

fn indentation(line: &[u8]) -> usize {
    line.len() - line.trim_ascii_start().len()
}
