//! Owns the pure parts of `auth_query`: the default text and what its result means. The caller
//! sends it through the extended protocol with the user as the one text parameter, never pasted in.

use crate::verifier::{Stored, Verifier, VerifierFault};

/// Roles that can log in, with their verifier, or NULL once the password has expired.
///
/// Every name is schema-qualified, operators too: a search path must not decide what is compared.
/// `auth_query` connections carry no client's parameters all the same.
pub const DEFAULT_QUERY: &str = "SELECT rolname, \
    CASE WHEN rolvaliduntil OPERATOR(pg_catalog.<) pg_catalog.now() \
    THEN NULL ELSE rolpassword END \
    FROM pg_catalog.pg_authid \
    WHERE rolname OPERATOR(pg_catalog.=) $1 AND rolcanlogin";

/// Why a result of `auth_query` cannot be used. Never holds what the result held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthQueryFault {
    /// Not exactly two columns.
    #[error("auth_query must return exactly two columns, user and secret; it returned {columns}")]
    Columns {
        /// Columns returned.
        columns: usize,
    },
    /// More than one row.
    #[error("auth_query returned more than one row")]
    Rows,
    /// NULL as user.
    #[error("auth_query returned NULL as the user")]
    NullUser,
    /// Another user than the one asked about.
    #[error("auth_query returned another user than the one it was asked about")]
    OtherUser,
    /// A secret that is not UTF-8.
    #[error("auth_query returned a secret that is not UTF-8")]
    NotText,
    /// A secret that looks like a verifier but is none.
    #[error("auth_query returned an unusable secret: {0}")]
    Secret(#[source] VerifierFault),
}

/// Collects the result of one `auth_query`.
#[derive(Debug)]
pub struct Lookup {
    user: String,
    found: Found,
}

#[derive(Debug)]
enum Found {
    Nothing,
    Row(Stored),
}

impl Lookup {
    /// Begins with the user that is asked about.
    pub fn new(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            found: Found::Nothing,
        }
    }

    /// Takes the number of columns that rows have, which must be right even where there is no row:
    /// or else a query that serves nobody looks as if it knew nobody.
    pub fn on_columns(self, columns: usize) -> Result<Self, AuthQueryFault> {
        match columns {
            2 => Ok(self),
            _ => Err(AuthQueryFault::Columns { columns }),
        }
    }

    /// Takes one row, in text format.
    pub fn on_row(self, columns: &[Option<&[u8]>]) -> Result<Self, AuthQueryFault> {
        let [user, secret] = columns else {
            let columns = columns.len();
            return Err(AuthQueryFault::Columns { columns });
        };
        if let Found::Row(_) = self.found {
            return Err(AuthQueryFault::Rows);
        }
        let user = user.ok_or(AuthQueryFault::NullUser)?;
        if user != self.user.as_bytes() {
            return Err(AuthQueryFault::OtherUser);
        }
        let stored = match secret {
            None => Stored::Unknown,
            Some(secret) => interpret(secret)?,
        };
        Ok(Self {
            user: self.user,
            found: Found::Row(stored),
        })
    }

    /// The result is complete. No row means that there is no such user.
    pub fn finish(self) -> Stored {
        match self.found {
            Found::Nothing => Stored::Unknown,
            Found::Row(stored) => stored,
        }
    }
}

fn interpret(secret: &[u8]) -> Result<Stored, AuthQueryFault> {
    let text = std::str::from_utf8(secret).map_err(|_| AuthQueryFault::NotText)?;
    match Verifier::parse(text) {
        Ok(verifier) => Ok(Stored::Known(verifier)),
        Err(VerifierFault::Empty) => Ok(Stored::Unknown),
        Err(fault) => Err(AuthQueryFault::Secret(fault)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row<'a> = &'a [Option<&'a [u8]>];

    fn run(rows: &[Row<'_>]) -> Result<Stored, AuthQueryFault> {
        let mut lookup = Lookup::new("alice");
        for row in rows {
            lookup = lookup.on_row(row)?;
        }
        Ok(lookup.finish())
    }

    #[test]
    fn results_mean_what_the_contract_says() {
        let alice = Some(&b"alice"[..]);
        let secret = Some(&b"hunter2"[..]);
        let known: Row<'_> = &[alice, secret];
        assert!(matches!(run(&[]), Ok(Stored::Unknown)));
        for columns in [0, 1, 3] {
            let fault = Lookup::new("alice").on_columns(columns).unwrap_err();
            assert_eq!(fault, AuthQueryFault::Columns { columns });
        }
        assert!(Lookup::new("alice").on_columns(2).is_ok());
        assert!(matches!(
            run(&[known]),
            Ok(Stored::Known(Verifier::Password(_)))
        ));
        assert!(matches!(run(&[&[alice, None]]), Ok(Stored::Unknown)));
        assert!(matches!(run(&[&[alice, Some(b"")]]), Ok(Stored::Unknown)));
        let scram = Some(&b"SCRAM-SHA-256$4096:x"[..]);
        let faults: [(&[Row<'_>], AuthQueryFault); 7] = [
            (&[&[alice]], AuthQueryFault::Columns { columns: 1 }),
            (&[&[]], AuthQueryFault::Columns { columns: 0 }),
            (
                &[&[alice, secret, None]],
                AuthQueryFault::Columns { columns: 3 },
            ),
            (&[&[None, secret]], AuthQueryFault::NullUser),
            (&[&[Some(b"bob"), secret]], AuthQueryFault::OtherUser),
            (&[known, known], AuthQueryFault::Rows),
            (&[&[alice, Some(b"\xff")]], AuthQueryFault::NotText),
        ];
        for (rows, fault) in faults {
            assert_eq!(run(rows).unwrap_err(), fault);
        }
        assert!(matches!(
            run(&[&[alice, scram]]),
            Err(AuthQueryFault::Secret(VerifierFault::Scram(_)))
        ));
    }
}
