//! One run of a real client for one question: psql, or Python with psycopg (which brings
//! libpq 18). Takes libpq's environment, gives what the program said.

use std::process::{Command, Output};

use testkit::{Cluster, tools};

use crate::drivers::Endpoint;

/// A client that is about to run.
pub struct Program {
    command: Command,
}

impl Endpoint {
    /// psql (libpq of the distribution) with these commands, one after the other.
    pub fn psql(&self, commands: &[&str]) -> Program {
        let mut command = self.command(Cluster::client_program("psql"));
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
        command.args(["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"]);
        for text in commands {
            command.arg("--command").arg(text);
        }
        Program { command }
    }

    /// psql with one harmless query: for those who only want to know whether they get in.
    pub fn login(&self) -> Program {
        self.psql(&["SELECT current_user"])
    }

    /// A Python script that may import psycopg.
    pub fn python(&self, script: &str) -> Program {
        let mut command = self.command(tools::python());
        command.arg("-B").arg("-c").arg(script);
        Program { command }
    }

    /// A program of the distribution's client, such as `pg_basebackup`.
    pub fn program(&self, name: &str) -> Program {
        Program {
            command: self.command(Cluster::client_program(name)),
        }
    }
}

impl Program {
    /// Sets one of libpq's environment variables.
    pub fn with(mut self, variable: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(variable, value);
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<std::ffi::OsStr>>(
        mut self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        self.command.args(arguments);
        self
    }

    /// The command itself, for tests that send signals to it.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Its output; panics with all it said unless it succeeded.
    #[track_caller]
    pub fn says(self) -> String {
        let (name, output) = self.run();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let status = output.status;
        assert!(status.success(), "{name} ended with {status}\n{out}\n{err}");
        out
    }

    /// Its complaint; panics unless it failed, and unless the complaint contains `wanted`.
    #[track_caller]
    pub fn complains(self, wanted: &str) -> String {
        let (name, output) = self.run();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(!output.status.success(), "{name} succeeded: {out}");
        assert!(
            err.contains(wanted),
            "{name} did not complain of {wanted:?}:\n{err}"
        );
        err
    }

    #[track_caller]
    fn run(mut self) -> (String, Output) {
        let name = self.command.get_program().to_string_lossy().into_owned();
        let output = testkit::program::output(&mut self.command);
        (name, output)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
