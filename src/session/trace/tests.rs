use super::*;
use crate::model::credentials::{Credentials, Secret};
use crate::model::device::{Device, DeviceName};
use crate::session::scripted::{Reads, Scripted};
use crate::session::{Clock, ReadOutcome, Transport};
use crate::settings::platforms;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

fn device() -> Arc<Device> {
    let platform = Arc::clone(&platforms::load(None).unwrap()["cisco_ios"]);
    let credentials = Credentials {
        password: Some(Secret::new("planted-password".into())),
        enable: Some(Secret::new("planted-enable".into())),
        ..Credentials::new("lab", "ntc")
    };
    let name = DeviceName::new("csr1").unwrap();
    Arc::new(Device::new(
        name,
        "192.0.2.1",
        platform,
        Arc::new(credentials),
    ))
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..40);
    let time = || (0..10_000_000_u64).prop_map(|tenths| Duration::from_micros(tenths * 100));
    let stage = || prop::sample::select(Stage::ALL.to_vec());
    let kind = prop::sample::select(FailureKind::ALL.to_vec());
    let event = prop_oneof![
        bytes().prop_map(Event::Heard),
        bytes().prop_map(Event::Said),
        time().prop_map(Event::Pause),
        time().prop_map(Event::Quiet),
        (stage(), time()).prop_map(|(stage, time)| Event::Stage(stage, time)),
        (stage(), "[a-z][a-z `#.]{0,20}[a-z]").prop_map(|(stage, told)| Event::Ended(stage, told)),
        (any::<i32>(), bytes()).prop_map(|(code, aside)| Event::Exit(code, aside)),
        Just(Event::Eof),
        kind.prop_map(Event::Broken),
        any::<u64>().prop_map(Event::Cut),
    ];
    prop::collection::vec(event, 0..40)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(events in events(), value in "[ -~\n\u{e9}]{0,20}") {
        let mut trace = Trace {
            comments: vec!["recorded".to_owned()],
            settings: vec![("name".to_owned(), value)],
            events,
        };
        let text = trace.write();
        let read = Trace::read(&text).unwrap();
        // Two reads with nothing between them are told apart by a pause of nothing.
        trace.events = Trace::read(&trace.write()).unwrap().events;
        let pauses = |events: &[Event]| -> Vec<Event> {
            let is_none = |event: &&Event| **event == Event::Pause(Duration::ZERO);
            events.iter().filter(|event| !is_none(event)).cloned().collect()
        };
        prop_assert_eq!(pauses(&read.events), pauses(&trace.events));
        prop_assert_eq!(&read.settings, &trace.settings);
        prop_assert_eq!(read.write(), text, "a trace that was read is written as it was");
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(# wrmem trace 1\n)?([a-z<>#]{1,6} [ -~]{0,12}\n){0,6}") {
        let _ = Trace::read(&text);
    }
}

#[test]
fn a_fault_names_its_line() {
    for (text, wanted) in [
        ("", "line 1: is no trace"),
        ("# wrmem trace 2\n", "line 1: is no trace"),
        ("# wrmem trace 1\nset name\n", "line 2: set needs key=value"),
        ("# wrmem trace 1\n\n< a\\q\n", "line 3: only \\r"),
        ("# wrmem trace 1\n> a\\x1\n", "line 2: `\\x` needs two"),
        (
            "# wrmem trace 1\nstage lunch 1\n",
            "line 2: `lunch` is no stage",
        ),
        ("# wrmem trace 1\nquiet long\n", "line 2: `long` is no time"),
        (
            "# wrmem trace 1\nbroken heart\n",
            "line 2: `heart` is no kind",
        ),
        ("# wrmem trace 1\ndance\n", "line 2: unknown word `dance`"),
    ] {
        let told = Trace::read(text).unwrap_err().to_string();
        assert!(told.starts_with(wanted), "{told}");
    }
}

/// Reads all that comes until nothing does, typing at the places that the script waits for.
fn talk(transport: &mut dyn Transport, clock: &dyn Clock, typed: &[&[u8]]) {
    let mut typed = typed.iter();
    let mut buffer = [0; 64];
    loop {
        let deadline = clock.now() + Duration::from_secs(2);
        match transport.read(&mut buffer, deadline) {
            Ok(ReadOutcome::Data(_)) => {}
            Ok(ReadOutcome::TimedOut) => match typed.next() {
                Some(bytes) => transport.write(bytes, deadline).unwrap(),
                None => return,
            },
            Ok(ReadOutcome::Eof) | Err(_) => return,
        }
    }
}

fn recorded(steps: Vec<Step>, reads: Reads, typed: &[&[u8]], limit: usize) -> Trace {
    let device = device();
    let scripted = Scripted::new(steps).reads(reads);
    let clock: Arc<dyn Clock> = scripted.clock();
    let tape = Tape::new(&device, Arc::clone(&clock), limit);
    let mut transport = tape.on(Box::new(scripted));
    talk(transport.as_mut(), &*clock, typed);
    tape.trace(&device)
}

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

#[test]
fn a_session_is_taken_down_in_order_with_its_times_and_without_its_secrets() {
    let steps = vec![
        send("\r\ncsr1>"),
        Step::Expect(b"enable\r".to_vec()),
        Step::Pause(Duration::from_millis(250)),
        send("enable\r\nPassword: "),
        Step::Expect(b"planted-enable\r".to_vec()),
        send("\r\ncsr1#\r\nenable secret 9 hush\r\n"),
        Step::Reset,
    ];
    let typed: [&[u8]; 2] = [b"enable\r", b"planted-enable\r"];
    let trace = recorded(steps.clone(), Reads::Whole, &typed, 1 << 20);
    let text = trace.write();
    let body: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with('<'))
        .collect();
    let wanted = [
        "<< ",
        "< csr1>",
        "quiet 2",
        "> enable\\r",
        "pause 0.25",
        "<< enable",
        "< Password:\\x20",
        "quiet 2",
        "> **************\\r",
        "pause 0",
        "<< ",
        "<< csr1#",
        "<< enable secret 9 ****",
        "reset",
    ];
    assert_eq!(body, wanted, "{text}");
    assert_eq!(trace.setting("enable"), Some("**************"));
    assert!(!text.contains("planted"), "{text}");
    // However the reads cut it, a secret is found.
    for size in 1..9 {
        let cut = recorded(steps.clone(), Reads::AtMost(size), &typed, 1 << 20);
        let heard = |trace: &Trace| -> Vec<u8> {
            let bytes = trace.events.iter().map(|event| match event {
                Event::Heard(bytes) => bytes.clone(),
                _ => Vec::new(),
            });
            bytes.collect::<Vec<_>>().concat()
        };
        assert_eq!(heard(&cut), heard(&trace));
    }
}

#[test]
fn what_was_recorded_comes_again_in_the_same_reads_at_the_same_times() {
    let steps = vec![
        send("one"),
        Step::Pause(Duration::from_millis(1500)),
        send("two"),
        Step::Pause(Duration::from_secs(5)),
        send("three"),
        Step::Eof,
    ];
    let trace = recorded(steps, Reads::AtMost(2), &[b"x"], 1 << 20);
    let again = recorded(trace.steps(), Reads::Whole, &[b"x"], 1 << 20);
    assert_eq!(again, trace);
    let read = Trace::read(&trace.write()).unwrap();
    let once_more = recorded(read.steps(), Reads::Whole, &[b"x"], 1 << 20);
    assert_eq!(once_more.write(), trace.write());
}

#[test]
fn a_tape_that_is_full_says_how_much_it_lost() {
    let steps = vec![
        send(&"a".repeat(64)),
        send(&"b".repeat(64)),
        send("c"),
        Step::Eof,
    ];
    let trace = recorded(steps, Reads::Whole, &[], 100);
    let heard = trace.events.iter().filter(|e| matches!(e, Event::Heard(_)));
    assert_eq!(heard.count(), 1);
    assert!(matches!(trace.events.last(), Some(Event::Cut(lost)) if *lost >= 65));
    let error = Replay::new(&trace, |_| Some(Arc::clone(&device().platform)));
    assert!(error.err().unwrap().contains("record.max_mb"));
}

#[test]
fn a_quiet_time_is_the_reader_s_where_both_are_about_the_same() {
    let clock_after = |patience: u64| {
        let quiet = Step::Quiet(Duration::from_secs(2));
        let mut device = Scripted::new([quiet, send("x")]);
        let clock = device.clock();
        let mut outcomes = Vec::new();
        let mut buffer = [0; 8];
        while outcomes.last() != Some(&ReadOutcome::Data(1)) {
            let deadline = clock.now() + Duration::from_millis(patience);
            outcomes.push(device.read(&mut buffer, deadline).unwrap());
        }
        (outcomes.len(), clock.passed().as_millis())
    };
    assert_eq!(clock_after(1_990), (2, 1_990), "about the same");
    assert_eq!(clock_after(2_100), (2, 2_100), "about the same");
    assert_eq!(clock_after(9_000), (1, 2_000), "more patient");
    assert_eq!(clock_after(1_000), (3, 2_000), "less patient");
}

fn finished(recorder: &Arc<FlightRecorder>, told: &str) -> Option<String> {
    let device = device();
    let clock: Arc<dyn Clock> = Scripted::new([]).clock();
    let recording = recorder.start(&device, clock, SystemTime::UNIX_EPOCH);
    recording.tape().stage(Stage::Connect, Instant::now());
    recording.tape().ended(Stage::Connect, told);
    recording.finish()
}

fn recorder(dir: &std::path::Path, keep: KeptSessions) -> Arc<FlightRecorder> {
    Arc::new(FlightRecorder {
        dir: dir.join("traces"),
        keep,
        newest: Some(3),
        limit: 1 << 20,
    })
}

#[test]
fn traces_are_their_owner_s_and_the_oldest_go() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = recorder(dir.path(), KeptSessions::All);
    for _ in 0..5 {
        assert_eq!(finished(&recorder, "ok"), None);
    }
    let names: Vec<_> = std::fs::read_dir(&recorder.dir)
        .unwrap()
        .map(|e| e.unwrap())
        .collect();
    assert_eq!(names.len(), 3);
    for entry in names {
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        let name = entry.file_name().into_string().unwrap();
        assert!(name.starts_with("csr1.19700101T000000.000Z"), "{name}");
    }
}

#[test]
fn where_only_failures_are_kept_the_note_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = recorder(dir.path(), KeptSessions::Failed);
    assert_eq!(finished(&recorder, "ok"), None);
    assert!(!recorder.dir.exists());
    let note = finished(&recorder, "timeout nothing came").unwrap();
    let path = note.strip_prefix("trace of the session: ").unwrap();
    let trace = Trace::read(&std::fs::read_to_string(path).unwrap()).unwrap();
    let last = trace.events.last().unwrap();
    assert_eq!(
        *last,
        Event::Ended(Stage::Connect, "timeout nothing came".into())
    );
}

#[test]
fn a_trace_that_cannot_be_kept_is_a_note() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("traces"), "a file in the way").unwrap();
    let note = finished(&recorder(dir.path(), KeptSessions::All), "ok").unwrap();
    assert!(
        note.starts_with("no trace of the session was kept: "),
        "{note}"
    );
}

#[test]
fn a_session_that_never_was_is_refused_again() {
    let text = "# wrmem trace 1\nset platform=cisco_ios\nset name=csr1\nstage connect 10\n\
                ended connect busy connection refused\n";
    let trace = Trace::read(text).unwrap();
    let platforms = platforms::load(None).unwrap();
    let replay = Replay::new(&trace, |name| platforms.get(name).cloned()).unwrap();
    assert_eq!(replay.stages[0].told, "busy connection refused");
    assert!(
        Replay::new(&trace, |_| None)
            .err()
            .unwrap()
            .contains("`cisco_ios` is not known")
    );
}
