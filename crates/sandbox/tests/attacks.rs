//! A confined process in the hands of an attacker: every refused system call is made by each of its
//! threads, and files are opened inside and outside of its plan. The same without a sandbox shows that
//! the attacks would work.
//!
//! Not libtest: a sandbox is for a process with one thread, and there is no way back out.

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("the attacks are written for x86-64");
}

#[cfg(target_arch = "x86_64")]
fn main() {
    match std::env::var("ATTACKED").as_deref() {
        Ok(how) => victim::run(how),
        Err(_) => attack::run(),
    }
}

/// The process that is attacked.
#[cfg(target_arch = "x86_64")]
mod victim {
    use sandbox::{Mode, Plan};
    use std::io::{Read as _, stdin};
    use std::path::PathBuf;

    pub fn run(how: &str) {
        let place = PathBuf::from(std::env::var_os("PLACE").expect("a place"));
        let mut plan = Plan::of_system();
        plan.reads_file(&place.join("inside/file"));
        plan.makes_sockets_in(&place.join("sockets"));
        plan.appends_to(&place.join("written/file"));
        let entered = match how {
            "on" => Some(sandbox::enter(&plan, Mode::Enforce).expect("a sandbox")),
            "log" => Some(sandbox::enter(&plan, Mode::Log).expect("a sandbox")),
            _ => None,
        };
        // Reads of a pipe that never comes to an end before the attacker is done.
        let (idle, _open) = std::io::pipe().expect("a pipe");
        std::thread::spawn(move || (&idle).read(&mut [0]));
        // A second sandbox would leave that thread out.
        let again = sandbox::enter(&plan, Mode::Enforce);
        assert!(again.is_err() || how == "on");
        println!("{entered:?}");
        let _ = stdin().read(&mut [0]);
    }
}

#[cfg(target_arch = "x86_64")]
mod attack {
    use nix::libc;
    use std::fs::{self, File};
    use std::io::{BufRead as _, BufReader};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use testkit::inject::{Stopped, threads};
    use testkit::wait;

    struct Victim {
        process: Child,
        said: String,
    }

    impl Victim {
        fn start(how: &str, place: &Path) -> Self {
            let own = std::env::current_exe().expect("the test's own path");
            let mut process = Command::new(own);
            process.env("ATTACKED", how).env("PLACE", place);
            process.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut process = process.spawn().expect("a victim");
            let out = process.stdout.take().expect("its output");
            let mut said = String::new();
            BufReader::new(out).read_line(&mut said).expect("its state");
            Self { process, said }
        }

        /// Each of its threads, the later one included.
        fn each(&self, attack: impl Fn(&Stopped)) {
            let id = self.process.id();
            wait::until("two threads", wait::LONG, || threads(id).len() == 2);
            for thread in threads(id) {
                attack(&Stopped::thread(thread));
            }
        }
    }

    impl Drop for Victim {
        fn drop(&mut self) {
            drop(self.process.stdin.take());
            let ended = self.process.wait().expect("its end");
            // What was done to it has not harmed it.
            assert!(ended.success(), "{ended}");
        }
    }

    fn name(thread: &Stopped, path: &Path) -> u64 {
        thread.place(&[path.as_os_str().as_encoded_bytes(), b"\0"].concat())
    }

    fn open(thread: &Stopped, path: &Path, flags: i32) -> i64 {
        let here = i64::from(libc::AT_FDCWD).cast_unsigned();
        let flags = u64::from(flags.cast_unsigned());
        let path = name(thread, path);
        let answer = thread.call(libc::SYS_openat, &[here, path, flags, 0o600]);
        if answer >= 0 {
            thread.call(libc::SYS_close, &[answer.cast_unsigned()]);
            return 0;
        }
        answer
    }

    const EPERM: i64 = -(libc::EPERM as i64);
    const EACCES: i64 = -(libc::EACCES as i64);
    const EFAULT: i64 = -(libc::EFAULT as i64);
    /// Arguments that no call can do anything with, should it be made after all.
    const USELESS: [u64; 6] = [u64::MAX; 6];

    pub fn run() {
        let place = tempfile::tempdir().expect("a directory");
        for directory in ["inside", "outside", "sockets", "written"] {
            fs::create_dir(place.path().join(directory)).expect("a directory");
        }
        for file in ["inside/file", "outside/file"] {
            File::create(place.path().join(file)).expect("a file");
        }
        std::os::unix::fs::symlink("../outside/file", place.path().join("inside/link"))
            .expect("a link");
        system_calls(place.path());
        namespaces_sockets_keystrokes(place.path());
        files(place.path());
        log_refuses_nothing(place.path());
    }

    fn system_calls(place: &Path) {
        let free = Victim::start("off", place);
        free.each(|thread| {
            assert_eq!(thread.call(libc::SYS_execve, &USELESS), EFAULT);
            // The kernel may have been built without calls of 32-bit pointers.
            assert_ne!(thread.call(0x4000_0000 | 520, &USELESS), EPERM);
        });
        let confined = Victim::start("on", place);
        confined.each(|thread| {
            for number in sandbox::refused_calls() {
                // Would hang up the terminal of a root who runs the tests.
                if number != libc::SYS_vhangup {
                    assert_eq!(thread.call(number, &USELESS), EPERM, "system call {number}");
                }
            }
            // x32: the same calls by the same numbers, and execve by one of its own.
            for number in sandbox::refused_calls().chain([520, libc::SYS_openat]) {
                let x32 = 0x4000_0000 | number;
                assert_eq!(
                    thread.call(x32, &USELESS),
                    EPERM,
                    "system call {number} of x32"
                );
            }
            assert!(thread.call(libc::SYS_getpid, &[]) > 0);
        });
        println!(
            "{} system calls are refused",
            sandbox::refused_calls().count()
        );
    }

    fn namespaces_sockets_keystrokes(place: &Path) {
        let confined = Victim::start("on", place);
        confined.each(|thread| {
            for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET] {
                // With CLONE_SIGHAND and without CLONE_VM the kernel makes nothing of it.
                let flags = u64::from((flag | libc::CLONE_SIGHAND).cast_unsigned());
                assert_eq!(thread.call(libc::SYS_clone, &[flags]), EPERM);
            }
            assert_eq!(
                thread.call(libc::SYS_clone3, &USELESS),
                -i64::from(libc::ENOSYS)
            );
            for (family, wanted) in [
                (libc::AF_VSOCK, EPERM),
                (libc::AF_PACKET, EPERM),
                (libc::AF_ALG, EPERM),
                (libc::AF_INET, 0),
                (libc::AF_NETLINK, 0),
            ] {
                let arguments = [
                    u64::from(family.cast_unsigned()),
                    libc::SOCK_DGRAM as u64,
                    0,
                ];
                let answer = thread.call(libc::SYS_socket, &arguments);
                assert_eq!(answer.min(0), wanted, "family {family}");
                if answer >= 0 {
                    thread.call(libc::SYS_close, &[answer.cast_unsigned()]);
                }
            }
            // The kernel ignores the upper half of a request.
            for request in [libc::TIOCSTI, libc::TIOCSTI | 1 << 40, libc::TIOCLINUX] {
                let arguments = [0, request, u64::MAX];
                assert_eq!(thread.call(libc::SYS_ioctl, &arguments), EPERM);
            }
        });
    }

    fn files(place: &Path) {
        let at = |name: &str| place.join(name);
        let read = libc::O_RDONLY;
        let write = libc::O_WRONLY | libc::O_CREAT;
        let free = Victim::start("off", place);
        free.each(|thread| assert_eq!(open(thread, &at("outside/file"), read), 0));
        let confined = Victim::start("on", place);
        if !confined.said.contains("landlock: Some") {
            println!("no Landlock here: {}", confined.said.trim());
            return;
        }
        let parent = u64::from(std::process::id());
        confined.each(|thread| {
            for (path, flags, wanted) in [
                (at("inside/file"), read, 0),
                (at("inside"), read, 0),
                (at("inside/link"), read, EACCES),
                (at("inside/new"), write, EACCES),
                (at("inside/file"), libc::O_RDWR, EACCES),
                (at("outside/file"), read, EACCES),
                (at("outside"), read, EACCES),
                (at("inside/../outside/file"), read, EACCES),
                (at("written/file"), write | libc::O_APPEND, 0),
                (at("written/file"), read, EACCES),
                (at("sockets/file"), write, EACCES),
                ("/etc/hosts".into(), read, 0),
                ("/proc/self/maps".into(), read, EACCES),
                ("/proc/self/mem".into(), libc::O_RDWR, EACCES),
                ("/".into(), read, EACCES),
            ] {
                assert_eq!(open(thread, &path, flags), wanted, "{}", path.display());
            }
            let unlink = |file: &str| thread.call(libc::SYS_unlink, &[name(thread, &at(file))]);
            assert_eq!(unlink("inside/file"), EACCES);
            assert_eq!(unlink("sockets/none"), -i64::from(libc::ENOENT));
            // No signals to others (Linux 6.12).
            if confined.said.contains("landlock: Some(6)") || confined.said.contains("Some(7)") {
                assert_eq!(thread.call(libc::SYS_kill, &[parent, 0]), EPERM);
            }
        });
        // A file that takes the place of another by renaming can be read, a new directory, too.
        fs::write(at("new"), "new").expect("a file");
        fs::rename(at("new"), at("inside/file")).expect("the file");
        fs::create_dir(at("inside/directory")).expect("a directory");
        File::create(at("inside/directory/file")).expect("a file");
        confined.each(|thread| {
            for path in ["inside/file", "inside/directory/file"] {
                assert_eq!(open(thread, &at(path), read), 0, "{path}");
            }
        });
        println!("files are confined: {}", confined.said.trim());
    }

    fn log_refuses_nothing(place: &Path) {
        let logged = Victim::start("log", place);
        assert!(logged.said.contains("landlock: None"), "{}", logged.said);
        logged.each(|thread| {
            assert_eq!(thread.call(libc::SYS_execve, &USELESS), EFAULT);
            assert_eq!(open(thread, &place.join("outside/file"), libc::O_RDONLY), 0);
        });
    }
}
