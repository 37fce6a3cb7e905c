//! Owns `quickstart --write`: the same thing as files, for `run` and `check`.

use super::{DAYS_WRITTEN, Prepared, QuickFault, trust};
use crate::directory::{self, NewFile};
use crate::draft::{Trust, file};
use crate::fault::Fault;
use crate::leg;
use crate::output::say;
use buf::Secret;
use std::fs;
use std::path::Path;

/// A copy of `--server-ca`, so that the directory can be moved.
const SERVER_AUTHORITY: &str = "server-ca.crt";

impl Prepared<'_> {
    /// Writes all files, and says what comes next.
    pub(super) fn write(&self, directory: &Path) -> Result<(), Fault> {
        if self.password.expose().contains(&b'\n') {
            return Err(Fault::Quick(QuickFault::PasswordLine));
        }
        let (trust, server_authority) = self.portable_trust()?;
        let text = self.text(&self.preface(), &trust);
        let password = Secret::from_vec([self.password.expose(), b"\n"].concat());
        let authority = &self.local.authority.minted().certificate;
        let mut files: Vec<NewFile<'_>> = vec![
            (file::AUTHORITY, authority, 0o644),
            (file::CERTIFICATE, &self.identity.certificate, 0o644),
            (file::KEY, self.identity.private_key.expose(), 0o600),
            (file::USERS, self.user.expose(), 0o600),
            (file::PASSWORD, password.expose(), 0o600),
        ];
        if let Some(authority) = &server_authority {
            files.push((SERVER_AUTHORITY, authority, 0o644));
        }
        // Last, so that a directory with a configuration is complete.
        files.push((file::CONFIGURATION, text.as_bytes(), 0o600));
        directory::write(directory, &files)?;
        self.say_what_comes_next(directory, &files);
        Ok(())
    }

    /// The same trust by a file of the directory.
    fn portable_trust(&self) -> Result<(Trust, Option<Vec<u8>>), Fault> {
        match (&self.server.trust, &self.options.server_ca) {
            (Trust::Authority(_), Some(path)) => {
                let pem = fs::read(path).map_err(|cause| unwritten(path, cause))?;
                Ok((Trust::Authority(SERVER_AUTHORITY.to_owned()), Some(pem)))
            }
            (trust, _) => Ok((trust.clone(), None)),
        }
    }

    fn preface(&self) -> Vec<String> {
        vec![
            format!("Portcullis before {}.", trust::server(&self.target)),
            "`portcullis check --config FILE` proves both legs, `portcullis run --config FILE` \
             serves,"
                .to_owned(),
            "`portcullis settings NAME` explains a setting.".to_owned(),
            format!(
                "The certificate in {} is valid for {DAYS_WRITTEN} days; the quick start writes a \
                 new one into another directory.",
                file::CERTIFICATE
            ),
        ]
    }

    fn say_what_comes_next(&self, directory: &Path, files: &[NewFile<'_>]) {
        let at = |name: &str| directory.join(name);
        say(&format!("\n{} holds:", directory.display()));
        for (name, _, mode) in files {
            let private = if *mode == 0o600 {
                "(only you can read it)"
            } else {
                ""
            };
            say(leg::line(name, private).trim_end());
        }
        let configuration = at(file::CONFIGURATION);
        let (configuration, authority) = (configuration.display(), at(file::AUTHORITY));
        say(&format!(
            "\nNext:\n\n  portcullis check --config {configuration} --ca {}\n  \
             portcullis run --config {configuration}\n  {}",
            authority.display(),
            self.psql(&authority, self.options.listen.port()),
        ));
    }
}

fn unwritten(path: &Path, cause: std::io::Error) -> Fault {
    Fault::Quick(QuickFault::Write {
        path: path.to_owned(),
        cause,
    })
}
