use super::pager::{MORE_WIPE, SCREEN};
use super::texts::SYSLOG;
use super::*;

fn persona(fault: Option<Fault>) -> Persona {
    let lines: String = (1..=60).map(|line| format!("line {line}\n")).collect();
    Persona {
        name: "csr1".to_owned(),
        config: format!("!\nhostname csr1\n{lines}end\n")
            .into_bytes()
            .into(),
        enable: Some(Secret::new("planted".to_owned())),
        level: 15,
        think: Think::default(),
        fault,
    }
}

fn open(persona: Persona) -> (Vty, Vec<Step>) {
    Vty::open(Arc::new(persona))
}

/// A vty whose greeting was read.
fn vty(fault: Option<Fault>) -> Vty {
    open(persona(fault)).0
}

/// What was sent, waits and counts left out.
fn sent(steps: &[Step]) -> String {
    let bytes: Vec<u8> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Send(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
        .flatten()
        .copied()
        .collect();
    String::from_utf8(bytes).unwrap()
}

fn type_in(vty: &mut Vty, text: &str) -> String {
    sent(&vty.input(text.as_bytes()))
}

#[test]
fn greets_with_banner_and_prompt() {
    let (_, steps) = open(persona(None));
    let greeting = sent(&steps);
    assert!(greeting.starts_with("\r\n****"), "{greeting}");
    assert!(greeting.ends_with("\r\n\r\ncsr1#"), "{greeting}");
}

#[test]
fn echoes_a_line_when_it_is_read() {
    let mut vty = vty(None);
    assert_eq!(
        type_in(&mut vty, "terminal length 0\r"),
        "terminal length 0\r\ncsr1#"
    );
    assert_eq!(
        type_in(&mut vty, "term width 511\nshow privilege\n"),
        "term width 511\r\ncsr1#show privilege\r\nCurrent privilege level is 15\r\ncsr1#"
    );
}

#[test]
fn takes_cr_lf_as_one_line_end_and_lf_alone_too() {
    let mut vty = vty(None);
    assert_eq!(type_in(&mut vty, "\r\n"), "\r\ncsr1#");
    assert_eq!(type_in(&mut vty, "\n\n"), "\r\ncsr1#\r\ncsr1#");
    assert_eq!(type_in(&mut vty, "\r"), "\r\ncsr1#");
    assert_eq!(type_in(&mut vty, "\n"), "");
}

#[test]
fn the_way_in_which_keys_arrive_makes_no_difference() {
    let typed = b"term len 0\nsho\x08\x08\x08wr\nshow run\r\nterm len 24\nsh run\n  q";
    let mut whole = vty(None);
    let at_once = sent(&whole.input(typed));
    let mut split = vty(None);
    let one_by_one: String = typed
        .iter()
        .map(|byte| sent(&split.input(&[*byte])))
        .collect();
    assert_eq!(at_once, one_by_one);
}

#[test]
fn lines_can_be_corrected_and_dropped() {
    let mut vty = vty(None);
    assert_eq!(
        type_in(&mut vty, "x\x7fshow clok\x08\x08ock\r"),
        "x\x08 \x08show clok\x08 \x08\x08 \x08ock\r\n*21:00:00.000 UTC Sun Nov 22 2026\r\ncsr1#"
    );
    assert_eq!(type_in(&mut vty, "wr\x03"), "wr\r\ncsr1#");
    assert_eq!(
        type_in(&mut vty, "wr\x15\r"),
        "wr\x08 \x08\x08 \x08\r\ncsr1#"
    );
}

#[test]
fn a_line_has_a_longest_length() {
    let mut vty = vty(None);
    let echoed = type_in(&mut vty, &"x".repeat(LINE_MAX + 5));
    assert_eq!(
        echoed,
        format!("{}{}", "x".repeat(LINE_MAX), "\x07".repeat(5))
    );
}

#[test]
fn says_where_a_line_is_wrong() {
    let mut vty = vty(None);
    assert_eq!(
        type_in(&mut vty, "show foo\n"),
        "show foo\r\n          ^\r\n% Invalid input detected at '^' marker.\r\n\r\ncsr1#"
    );
    assert_eq!(
        type_in(&mut vty, "show\n"),
        "show\r\n% Incomplete command.\r\n\r\ncsr1#"
    );
    assert_eq!(
        type_in(&mut vty, "sh r\n"),
        "sh r\r\n% Ambiguous command:  \"sh r\"\r\ncsr1#"
    );
}

#[test]
fn saves_after_its_think_time_and_counts_the_save_then() {
    let think = Think {
        save: Duration::from_secs(3),
        ..Think::default()
    };
    let (mut vty, _) = open(Persona {
        think,
        ..persona(None)
    });
    assert_eq!(
        vty.input(b"write memory\n"),
        vec![
            Step::Send(b"write memory\r\nBuilding configuration...\r\n".to_vec()),
            Step::Wait(Duration::from_secs(3)),
            Step::Count(Tally::Save),
            Step::Send(b"[OK]\r\ncsr1#".to_vec()),
        ]
    );
}

#[test]
fn copies_the_config_after_its_question() {
    let mut vty = vty(None);
    assert_eq!(
        type_in(&mut vty, "copy run start\n"),
        "copy run start\r\nDestination filename [startup-config]? "
    );
    assert_eq!(
        type_in(&mut vty, "\n"),
        "\r\nBuilding configuration...\r\n[OK]\r\ncsr1#"
    );
}

#[test]
fn shows_its_config_with_the_size_that_ios_counts() {
    let mut vty = vty(None);
    let _ = type_in(&mut vty, "term len 0\n");
    let config = persona(None).config;
    let shown = type_in(&mut vty, "show run\n");
    let wanted = format!(
        "show run\r\nBuilding configuration...\r\n\r\nCurrent configuration : {} bytes\r\n\
         {}\r\ncsr1#",
        config.len() + 1,
        String::from_utf8_lossy(&config).replace('\n', "\r\n")
    );
    assert_eq!(shown, wanted);
}

#[test]
fn the_pager_stops_before_the_last_line_of_the_screen() {
    let mut vty = vty(None);
    let first = type_in(&mut vty, "show run\n");
    let (page, more) = first.rsplit_once("\r\n").unwrap();
    assert_eq!(more, " --More-- ");
    // The echo is a line of its own, and not one of the screen's.
    assert_eq!(page.lines().count() - 1, SCREEN - 1, "{page}");
    let wipe = String::from_utf8(MORE_WIPE.to_vec()).unwrap();
    let next = type_in(&mut vty, " ");
    assert!(next.starts_with(&wipe));
    assert_eq!(next.lines().count(), SCREEN);
    let line = type_in(&mut vty, "\r");
    assert_eq!(line.lines().count(), 2);
    assert_eq!(type_in(&mut vty, "q"), format!("{wipe}csr1#"));
}

#[test]
fn pages_put_together_are_the_output() {
    let (mut paged, mut plain) = (vty(None), vty(None));
    let _ = type_in(&mut plain, "term len 0\n");
    let whole = type_in(&mut plain, "sh run\n");
    let wiped = format!(" --More-- {}", String::from_utf8_lossy(MORE_WIPE));
    let pages = type_in(&mut paged, "sh run\n     ");
    assert!(pages.replace(&wiped, "").starts_with(&whole));
    assert!(pages.contains(&wiped));
}

#[test]
fn user_mode_needs_the_secret_for_more() {
    let mut vty = vty(Some(Fault::UserMode));
    assert!(type_in(&mut vty, "show run\n").contains("% Invalid input"));
    assert_eq!(type_in(&mut vty, "enable\n"), "enable\r\nPassword: ");
    assert_eq!(type_in(&mut vty, "wrong\n"), "\r\nPassword: ");
    assert_eq!(type_in(&mut vty, "planted\n"), "\r\ncsr1#");
    assert_eq!(type_in(&mut vty, "disable\n"), "disable\r\ncsr1>");
    assert!(type_in(&mut vty, "enable\na\nb\nc\n").ends_with("% Bad secrets\r\n\r\ncsr1>"));
}

#[test]
fn enable_without_a_secret_leads_nowhere() {
    let (mut vty, _) = open(Persona {
        enable: None,
        level: 1,
        ..persona(None)
    });
    assert_eq!(
        type_in(&mut vty, "enable\n"),
        "enable\r\n% No password set\r\ncsr1>"
    );
}

#[test]
fn level_five_shows_a_short_config_that_ends_well() {
    let mut vty = vty(Some(Fault::Privilege5));
    let shown = type_in(&mut vty, "term len 0\nshow privilege\nshow run\n");
    assert!(shown.contains("Current privilege level is 5\r\ncsr1#"));
    assert!(shown.ends_with("\r\nend\r\n\r\ncsr1#"));
    assert!(!shown.contains("line 1\r\n"));
    assert!(type_in(&mut vty, "wr\n").contains("% Invalid input"));
}

#[test]
fn refused_saves_do_not_count() {
    for (fault, said) in [
        (
            Fault::SaveRefused,
            "startup-config file open failed (Device or resource busy)",
        ),
        (Fault::NvramFull, "[FAILED]"),
    ] {
        let mut vty = vty(Some(fault));
        let steps = vty.input(b"wr mem\n");
        assert!(!steps.contains(&Step::Count(Tally::Save)), "{fault}");
        let text = sent(&steps);
        assert!(text.contains(said) && text.ends_with("\r\ncsr1#"), "{text}");
        assert!(!text.contains("[OK]"), "{text}");
    }
}

#[test]
fn a_save_to_confirm_waits_for_the_answer() {
    let mut vty = vty(Some(Fault::SaveConfirm));
    let asked = vty.input(b"wr mem\n");
    assert!(sent(&asked).ends_with("?[confirm]"));
    assert!(!asked.contains(&Step::Count(Tally::Save)));
    assert_eq!(type_in(&mut vty, "n"), "\r\ncsr1#");
    let _ = vty.input(b"wr mem\n");
    assert!(vty.input(b"\r").contains(&Step::Count(Tally::Save)));
}

#[test]
fn a_pager_that_will_not_go_off() {
    for fault in [Fault::PagerStuck, Fault::PagerRefused] {
        let mut vty = vty(Some(fault));
        let answer = type_in(&mut vty, "term len 0\n");
        assert_eq!(
            answer.contains("% Invalid input"),
            fault == Fault::PagerRefused
        );
        assert!(type_in(&mut vty, "show run\n").ends_with(" --More-- "));
    }
}

#[test]
fn syslog_lines_are_whole_and_the_last_hides_the_prompt() {
    let mut vty = vty(Some(Fault::Syslog));
    let shown = type_in(&mut vty, "term len 0\nshow run\n");
    assert!(shown.ends_with("changed state to up\r\n"), "{shown}");
    let line = String::from_utf8(SYSLOG.to_vec()).unwrap();
    assert!(shown.matches(&line).count() >= 3);
    assert!(shown.matches(&format!("\n{line}")).count() == shown.matches(&line).count());
    assert_eq!(type_in(&mut vty, "\n"), "\r\ncsr1#");
}

#[test]
fn a_slow_device_shows_the_same_in_pieces() {
    let (mut slow, mut plain) = (vty(Some(Fault::Drip)), vty(None));
    let typed = b"term len 0\nshow run\n";
    let steps = slow.input(typed);
    assert_eq!(sent(&steps), sent(&plain.input(typed)));
    let waited: Duration = steps
        .iter()
        .filter_map(|step| match step {
            Step::Wait(time) => Some(*time),
            _ => None,
        })
        .sum();
    assert!(waited >= Duration::from_secs(1) && waited <= Duration::from_secs(2));
}

#[test]
fn a_broken_output_ends_in_the_middle() {
    for fault in [Fault::CloseMidOutput, Fault::HangMidOutput] {
        let mut vty = vty(Some(fault));
        let steps = vty.input(b"term len 0\nshow run\n");
        let text = sent(&steps);
        assert!(text.contains("hostname csr1") && !text.contains("\r\nend\r\n"));
        assert_eq!(
            steps.last() == Some(&Step::Cut),
            fault == Fault::CloseMidOutput
        );
        assert_eq!(vty.input(b"\r\n\r\n"), Vec::new(), "{fault}");
    }
}

#[test]
fn the_banner_trap_looks_like_a_prompt_and_rests() {
    let (_, steps) = open(persona(Some(Fault::BannerTrap)));
    let Some(Step::Send(first)) = steps.first() else {
        panic!("{steps:?}");
    };
    let first = String::from_utf8_lossy(first);
    assert!(first.ends_with("\r\ncsr1#"), "{first}");
    assert_eq!(steps.get(1), Some(&Step::Wait(TRAP_PAUSE)));
    assert!(sent(&steps).ends_with("\r\nthat was the banner\r\n\r\ncsr1#"));
}

#[test]
fn authorization_refused_and_the_way_out() {
    let mut vty = vty(Some(Fault::AuthzRefused));
    assert_eq!(
        type_in(&mut vty, "show run\n"),
        "show run\r\n% Authorization failed.\r\n\r\ncsr1#"
    );
    assert_eq!(
        vty.input(b"exit\nshow clock\n"),
        vec![Step::Send(b"exit\r\n".to_vec()), Step::Close]
    );
}

#[test]
fn a_config_counts_as_shown_once_it_was_whole() {
    let shown = |vty: &mut Vty, text: &str| {
        let steps = vty.input(text.as_bytes());
        let count = steps
            .iter()
            .filter(|step| **step == Step::Count(Tally::Shown))
            .count();
        (count, steps.last() == Some(&Step::Count(Tally::Shown)))
    };
    let mut plain = vty(None);
    assert_eq!(shown(&mut plain, "term len 0\n"), (0, false));
    assert_eq!(shown(&mut plain, "show run\n"), (1, true));
    assert_eq!(shown(&mut plain, "show run\nshow clock\n"), (1, false));

    let mut paged = vty(None);
    assert_eq!(shown(&mut paged, "show run\n"), (0, false));
    assert_eq!(shown(&mut paged, "q"), (0, false));
    assert_eq!(shown(&mut paged, "show run\n  "), (1, true));

    for fault in [
        Fault::AuthzRefused,
        Fault::CloseMidOutput,
        Fault::HangMidOutput,
        Fault::Privilege5,
    ] {
        let mut ill = vty(Some(fault));
        assert_eq!(
            shown(&mut ill, "term len 0\nshow run\n"),
            (0, false),
            "{fault}"
        );
    }
}
