//! The side of the process that runs.

use super::wire::{Ask, PROTOCOL, Request, Say, Version};
use super::{NAME, Place, lines};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many clients are served at once.
const CLIENTS_MAX: usize = 32;

/// How many lines may wait for a client that reads slowly.
const LINES_MAX: usize = 4096;

/// How long a client may take to say what it wants, and to read a line.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that has said what it wants.
#[derive(Debug)]
pub struct Client {
    /// What it wants.
    pub ask: Ask,
    /// What else it says; ends when it goes.
    pub more: mpsc::Receiver<Ask>,
    /// What it is told.
    pub say: Sayings,
}

/// Where a client is told things.
#[derive(Debug, Clone)]
pub struct Sayings(mpsc::Sender<Say>);

impl Sayings {
    /// Tells something that must arrive, if the client is still there.
    pub async fn surely(&self, say: Say) {
        // One that has gone has been told all it wanted.
        let _ = self.0.send(say).await;
    }

    /// Tells something that may be lost on a client that reads slowly.
    pub fn maybe(&self, say: Say) {
        let _ = self.0.try_send(say);
    }
}

/// The listening socket; the file goes when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One left behind is recognized by nobody listening.
        let _ = fs::remove_file(&self.path);
    }
}

impl Socket {
    /// Listens in the state folder, over whatever was left behind there. The caller holds the
    /// folder's lock.
    ///
    /// # Errors
    /// When there can be no socket.
    pub fn listen(dir: &Path) -> io::Result<Self> {
        // Bound under another name first: nobody connects before it is the owner's alone.
        let name = format!("{NAME}.{}", std::process::id());
        let new = Place::of(dir, &name)?;
        let _ = fs::remove_file(&new.path);
        let listener = UnixListener::bind(&new.path)?;
        fs::set_permissions(&new.path, Permissions::from_mode(0o600))?;
        let path = dir.join(NAME);
        fs::rename(dir.join(name), &path)?;
        Ok(Self { listener, path })
    }

    /// Accepts clients and hands on those that say what they want, until nobody takes them any more;
    /// then those that are being answered are answered to the end.
    pub async fn serve(self, clients: mpsc::Sender<Client>) {
        let mut serving = JoinSet::new();
        loop {
            tokio::select! {
                () = clients.closed() => break,
                _ = serving.join_next(), if !serving.is_empty() => {}
                accepted = self.listener.accept(), if serving.len() < CLIENTS_MAX => match accepted {
                    Ok((stream, _)) => {
                        serving.spawn_local(serve(stream, clients.clone()));
                    }
                    Err(error) => log::warn!("a client could not connect: {error}"),
                }
            }
        }
        drop(self);
        while serving.join_next().await.is_some() {}
    }
}

/// Whether whoever is at the other end may ask for anything.
fn is_allowed(stream: &UnixStream) -> io::Result<bool> {
    let uid = stream.peer_cred()?.uid();
    Ok(uid == 0 || uid == rustix::process::geteuid().as_raw())
}

/// Serves one client to its end.
async fn serve(stream: UnixStream, clients: mpsc::Sender<Client>) {
    match is_allowed(&stream) {
        Ok(true) => {}
        Ok(false) => return log::warn!("a client of another user was refused"),
        Err(error) => return log::warn!("a client could not be recognized: {error}"),
    }
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let (say, mut said) = mpsc::channel(LINES_MAX);
    let sayings = Sayings(say);
    let ask = match timeout(PATIENCE, lines::read(&mut reader)).await {
        Ok(Ok(Some(line))) => understood(&line),
        Ok(Ok(None)) => return,
        Ok(Err(error)) => Err(format!("the request was not understood: {error}")),
        Err(_) => return,
    };
    let (more_sender, more) = mpsc::channel(4);
    match ask {
        Ok(ask) => {
            let client = Client {
                ask,
                more,
                say: sayings,
            };
            if clients.send(client).await.is_err() {
                return;
            }
        }
        Err(message) => {
            sayings.maybe(Say::Refused { message });
            drop(sayings);
        }
    }
    let listen = async {
        while let Ok(Some(line)) = lines::read(&mut reader).await {
            let Ok(ask) = understood(&line) else { break };
            if more_sender.send(ask).await.is_err() {
                break;
            }
        }
        drop(more_sender);
        std::future::pending().await
    };
    let tell = async {
        while let Some(say) = said.recv().await {
            match timeout(PATIENCE, lines::write(&mut writer, &say)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = listen => {}
        () = tell => {}
    }
}

fn understood(line: &[u8]) -> Result<Ask, String> {
    let not_understood = |error| format!("the request was not understood: {error}");
    let version: Version = lines::parse(line).map_err(not_understood)?;
    if version.protocol != PROTOCOL {
        return Err(format!(
            "this wrmem ({}) speaks version {PROTOCOL} with other wrmems, and you version {}: restart \
             it, so that both are the same wrmem",
            env!("CARGO_PKG_VERSION"),
            version.protocol
        ));
    }
    let request: Request = lines::parse(line).map_err(not_understood)?;
    Ok(request.ask)
}

#[cfg(test)]
mod tests {
    use super::super::client;
    use super::super::wire::ReloadAsk;
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::LocalSet;

    fn local<F: Future>(test: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, test)
    }

    fn start(dir: &Path) -> mpsc::Receiver<Client> {
        let (clients, served) = mpsc::channel(1);
        tokio::task::spawn_local(Socket::listen(dir).unwrap().serve(clients));
        served
    }

    #[test]
    fn a_client_asks_is_told_and_may_say_more() {
        local(async {
            let dir = tempfile::tempdir().unwrap();
            let mut served = start(dir.path());
            let mode = fs::metadata(dir.path().join(NAME)).unwrap().permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
            let mut conversation = client::connect(dir.path()).await.unwrap().unwrap();
            conversation
                .ask(Ask::Reload(ReloadAsk { force: true }))
                .await
                .unwrap();
            let mut client = served.recv().await.unwrap();
            assert_eq!(client.ask, Ask::Reload(ReloadAsk { force: true }));
            conversation.ask(Ask::Cancel).await.unwrap();
            assert_eq!(client.more.recv().await, Some(Ask::Cancel));
            let said = Say::RunOver {
                verdict: super::super::wire::Verdict::Good,
            };
            client.say.surely(said.clone()).await;
            drop(client);
            assert_eq!(conversation.hear().await.unwrap(), Some(said));
            assert_eq!(conversation.hear().await.unwrap(), None);
        });
    }

    #[test]
    fn nobody_listens_where_there_is_no_socket_or_one_left_behind() {
        local(async {
            let dir = tempfile::tempdir().unwrap();
            assert!(client::connect(dir.path()).await.unwrap().is_none());
            assert!(
                client::connect(&dir.path().join("none"))
                    .await
                    .unwrap()
                    .is_none()
            );
            // Bound and not listening any more, as after kill -9.
            drop(std::os::unix::net::UnixListener::bind(dir.path().join(NAME)).unwrap());
            assert!(dir.path().join(NAME).exists());
            assert!(client::connect(dir.path()).await.unwrap().is_none());
            let mut served = start(dir.path());
            let mut conversation = client::connect(dir.path()).await.unwrap().unwrap();
            conversation.ask(Ask::Cancel).await.unwrap();
            assert!(served.recv().await.is_some(), "it is taken over");
        });
    }

    #[test]
    fn a_folder_with_a_long_name_has_a_socket_too() {
        local(async {
            let dir = tempfile::tempdir().unwrap();
            let long = dir.path().join("x".repeat(200));
            fs::create_dir(&long).unwrap();
            let mut served = start(&long);
            let mut conversation = client::connect(&long).await.unwrap().unwrap();
            conversation.ask(Ask::Cancel).await.unwrap();
            assert!(served.recv().await.is_some());
        });
    }

    #[test]
    fn what_is_not_understood_is_refused_with_a_reason() {
        local(async {
            let dir = tempfile::tempdir().unwrap();
            let _served = start(dir.path());
            for (line, told) in [
                (
                    "{\"protocol\":9,\"ask\":\"dance\"}\n",
                    "speaks version 1 with other wrmems, and you version 9",
                ),
                ("GET / HTTP/1.1\n", "not understood"),
                ("{\"protocol\":1,\"ask\":\"dance\"}\n", "not understood"),
            ] {
                let mut stream = UnixStream::connect(dir.path().join(NAME)).await.unwrap();
                stream.write_all(line.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(
                    answer.contains("refused") && answer.contains(told),
                    "{answer}"
                );
            }
        });
    }
}
