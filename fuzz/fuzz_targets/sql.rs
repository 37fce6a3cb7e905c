//! Tokens, statements and their facts, under any lexing state.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    sql::fuzzing::scan(data);
    sql::fuzzing::plain(data);
    sql::fuzzing::facts(data);
});
