//! Owns `portcullis pages`: manual pages and completions, made from the command line's own
//! definition and from the table of settings.

use crate::cli::{self, PagesOptions};
use crate::fault::Fault;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use config::{Fallback, Occurs, SECTIONS, Section, Setting};
use std::io;
use std::path::Path;

/// Writes everything.
pub(crate) fn run(options: &PagesOptions) -> Result<(), Vec<Fault>> {
    write(&options.directory).map_err(|error| {
        vec![Fault::Unwritable {
            path: options.directory.clone(),
            kind: error.kind(),
        }]
    })
}

fn write(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    // The version names the OpenSSL of the machine that runs it, which is not the reader's.
    let command = cli::command().version(env!("CARGO_PKG_VERSION"));
    clap_mangen::generate_to(command.clone(), directory)?;
    std::fs::write(directory.join("portcullis.toml.5"), settings()?)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command.clone(), "portcullis", directory)?;
    }
    Ok(())
}

/// portcullis.toml(5).
fn settings() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let title = Man::new(cli::command().version(env!("CARGO_PKG_VERSION")))
        .title("portcullis.toml")
        .section("5");
    title.render_title(&mut page)?;
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([roman("portcullis.toml - configuration of portcullis(1)")]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(
        "One TOML file. An unknown key is an error, and all errors are reported at once. Relative \
         paths start at the directory of the file. Durations are seconds, or a number with its \
         unit: \"500ms\", \"10s\", \"5min\", \"1h\", \"1d\". A setting with PgBouncer's meaning has \
         PgBouncer's name and default; the modes of TLS are safer.",
    )]);
    for section in SECTIONS {
        section_page(&mut roff, section);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("portcullis-check"),
        roman("(1) finds every mistake, "),
        bold("portcullis-init"),
        roman("(1) writes a file to begin with."),
    ]);
    roff.to_writer(&mut page)?;
    Ok(page)
}

fn section_page(roff: &mut Roff, section: &Section) {
    let header = match section.occurs {
        Occurs::Once => format!("[{}]", section.path),
        Occurs::AtLeastOnce | Occurs::AnyTimes => format!("[[{}]]", section.path),
    };
    roff.control("SH", [header.as_str()]);
    roff.text([roman(joined(section.text))]);
    for setting in section.settings {
        setting_page(roff, setting);
    }
}

fn setting_page(roff: &mut Roff, setting: &Setting) {
    roff.control("TP", []);
    roff.text([bold(setting.name), roman(" = "), italic(setting.kind.name)]);
    roff.text([roman(joined(setting.text))]);
    let default = match setting.fallback {
        Fallback::Required => "It must be written.".to_owned(),
        Fallback::Unset(meaning) => format!("Default: {meaning}."),
        Fallback::Value(value) => format!("Default: {value}."),
    };
    roff.text([roman(default)]);
    for word in setting.kind.words {
        roff.control("RS", []);
        roff.control("TP", []);
        roff.text([bold(format!("\"{}\"", word.word))]);
        roff.text([roman(joined(word.meaning))]);
        roff.control("RE", []);
    }
}

/// A text of docstring lines as one line, in characters that every roff has.
fn joined(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").replace('…', "...")
}
