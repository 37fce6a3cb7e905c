//! Settings of the console.

use config::{Admin, Config};

fn read(text: &str) -> Result<Option<Admin>, String> {
    let least = "[listen.tls]\ncertificate = \"s.crt\"\nprivate_key = \"s.key\"\n\
         [auth]\nauth_file = \"users.txt\"\n[[database]]\nname = \"app\"\nhost = \"h\"\n";
    match Config::from_text(&format!("{least}{text}"), "p.toml") {
        Ok((config, _)) => Ok(config.admin),
        Err(invalid) => Err(invalid.errors.iter().map(|it| format!("{it}\n")).collect()),
    }
}

#[test]
fn there_is_a_console_that_nobody_may_use_yet() {
    assert_eq!(read(""), Ok(Some(Admin::default())));
}

#[test]
fn users_of_the_console_are_named() {
    let expected = Admin {
        admin_users: vec!["postgres".to_owned()],
        stats_users: vec!["a b".to_owned(), "c".to_owned()],
    };
    let text = "[admin]\nadmin_users = \"postgres\"\nstats_users = [\"a b\", \"c\"]\n";
    assert_eq!(read(text), Ok(Some(expected)));
}

#[test]
fn no_console_has_no_users() {
    assert_eq!(read("[admin]\nconsole = false\n"), Ok(None));
    assert_eq!(
        read("[admin]\nconsole = false\nstats_users = \"c\"\n"),
        Err(
            "p.toml:11:15: admin.stats_users: console = false leaves these users no console; \
             remove them, or write true\n"
                .to_owned()
        )
    );
    assert_eq!(
        read("[admin]\nadmin_users = [\"\"]\n"),
        Err(
            "p.toml:10:16: admin.admin_users: this is out of bounds; allowed is 1 to 128 bytes\n"
                .to_owned()
        )
    );
}
