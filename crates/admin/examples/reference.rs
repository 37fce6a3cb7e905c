//! Prints the tables of the console as docs/console.md has them, to be put between its markers.

fn main() {
    print!("{}", admin::reference());
}
