//! Tests of the queue, the thread and the file: what is written, what waits, what is lost.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

fn settings(path: &Path) -> Settings {
    Settings {
        path: path.to_owned(),
        queue_bytes_max: 1 << 16,
        on_full: OnFull::DropAndCount,
        rotation: Rotation {
            bytes_max: 0,
            age_max: Duration::ZERO,
            kept_max: 0,
        },
        recipients: Vec::new(),
        chain: None,
    }
}

#[track_caller]
fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::yield_now();
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn lines_are_written_in_order_into_a_file_of_its_owner() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    fs::write(&path, "before\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let journal = Journal::start(settings(&path)).unwrap();
    for number in 0..1000 {
        let pushed = journal.push(format!("{number}\n").as_bytes());
        assert!(matches!(pushed, Pushed::Taken(_)), "{pushed:?}");
        if number % 100 == 0 {
            until("the queue is written", || {
                text(&path).contains(&format!("\n{number}\n"))
            });
        }
    }
    drop(journal);
    let wanted: String = (0..1000).map(|number| format!("{number}\n")).collect();
    assert_eq!(text(&path), format!("before\n{wanted}"));
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_was_moved_or_removed_is_begun_anew() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let journal = Journal::start(settings(&path)).unwrap();
    journal.push(b"one\n");
    until("the first line", || text(&path) == "one\n");
    let moved = place.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    journal.push(b"two\n");
    until("the second line", || text(&path) == "two\n");
    fs::remove_file(&path).unwrap();
    journal.reopen();
    until("a new file", || path.exists());
    journal.push(b"three\n");
    drop(journal);
    assert_eq!(
        (text(&moved), text(&path)),
        ("one\n".to_owned(), "three\n".to_owned())
    );
}

#[test]
fn files_are_rotated_by_size_and_the_oldest_go() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let rotation = Rotation {
        bytes_max: 100,
        age_max: Duration::ZERO,
        kept_max: 2,
    };
    let journal = Journal::start(Settings {
        rotation,
        ..settings(&path)
    })
    .unwrap();
    for number in 0..10u64 {
        let line = format!("{number}{}\n", "x".repeat(120));
        journal.push(line.as_bytes());
        let bytes = (number + 1) * line.len() as u64;
        until("it is written", || journal.counts().written_bytes == bytes);
    }
    until("rotations", || journal.counts().rotations >= 9);
    drop(journal);
    let files: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(files.len(), 3, "{files:?}");
}

#[test]
fn files_are_rotated_by_age() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let rotation = Rotation {
        age_max: Duration::from_nanos(1),
        ..settings(&path).rotation
    };
    let journal = Journal::start(Settings {
        rotation,
        ..settings(&path)
    })
    .unwrap();
    for _ in 0..3 {
        let before = journal.counts();
        journal.push(b"line\n");
        until("it is written", || {
            journal.counts().written_bytes > before.written_bytes
        });
    }
    until("rotations", || journal.counts().rotations >= 2);
    drop(journal);
}

/// A sink that takes nothing: each policy does what it says, and what was taken is written in the end.
#[test]
fn a_queue_without_room() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("log");
    let line = vec![b'x'; 999];
    for on_full in [OnFull::DropAndCount, OnFull::Refuse] {
        let journal = Journal::start(Settings {
            on_full,
            queue_bytes_max: 10_000,
            ..settings(&path)
        })
        .unwrap();
        // The directory goes away under it, so that nothing can be opened.
        fs::rename(&directory, place.path().join("away")).unwrap();
        journal.push(b"first\n");
        until("it fails", || journal.counts().failures > 0);
        let pushed: Vec<Pushed> = (0..40).map(|_| journal.push(&line)).collect();
        assert_eq!(journal.refuses(), on_full == OnFull::Refuse);
        let wanted = match on_full {
            OnFull::Refuse => Pushed::Refused,
            _ => Pushed::Dropped,
        };
        assert_eq!(pushed.last(), Some(&wanted));
        let dropped = pushed.iter().filter(|it| **it == wanted).count() as u64;
        assert_eq!(journal.counts().dropped, dropped);
        fs::rename(place.path().join("away"), &directory).unwrap();
        until("it is written again", || text(&path).ends_with('x'));
        drop(journal);
        let lines = text(&path).matches("first\n").count();
        assert!(lines >= 1, "what was taken is written");
        fs::remove_file(&path).unwrap();
    }
}

/// Wakes the thread that waits.
struct Bell(std::sync::mpsc::Sender<()>);

impl std::task::Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(());
    }
}

/// Polls until it is ready, and each time again when the waker was used.
fn await_ready<T>(mut poll: impl FnMut(&Waker) -> Poll<T>) -> T {
    let (sender, woken) = channel();
    let waker = Waker::from(Arc::new(Bell(sender)));
    loop {
        match poll(&waker) {
            Poll::Ready(value) => return value,
            Poll::Pending => woken.recv_timeout(Duration::from_secs(20)).expect("woken"),
        }
    }
}

#[test]
fn who_is_to_wait_waits_until_there_is_room() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("log");
    let journal = Journal::start(Settings {
        on_full: OnFull::Block,
        queue_bytes_max: 10_000,
        ..settings(&path)
    })
    .unwrap();
    fs::rename(&directory, place.path().join("away")).unwrap();
    journal.push(b"first\n");
    until("it fails", || journal.counts().failures > 0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let line = [[b'x'; 998].as_slice(), b"\n"].concat();
            for _ in 0..40 {
                while journal.push(&line) == Pushed::Full {
                    await_ready(|waker| journal.poll_room(line.len(), 7, waker));
                }
            }
            done.store(true, Ordering::Release);
        });
        until("more failures", || journal.counts().failures > 2);
        assert!(!done.load(Ordering::Acquire));
        fs::rename(place.path().join("away"), &directory).unwrap();
    });
    let counts = journal.counts();
    assert_eq!(counts.dropped, 0);
    drop(journal);
    assert_eq!(text(&path).matches('x').count(), 40 * 998);
}

/// Who waits for its line is woken when it is in the file; or, where nobody is to wait for a file that can't be
/// written, when that is so.
#[test]
fn a_line_is_told_to_be_written_when_it_is() {
    for on_full in [OnFull::Block, OnFull::Refuse] {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("directory");
        fs::create_dir(&directory).unwrap();
        let path = directory.join("log");
        let journal = Journal::start(Settings {
            on_full,
            ..settings(&path)
        })
        .unwrap();
        let push = |line: &[u8]| match journal.push(line) {
            Pushed::Taken(ticket) => ticket,
            other => panic!("{other:?}"),
        };
        let ticket = push(b"one\n");
        let written = await_ready(|waker| journal.poll_written(ticket, 1, waker));
        assert_eq!((written, text(&path).as_str()), (Ok(()), "one\n"));
        fs::rename(&directory, place.path().join("away")).unwrap();
        let ticket = push(b"two\n");
        if on_full == OnFull::Refuse {
            let written = await_ready(|waker| journal.poll_written(ticket, 1, waker));
            assert_eq!(written, Err(Unwritten));
        } else {
            until("it fails", || journal.counts().failures > 0);
            let waker = Waker::noop();
            assert!(journal.poll_written(ticket, 1, waker).is_pending());
        }
        fs::rename(place.path().join("away"), &directory).unwrap();
        until("the second line", || text(&path) == "one\ntwo\n");
        let written = await_ready(|waker| journal.poll_written(ticket, 1, waker));
        assert_eq!(written, Ok(()));
    }
}

/// A pipe that nobody reads can't be opened; one that is full holds nobody up when all ends.
#[test]
fn a_pipe_in_place_of_a_file() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let fault = Journal::start(settings(&path)).unwrap_err();
    assert!(fault.to_string().contains("cannot open"), "{fault}");
    let reader = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let rotation = Rotation {
        bytes_max: 10,
        ..settings(&path).rotation
    };
    let journal = Journal::start(Settings {
        queue_bytes_max: 1 << 20,
        rotation,
        ..settings(&path)
    })
    .unwrap();
    for _ in 0..10 {
        journal.push(&[[b'x'; 32 << 10].as_slice(), b"\n"].concat());
    }
    until("the pipe is full", || {
        journal.counts().written_bytes >= 1 << 16
    });
    let counts = journal.counts();
    assert_eq!((counts.failures, counts.rotations), (0, 0));
    let begun = Instant::now();
    drop(journal);
    assert!(begun.elapsed() < END_WAIT + Duration::from_secs(5));
    drop(reader);
}
