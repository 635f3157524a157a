//! What is said through the socket. A report goes over as the texts that the client shows and writes,
//! rendered by the process that made it: nothing of a report has to be understood twice.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The version of what is said. Another version is refused by name.
pub const PROTOCOL: u32 = 1;

/// The longest line that is sent or read, in bytes: a list of 10,000 of the longest names.
pub const LINE_MAX: usize = 4 << 20;

/// How much of a text goes into one line, in bytes.
pub const PART_MAX: usize = 32 << 10;

/// The first line of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// What is wanted.
    pub ask: Ask,
}

/// Only the version of a request, whatever else it says.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Version {
    /// The client's [`PROTOCOL`].
    pub protocol: u32,
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// A run.
    Run(RunAsk),
    /// The settings to be read anew.
    Reload(ReloadAsk),
    /// The host keys that are known of a device to be forgotten.
    Forget(ForgetAsk),
    /// The run that this connection asked for to be broken off.
    Cancel,
}

/// Which run is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunAsk {
    /// The client's settings folder; the process must have the same.
    pub settings: PathBuf,
    /// The client's variables that are settings; the process must have the same.
    pub env: BTreeMap<String, String>,
    /// Device names as they were typed.
    pub names: Vec<String>,
    /// Group names as they were typed.
    pub groups: Vec<String>,
    /// Of those only these, in lower case.
    pub only: Option<Vec<String>>,
    /// What is done with the devices.
    pub work: Work,
    /// How they are taken on.
    pub way: Way,
    /// Over how long it is spread, in milliseconds.
    pub finish_within_ms: Option<u64>,
    /// Whether devices are saved.
    pub save: Save,
    /// How it is shown.
    pub look: Look,
    /// Which texts the client writes to files.
    pub documents: Vec<Document>,
}

/// What is done with devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Backing up.
    Backup,
    /// Logging in, to see whether that works.
    Login,
}

/// How devices are taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// As many at once as the process's settings allow.
    Concurrent,
    /// At most so many at once.
    InFlight(usize),
    /// One by one.
    Sequential,
}

/// Whether devices are saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Save {
    /// As the settings say.
    AsSet,
    /// None of them.
    Never,
}

/// How the client shows a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// The width of its terminal.
    pub width: u16,
    /// Whether it shows colours.
    pub color: bool,
}

/// A text of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Document {
    /// The table for the terminal.
    Table,
    /// The report as JSON.
    Json,
    /// The picture of the run as a page.
    Timeline,
}

/// How the settings are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadAsk {
    /// Whether an inventory that has shrunk a lot is meant.
    pub force: bool,
}

/// Whose host keys are to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForgetAsk {
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// A line of the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Say {
    /// The request was understood; who answers.
    Accepted {
        /// The process.
        process: u32,
        /// How long devices in flight may go on when the run is broken off.
        grace_seconds: u64,
    },
    /// Nothing is done, and why.
    Refused {
        /// Why, and what to do.
        message: String,
    },
    /// A line for stdout, without its end.
    Line {
        /// The line.
        text: String,
    },
    /// A part of a text; the parts come in order.
    Part {
        /// Which text.
        of: Document,
        /// The part.
        text: String,
    },
    /// The run is over, and everything about it has been said.
    RunOver {
        /// How it went.
        verdict: Verdict,
    },
    /// The keys are forgotten.
    Forgotten {
        /// Their kinds and fingerprints.
        keys: Vec<String>,
    },
    /// The settings were read.
    Reloaded {
        /// What has changed.
        changes: String,
    },
}

/// How a run went, as far as an exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every device went well.
    Good,
    /// Some device did not.
    Devices,
    /// The archive could not be written.
    Archive,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_they_were_in_version_1() {
        let ask = Request {
            protocol: 1,
            ask: Ask::Run(RunAsk {
                settings: "/etc/wrmem".into(),
                env: BTreeMap::new(),
                names: vec!["csr1".to_owned()],
                groups: Vec::new(),
                only: None,
                work: Work::Backup,
                way: Way::InFlight(5),
                finish_within_ms: None,
                save: Save::Never,
                look: Look {
                    width: 80,
                    color: false,
                },
                documents: vec![Document::Table],
            }),
        };
        let line = r#"{"protocol":1,"ask":{"run":{"settings":"/etc/wrmem","env":{},"names":["csr1"],"groups":[],"only":null,"work":"backup","way":{"in_flight":5},"finish_within_ms":null,"save":"never","look":{"width":80,"color":false},"documents":["table"]}}}"#;
        assert_eq!(serde_json::to_string(&ask).unwrap(), line);
        assert_eq!(serde_json::from_str::<Request>(line).unwrap(), ask);
        for (say, line) in [
            (
                Say::Accepted {
                    process: 7,
                    grace_seconds: 30,
                },
                r#"{"accepted":{"process":7,"grace_seconds":30}}"#,
            ),
            (
                Say::RunOver {
                    verdict: Verdict::Devices,
                },
                r#"{"run_over":{"verdict":"devices"}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&say).unwrap(), line);
            assert_eq!(serde_json::from_str::<Say>(line).unwrap(), say);
        }
        assert!(serde_json::from_str::<Request>(r#"{"protocol":1,"ask":{"run":{}}}"#).is_err());
        let later = r#"{"protocol":2,"ask":"dance","with":"me"}"#;
        assert_eq!(serde_json::from_str::<Version>(later).unwrap().protocol, 2);
    }
}
