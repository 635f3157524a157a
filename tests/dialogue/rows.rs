//! Each quirk of the field catalogue (A1 to A48) is a test with its number in its name, one for each
//! box of `tests/fixtures/cisco_ios` and of the engine's own platforms.
//!
//! A box is held to its goldens, also of what was typed; then its bytes are cut at every place and
//! at random ones, which must change nothing; then log messages are put between its lines, which must
//! change no config and no verdict.

use super::*;
use proptest::test_runner::{RngSeed, TestRunner};
use wrmem::text::opaque::Tracker;

pub(super) const IOS: &str =
    "*Nov 27 20:43:11.123: %SYS-5-CONFIG_I: Configured from console by ntc on vty0";

/// The same draws in every run; what once failed is kept in `proptest-regressions/`.
fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(41),
        ..ProptestConfig::with_source_file("tests/dialogue/rows.rs")
    })
}

fn check(platform: &str, name: &str) {
    let platforms = super::platforms();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let fixture = Fixture::read(&root.join(platform).join(name));
    let device = fixture.device(&platforms);
    let whole = fixture.converse(&device, Reads::Whole);
    fixture.golden("sent", Some(escape(&whole.sent).as_bytes()));
    fixture.golden("config", whole.config.as_deref());
    fixture.golden("outcome", Some(whole.told.as_bytes()));
    for secret in ["planted-password", "planted-enable"] {
        assert!(!whole.told.contains(secret), "{name} tells a secret");
    }
    cuts_change_nothing(&fixture, &device, &whole);
    messages_change_nothing(&fixture, &device, &whole, IOS);
}

fn cuts_change_nothing(fixture: &Fixture, device: &Arc<Device>, whole: &Outcome) {
    let name = fixture.folder.display();
    let by_byte = fixture.converse(device, Reads::AtMost(1));
    assert_eq!(&by_byte, whole, "{name}: byte by byte");
    let bytes = fixture.bytes_sent_by_device();
    // Cuts of larger ones are drawn at random below.
    let last = if bytes > 4000 { 1 } else { bytes };
    for place in 1..last {
        let cut = fixture.converse(device, Reads::CutAt(vec![place]));
        assert_eq!(&cut, whole, "{name}: cut at {place}");
    }
    let places = proptest::collection::vec(0..=bytes, 1..40);
    let split = runner(24).run(&places, |mut places| {
        places.sort_unstable();
        let cut = fixture.converse(device, Reads::CutAt(places));
        prop_assert_eq!(&cut, whole);
        Ok(())
    });
    split.unwrap_or_else(|failure| panic!("{name}: {failure}"));
}

/// Where a log message may come between two lines: after a line end that no block holds. In a config
/// with blank lines of its own not after one of those: devices move to a fresh line before they log,
/// so nothing tells whose the blank line is.
fn gaps(fixture: &Fixture, device: &Device, whole: &Outcome) -> Vec<(usize, usize)> {
    let config = whole.config.as_deref().unwrap_or_default();
    let has_blanks = config.windows(2).any(|two| two == b"\n\n");
    let mut blocks = Tracker::default();
    let mut gaps = Vec::new();
    for (index, step) in fixture.steps.iter().enumerate() {
        let Step::Send(bytes) = step else { continue };
        let mut from = 0;
        while let Some(len) = bytes[from..].windows(2).position(|two| two == b"\r\n") {
            let line = &bytes[from..from + len];
            from += len + 2;
            blocks.line(line, &device.platform.config.opaque);
            let unclear = has_blanks && line.is_empty();
            if !blocks.inside() && !unclear {
                gaps.push((index, from));
            }
        }
    }
    gaps
}

/// What was decided, without the words: notes and last lines may tell of the messages.
fn verdicts(outcome: &Outcome) -> Vec<String> {
    let words = outcome
        .told
        .lines()
        .filter(|line| !line.starts_with("note:"));
    let decided = words.map(|line| {
        let verdict: Vec<&str> = line.splitn(3, ": ").take(2).collect();
        // Silence takes the place of an agreeing count where a message stands behind the end.
        verdict.join(": ").replace("byte_count", "marker")
    });
    decided.collect()
}

/// `message` between any lines changes no config and no verdict.
pub(super) fn messages_change_nothing(
    fixture: &Fixture,
    device: &Arc<Device>,
    whole: &Outcome,
    message: &str,
) {
    let message = format!("{message}\r\n");
    let gaps = gaps(fixture, device, whole);
    if gaps.is_empty() {
        return;
    }
    let name = fixture.folder.display();
    let places = proptest::collection::btree_set(0..gaps.len(), 1..6);
    let logged = runner(24).run(&places, |places| {
        let mut noisy = Fixture {
            folder: fixture.folder.clone(),
            steps: fixture.steps.clone(),
            set: fixture.set.clone(),
        };
        for (step, at) in places.iter().rev().map(|place| gaps[*place]) {
            if let Step::Send(bytes) = &mut noisy.steps[step] {
                bytes.splice(at..at, message.bytes());
            }
        }
        let outcome = noisy.converse(device, Reads::Whole);
        prop_assert_eq!(
            outcome.config.as_deref().map(String::from_utf8_lossy),
            whole.config.as_deref().map(String::from_utf8_lossy),
            "{}",
            outcome.told
        );
        prop_assert_eq!(verdicts(&outcome), verdicts(whole), "{}", outcome.told);
        Ok(())
    });
    logged.unwrap_or_else(|failure| panic!("{name}: {failure}"));
}

macro_rules! boxes {
    ($($platform:ident { $($name:ident)+ })+) => {
        $(mod $platform {
            $(#[test]
            fn $name() {
                super::check(stringify!($platform), stringify!($name));
            })+
        })+

        /// A box without its test would be one that nobody looks at.
        #[test]
        fn every_box_is_a_test_and_every_test_a_box() {
            $({
                let tests: BTreeSet<String> =
                    [$(stringify!($name)),+].map(str::to_owned).into_iter().collect();
                let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
                let boxes: BTreeSet<String> = std::fs::read_dir(root.join(stringify!($platform)))
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                    .collect();
                assert_eq!(tests, boxes, "{}", stringify!($platform));
            })+
        }
    };
}

boxes! {
    cisco_ios {
        a00_a_pending_reload
        a00_no_echo
        a00_no_prompt_at_all
        a00_not_saved_first
        a00_the_good_path
        a01_config_mode_that_stays
        a01_left_in_config_mode
        a02_a_prompt_with_blanks_and_signs
        a03_a_long_name_in_config_mode
        a04_banner_fake_prompt
        a04_banner_swallows_what_was_typed
        a05_banner_glued_to_the_prompt
        a05_slow_echo
        a06_a_prompt_line_then_a_long_pause
        a06_the_prompt_within_the_config
        a07_a_pager_text_within_the_config
        a07_pager_erased_by_backspaces
        a07_pager_erased_by_carriage_return
        a07_pager_that_will_not_go_off
        a08_paging_not_authorised
        a09_an_echo_that_scrolls_at_80_columns
        a10_authorization_failed
        a10_command_authorization_failed
        a10_save_not_authorised
        a11_invalid_input
        a12_translating
        a13_a_log_message_before_the_prompt
        a13_a_log_message_hides_the_prompt
        a13_a_log_message_hides_the_prompt_of_a_save
        a13_log_messages_between_lines
        a13_quoted_log_messages_stay
        a14_the_count_disagrees
        a14_the_count_is_of_crlf
        a15_changed_while_it_was_saved
        a15_if_changed_saves_nothing
        a15_if_changed_saves_what_is_unsaved
        a15_if_changed_saves_where_nobody_can_tell
        a15_no_save_since_the_boot
        a15_no_unsaved_changes
        a15_unsaved_changes_are_told
        a16_exec_prompt_timestamps
        a17_end_within_a_banner_only
        a17_no_end_line
        a17_nothing_unproven_is_saved
        a18_a_dead_device
        a18_a_slow_cpu
        a19_the_prompt_never_returns
        a20_closed_in_the_midst
        a20_closed_right_after_the_end
        a20_reset_in_the_midst
        a21_save_takes_a_minute
        a21_save_without_a_word
        a21_saved_after_it_was_read
        a22_save_compressed
        a23_a_question_that_does_not_go_away
        a23_overwriting_nvram_needs_a_human
        a23_the_operator_said_no
        a23_the_operator_said_yes
        a24_a_question_in_place_of_the_config
        a24_a_question_nobody_described
        a24_a_slow_header
        a24_destination_filename
        a24_questions_without_end
        a25_a_slow_busy_device_keeps_its_session
        a25_another_session_is_saving
        a25_busy_until_the_deadline
        a26_nvram_is_full
        a26_open_failed
        a27_an_empty_config
        a27_nothing_at_all
        a28_a_view_that_shows_all
        a28_no_answer_to_show_privilege
        a28_privilege_level_5
        a28_view_full_is_not_known
        a29_password_expired
        a29_password_expires_soon
        a37_access_denied
        a37_enable_asks_for_a_name
        a37_enable_asks_for_a_name_again
        a37_enable_asks_for_a_passcode
        a37_enable_refused
        a37_enable_with_a_secret
        a37_no_secret_configured
        a38_enable_without_a_secret
        a38_no_password_set
        a39_line_ends_colours_and_padding
        a40_latin1_is_kept
        a42_a_large_config
        a44_another_name_is_noted
        a44_another_name_is_refused
        a44_named_before_it_is_saved
        a44_the_config_names_another
        a44_the_config_names_another_and_is_refused
        a47_a_menu_at_login
        a47_press_return
        a48_certificates_are_opaque
        a49_closed_before_a_prompt
        recorded_in_user_mode
    }
    engine_braces {
        a_brace_is_missing
        a_login_that_may_not_see_secrets
        a_mode_that_is_not_entered
        a_prompt_within_a_block
        balanced
        saved_in_a_mode_of_its_own
    }
    engine_weak {
        a_config_that_says_it_is_a_part
        a_config_without_its_head
        a_false_end
        a_log_message_hides_the_prompt
        a_short_pause_at_a_false_end
        every_command_is_rejected
        proven_by_a_known_answer
        the_first_command_is_rejected
    }
}
