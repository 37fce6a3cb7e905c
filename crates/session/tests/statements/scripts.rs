//! Exchanges as tables: what the server sees and what the client reads.
