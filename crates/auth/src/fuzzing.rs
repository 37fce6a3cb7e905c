//! Owns the entry points of fuzzing: plain functions over arbitrary bytes that must never panic,
//! and must never end in success, since no input knows the password.
