//! Owns the text form of an exchange.
