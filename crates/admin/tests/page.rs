//! docs/console.md says of each table what its definition says.

#![allow(clippy::unwrap_used, reason = "what a test can't unwrap has failed it")]

#[test]
fn the_page_has_every_table_as_it_is_defined() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/console.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, tables) = page.split_once("--example reference -->\n\n").unwrap();
    assert!(
        tables == admin::reference(),
        "docs/console.md is not what `cargo run -p admin --example reference` prints"
    );
}
