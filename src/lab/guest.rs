//! One client of one device: SSH on the outside, a vty within.

use super::counters::{Counters, Tally};
use super::fault::Fault;
use super::host;
use super::serve::Host;
use super::vty::{Step, Vty};
use super::wire::Cutter;
use russh::client::GexParams;
use russh::kex::dh::groups::{DH_GROUP14, DH_GROUP16, DhGroup};
use russh::keys::PublicKey;
use russh::server::{
    Auth, ChannelOpenHandle, Handle, Handler, Msg, PublicKeyOffer, Response, Session,
    VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Pty};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the last words have to leave before a device that was told `exit` cuts the connection.
const LEAVE: Duration = Duration::from_secs(1);

/// One client of one device.
pub(super) struct Guest {
    host: Arc<Host>,
    cutter: Arc<Cutter>,
    vty: Option<Vty>,
    /// Takes the steps once one of them had to wait.
    pump: Option<mpsc::UnboundedSender<Step>>,
}

impl Guest {
    pub(super) fn new(host: Arc<Host>, cutter: Arc<Cutter>) -> Self {
        Self {
            host,
            cutter,
            vty: None,
            pump: None,
        }
    }

    async fn password(&self, user: &str, password: &str) -> Auth {
        let host = &self.host;
        host.counters.add(Tally::PasswordAttempt);
        let think = host.persona.think.login;
        if !think.is_zero() {
            tokio::time::sleep(think).await;
        }
        let right = user == host.username
            && password == host.password.expose()
            && host.persona.fault != Some(Fault::WrongPassword);
        if !right {
            return refused();
        }
        host.counters.add(Tally::Login);
        Auth::Accept
    }

    fn is_known(&self, user: &str, key: &PublicKey) -> bool {
        let known = self.host.public_key.as_deref();
        let known = known.and_then(|text| PublicKey::from_openssh(text).ok());
        user == self.host.username && known.is_some_and(|known| known.key_data() == key.key_data())
    }

    fn play(
        &mut self,
        steps: Vec<Step>,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let waits = |step: &Step| matches!(step, Step::Wait(_) | Step::Cut);
        if self.pump.is_none() && !steps.iter().any(waits) {
            return self.play_now(steps, channel, session);
        }
        let pump = self.pump.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            tokio::spawn(pump(
                receiver,
                session.handle(),
                channel,
                Arc::clone(&self.host.counters),
                Arc::clone(&self.cutter),
            ));
            sender
        });
        for step in steps {
            // The pump ends when the session does; then nobody is left to be told.
            let _ = pump.send(step);
        }
        Ok(())
    }

    fn play_now(
        &self,
        steps: Vec<Step>,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        for step in steps {
            match step {
                Step::Send(bytes) => session.data(channel, bytes)?,
                Step::Count(tally) => self.host.counters.add(tally),
                Step::Close => {
                    session.eof(channel)?;
                    session.close(channel)?;
                    let cutter = Arc::clone(&self.cutter);
                    tokio::spawn(async move { leave(&cutter).await });
                }
                Step::Wait(_) | Step::Cut => {}
            }
        }
        Ok(())
    }
}

/// Plays steps in order, with their waits, until the session ends.
async fn pump(
    mut steps: mpsc::UnboundedReceiver<Step>,
    session: Handle,
    channel: ChannelId,
    counters: Arc<Counters>,
    cutter: Arc<Cutter>,
) {
    while let Some(step) = steps.recv().await {
        match step {
            Step::Send(bytes) => {
                if session.data(channel, bytes).await.is_err() {
                    return;
                }
            }
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::Count(tally) => counters.add(tally),
            Step::Close => {
                let _ = session.eof(channel).await;
                let _ = session.close(channel).await;
                leave(&cutter).await;
            }
            Step::Cut => cutter.cut(),
        }
    }
}

/// Cuts the connection of a client that holds it although its channel is closed. At once, the cut
/// would overtake what was said last.
async fn leave(cutter: &Cutter) {
    tokio::time::sleep(LEAVE).await;
    cutter.cut();
}

fn refused() -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(host::methods()),
        partial_success: false,
    }
}

impl Handler for Guest {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        self.host.counters.add(Tally::NoneRequest);
        Ok(refused())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        Ok(self.password(user, password).await)
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let Some(mut response) = response else {
            return Ok(Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Borrowed(&[(Cow::Borrowed("Password: "), false)]),
            });
        };
        let answer = response.next().unwrap_or_default();
        let answer = String::from_utf8_lossy(&answer);
        Ok(self.password(user, &answer).await)
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(if self.is_known(user, offer.public_key) {
            Auth::Accept
        } else {
            refused()
        })
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        proven: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        if !self.is_known(user, proven.public_key) {
            return Ok(refused());
        }
        self.host.counters.add(Tally::Login);
        Ok(Auth::Accept)
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        let trap = self.host.persona.fault == Some(Fault::BannerTrap);
        Ok(trap.then(|| format!("Password: > # \r\n{}#\r\n", self.host.persona.name)))
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // IOS has one vty for each connection.
        if self.vty.is_none() {
            reply.accept().await;
        }
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.vty.is_some() {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        let (vty, steps) = Vty::open(Arc::clone(&self.host.persona));
        self.vty = Some(vty);
        self.play(steps, channel, session)
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(vty) = &mut self.vty else {
            return Ok(());
        };
        self.host.counters.record(data);
        let steps = vty.input(data);
        self.play(steps, channel, session)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn lookup_dh_gex_group(
        &mut self,
        wanted: &GexParams,
    ) -> Result<Option<DhGroup>, Self::Error> {
        let large = wanted.preferred_group_size() > DH_GROUP14.bit_size()
            && wanted.max_group_size() >= DH_GROUP16.bit_size();
        Ok(Some(if large { DH_GROUP16 } else { DH_GROUP14 }))
    }
}
