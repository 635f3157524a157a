//! Longer texts of a vty, and what is done to texts.

pub(super) const SYSLOG: &[u8] =
    b"*Nov 22 21:00:00.123: %SYS-5-CONFIG_I: Configured from console by admin on \
    vty1 (192.0.2.7)\r\n";
pub(super) const SYSLOG_LINK: &[u8] =
    b"*Nov 22 21:00:01.456: %LINK-3-UPDOWN: Interface GigabitEthernet4, changed state to up\r\n";

/// The text with CR LF line ends.
pub(super) fn crlf(text: &[u8]) -> Vec<u8> {
    let mut wide = Vec::with_capacity(text.len() + text.len() / 16 + 16);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => {
                wide.extend_from_slice(line);
                wide.extend_from_slice(b"\r\n");
            }
            None => wide.extend_from_slice(line),
        }
    }
    wide
}

/// Three syslog lines, spread over the text.
pub(super) fn with_syslog(text: &[u8]) -> Vec<u8> {
    let total = text.iter().filter(|byte| **byte == b'\n').count();
    let step = (total / 4).max(1);
    let mut mixed = Vec::with_capacity(text.len() + 4 * SYSLOG.len());
    for (number, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if number > 0 && number.is_multiple_of(step) {
            mixed.extend_from_slice(SYSLOG);
        }
        mixed.extend_from_slice(line);
    }
    mixed
}

pub(super) fn version(name: &str) -> String {
    format!(
        "Cisco IOS XE Software, Version 16.09.05\n\
         Cisco IOS Software [Fuji], Virtual XE Software (X86_64_LINUX_IOSD-UNIVERSALK9-M), \
         Version 16.9.5, RELEASE SOFTWARE (fc1)\n\
         Technical Support: http://www.cisco.com/techsupport\n\n\
         ROM: IOS-XE ROMMON\n\n\
         {name} uptime is 3 weeks, 2 days, 4 hours, 11 minutes\n\
         Uptime for this control processor is 3 weeks, 2 days, 4 hours, 13 minutes\n\
         System returned to ROM by reload\n\
         System image file is \"bootflash:packages.conf\"\n\
         Last reload reason: reload\n\n\
         cisco CSR1000V (VXE) processor (revision VXE) with 2190795K/3075K bytes of memory.\n\
         Processor board ID 9XKQ7M2HLZ1\n\
         4 Gigabit Ethernet interfaces\n\
         32768K bytes of non-volatile configuration memory.\n\
         3984860K bytes of physical memory.\n\
         7774207K bytes of virtual hard disk at bootflash:.\n\n\
         Configuration register is 0x2102\n\n"
    )
}
