//! Prepared statements of clients that share server connections: what each client sees is what it
//! would see with a server connection of its own.

mod batches;
mod hostile;
mod model;
mod scripts;
mod shared;
mod sizes;
