//! What the device tells of unsaved changes, without being asked anything more.

use super::Dialogue;
use crate::model::config::Config;
use crate::model::device::Saving;
use crate::model::save::{SaveNeed, SaveResult};
use crate::model::stage::Trail;
use crate::text::prompt;
use crate::text::stamp::{self, Unsaved};

impl Dialogue {
    /// Whether the device has to be saved, now that its `config` was read, where its policy leaves
    /// that open. The trail gets what the device tells of unsaved changes.
    ///
    /// It has to, unless it says itself that it has no unsaved changes: a config like the last one
    /// that was stored may be one that could not be saved then.
    pub fn need_to_save(&self, config: &Config, trail: &mut Trail) -> SaveNeed {
        let unsaved = self.unsaved(config.bytes());
        trail.unsaved = unsaved.as_ref().map(|unsaved| *unsaved != Unsaved::No);
        match (&unsaved, self.device.saving()) {
            (Some(Unsaved::Yes(line)), saving) => {
                let line = self.wire.quote(line);
                trail.note(match saving {
                    Saving::Before if self.saved => {
                        format!("saved, and yet the device tells of unsaved changes: `{line}`")
                    }
                    _ => format!("the device had unsaved changes: `{line}`"),
                });
                SaveNeed::Needed
            }
            (Some(Unsaved::No), Saving::IfNeeded) => {
                let said = "the device tells of no unsaved changes".to_owned();
                trail.saving_ended(SaveResult::Unneeded, said);
                SaveNeed::Unneeded
            }
            (Some(Unsaved::No), _) => SaveNeed::Unneeded,
            (None, _) => SaveNeed::Needed,
        }
    }

    /// Remembers whether the prompt that stands last has the mark of unsaved changes.
    pub(super) fn look_at_mark(&mut self) {
        let tail = self.wire.screen.tail();
        let marked = prompt::mark_of(tail, &self.device.platform.prompt) > 0;
        self.marked = marked.then(|| tail.to_vec());
    }

    fn unsaved(&self, config: &[u8]) -> Option<Unsaved> {
        let platform = &self.device.platform;
        if let Some(stamps) = &platform.config.unsaved
            && let Some(told) = stamp::unsaved(config, stamps)
        {
            return Some(told);
        }
        if platform.prompt.unsaved.is_empty() {
            return None;
        }
        Some(match &self.marked {
            Some(prompt) => Unsaved::Yes(prompt.clone()),
            None => Unsaved::No,
        })
    }
}
