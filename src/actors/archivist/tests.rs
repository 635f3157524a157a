//! When what was written becomes versions.

use super::*;
use crate::model::config::{Config, Proof};
use crate::model::device::DeviceName;
use crate::model::platform::Platform;
use crate::model::report::StoredKind;
use crate::model::version::ObjectId;
use actix::System;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const COMMIT: &str = "commit";
const FAILED: &str = "commit failed";
const HOUR: CommitPace = CommitPace::Every(Duration::from_hours(1));
const AT_ONCE: CommitPace = CommitPace::Every(Duration::ZERO);

/// Tells what it is asked; its first commits fail.
struct StubArchive {
    told: UnboundedSender<String>,
    failing: usize,
}

impl Archive for StubArchive {
    fn put(&mut self, batch: &[Put]) -> Vec<Answer> {
        for put in batch {
            self.told.send(put.device.to_string()).unwrap();
        }
        let stored = Stored {
            kind: StoredKind::New,
            lines: None,
            bytes: 0,
            sha256: [0; 32],
            notes: Vec::new(),
        };
        vec![Ok(stored); batch.len()]
    }

    fn commit(&mut self) -> Result<Vec<ObjectId>, ArchiveError> {
        // Nobody waits any more where a test has ended.
        if self.failing > 0 {
            self.failing -= 1;
            let _ = self.told.send(FAILED.to_owned());
            return Err(writer_lost());
        }
        let _ = self.told.send(COMMIT.to_owned());
        Ok(vec![ObjectId::from_bytes([7; 20])])
    }
}

struct World {
    archivist: Addr<Archivist>,
    told: UnboundedReceiver<String>,
}

impl World {
    async fn store(&self, name: &str) {
        let put = Put {
            device: DeviceName::new(name).unwrap(),
            group: None,
            platform: Arc::new(Platform::default()),
            config: Config::proven(b"end\n".to_vec(), Proof::Marker),
            info: None,
            taken: SystemTime::UNIX_EPOCH,
            run: SystemTime::UNIX_EPOCH,
        };
        let answer = self.archivist.send(WriteConfig(put)).await;
        assert!(answer.unwrap().is_ok());
    }

    /// The next things that the archive was asked.
    async fn told<const N: usize>(&mut self) -> [String; N] {
        let mut told = Vec::new();
        while told.len() < N {
            told.push(self.told.recv().await.unwrap());
        }
        told.try_into().unwrap()
    }
}

fn in_world<F, Fut>(pace: CommitPace, failing: usize, test: F)
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = ()>,
{
    System::new().block_on(async {
        let (tell, told) = unbounded_channel();
        let archive = StubArchive {
            told: tell,
            failing,
        };
        let archivist = Archivist::start_with(Box::new(archive), pace);
        test(World { archivist, told }).await;
    });
}

#[test]
fn a_one_shot_run_commits_at_its_end() {
    in_world(CommitPace::EachRun, 0, |mut world| async move {
        world.store("csr1").await;
        world.store("csr2").await;
        let committed = world.archivist.send(EndRun).await.unwrap();
        assert_eq!(committed, Ok(vec![ObjectId::from_bytes([7; 20])]));
        assert_eq!(world.told().await, ["csr1", "csr2", COMMIT]);
    });
}

#[test]
fn runs_of_the_orchestrator_end_without_a_commit_of_their_own() {
    in_world(HOUR, 0, |mut world| async move {
        for name in ["csr1", "csr2"] {
            world.store(name).await;
            assert_eq!(world.archivist.send(EndRun).await.unwrap(), Ok(Vec::new()));
        }
        world.archivist.send(CommitWritten).await.unwrap().unwrap();
        assert_eq!(world.told().await, ["csr1", "csr2", COMMIT]);
    });
}

#[test]
fn a_slice_after_a_config_a_commit_comes_by_itself_and_none_without() {
    in_world(AT_ONCE, 0, |mut world| async move {
        for name in ["csr1", "csr2"] {
            world.store(name).await;
            assert_eq!(world.told().await, [name, COMMIT]);
        }
        assert!(world.told.try_recv().is_err());
    });
}

#[test]
fn a_commit_that_failed_is_made_up_for_a_slice_later() {
    in_world(AT_ONCE, 2, |mut world| async move {
        world.store("csr1").await;
        assert_eq!(world.told().await, ["csr1", FAILED, FAILED, COMMIT]);
    });
}
