//! `wrmem run`, the real binary.

use crate::world::World;
use rustix::process::Signal;
use wrmem::lab::LabSpec;

#[test]
fn it_starts_only_where_save_is_written() {
    let world = World::new(&LabSpec::default());
    world.replace("devices.toml", "save = \"always\"\n", "");
    let refused = world.run(&["run"]);
    refused.assert_code(2);
    for told in [
        "csr1, csr2, csr3",
        "wrmem.toml",
        "save = \"always\"",
        "--no-save",
    ] {
        assert!(refused.err.contains(told), "{told}\n{}", refused.err);
    }
    assert_eq!(world.lab.counts().connections, 0);

    let mut run = world.spawn(&["run", "--no-save"]);
    run.wait_for_line("Device csr2 finished successfully.");
    run.signal(Signal::TERM);
    run.finish().assert_code(0);
    assert_eq!(world.lab.counts().saves, 0);
}
