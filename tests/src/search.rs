//! Looks for markers, byte for byte, in the memory of a process or in a file.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes searched at a time.
const CHUNK: usize = 1 << 20;
/// Neighbouring chunks overlap, so that nothing hides on their border.
const OVERLAP: usize = 64;

/// Which memory is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All that can be read.
    All,
    /// What is written into a core dump, and more: every mapping without the advice to leave it out
    /// (MADV_DONTDUMP; `VmFlags` in proc(5)), whatever the process's coredump_filter says.
    Dumped,
}

/// The markers, out of these, that lie in the memory of a process.
#[track_caller]
pub fn memory<'a, M: AsRef<[u8]> + PartialEq + ?Sized>(
    process: u32,
    part: Part,
    markers: &[&'a M],
) -> Vec<&'a M> {
    let place = format!("/proc/{process}");
    let maps = fs::read_to_string(format!("{place}/smaps")).expect("its mappings");
    let memory = File::open(format!("{place}/mem")).expect("its memory");
    let mut found = Vec::new();
    let mut searched = 0;
    let mut mapping = None;
    for line in maps.lines() {
        if let Some(range) = readable(line) {
            mapping = range;
        }
        // The last line about a mapping.
        let Some(flags) = line.strip_prefix("VmFlags:") else {
            continue;
        };
        let left_out = flags.split(' ').any(|flag| flag == "dd");
        if let Some(range) = mapping.filter(|_| part == Part::All || !left_out) {
            searched += search(&memory, range, markers, &mut found);
        }
    }
    assert!(
        searched > CHUNK,
        "only {searched} bytes of memory were read"
    );
    found
}

/// The markers, out of these, that a file holds.
#[track_caller]
pub fn file<'a, M: AsRef<[u8]> + PartialEq + ?Sized>(path: &Path, markers: &[&'a M]) -> Vec<&'a M> {
    let opened = File::open(path).expect("the file");
    let len = opened.metadata().expect("its size").len() as usize;
    let mut found = Vec::new();
    search(&opened, (0, len), markers, &mut found);
    found
}

/// Searches a range; gives how many bytes could be read.
fn search<'a, M: AsRef<[u8]> + PartialEq + ?Sized>(
    from: &File,
    (start, end): (usize, usize),
    markers: &[&'a M],
    found: &mut Vec<&'a M>,
) -> usize {
    let mut searched = 0;
    let mut at = start;
    while at < end {
        let len = CHUNK.min(end - at);
        let mut bytes = vec![0; len];
        // A region may go away while it is searched, and some can't be read at all.
        let Ok(count) = from.read_at(&mut bytes, at as u64) else {
            break;
        };
        searched += count;
        for marker in markers {
            if !found.contains(marker) && contains(&bytes[..count], marker.as_ref()) {
                found.push(*marker);
            }
        }
        if count < len || at + len >= end {
            break;
        }
        at += len - OVERLAP;
    }
    searched
}

/// Start and end of a mapping, if the line is the first about one; an inner `None` if it can't be read
/// or is the kernel's.
#[allow(clippy::option_option)]
fn readable(line: &str) -> Option<Option<(usize, usize)>> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let range = (number(start)?, number(end)?);
    let readable = words.next()?.starts_with('r');
    let kernels = line.ends_with("[vvar]") || line.ends_with("[vsyscall]");
    Some((readable && !kernels).then_some(range))
}

/// Whether the bytes hold this marker.
pub fn contains(bytes: &[u8], marker: &[u8]) -> bool {
    // Candidates by the first byte, which `position` finds fast.
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == marker[0]) {
        if rest[at..].starts_with(marker) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
