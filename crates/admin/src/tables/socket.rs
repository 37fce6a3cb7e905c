//! Owns the rows of clients and servers: `SHOW CLIENTS`, `SERVERS`, `SOCKETS`, `ACTIVE_SOCKETS`.

use super::define::row;
use crate::datum::Moment;

row! {
    /// A client, or a connection to a server.
    Socket {
        /// `C` for a client, `S` for a server.
        kind "type": &'static str,
        /// The user, as the client named it.
        user: String,
        /// The database, as clients name it.
        database: String,
        /// `none`, `logical` or `physical`.
        replication: &'static str,
        /// Clients: `active` (a server connection is lent), `waiting` (for one) or `idle`. Servers: `active` (lent), `idle`, `used` (idle for so long that it is tested before it is lent), `tested` (or being reset) or `being_canceled` (kept until a cancel request has arrived).
        state: &'static str,
        /// The peer's address; `unix` for a Unix-domain socket.
        addr: String,
        /// The peer's port.
        port: u32,
        /// Our own address.
        local_addr: String,
        /// Our own port.
        local_port: u32,
        /// When it was connected.
        connect_time: Moment,
        /// When it last asked for something.
        request_time: Moment,
        /// Seconds for which a client waits now.
        wait: u32,
        /// The same: microseconds of the last second.
        wait_us: u32,
        /// 1 if it is closed as soon as nobody uses it: after RECONNECT, RELOAD or at the end of its life.
        close_needed: bool,
        /// Identifies the connection; what `link` of the other side says.
        ptr: String,
        /// The `ptr` of the server connection that a client has, or of the client that has a server connection; empty if there is none.
        link: String,
        /// Process id: of the client over a Unix-domain socket, of the server process; 0 if unknown.
        remote_pid: u32,
        /// TLS version and cipher suite; empty without TLS.
        tls: String,
        /// What the client called itself.
        application_name: String,
        /// Prepared statements that are kept.
        prepared_statements: u32,
        /// Number for KILL_CLIENT and CANCEL_CLIENT.
        id: u64,
    }
}

row! {
    /// A connection with its buffers.
    Wire {
        ..socket: Socket,
        /// Bytes in the buffer of what was received.
        recv_pos: u32,
        /// Bytes of them that were looked at.
        pkt_pos: u32,
        /// Bytes of the present message that are to come.
        pkt_remain: u32,
        /// Bytes that were sent.
        send_pos: u32,
        /// Always 0, as in PgBouncer.
        send_remain: u32,
        /// Bytes that wait to be looked at.
        pkt_avail: u32,
        /// Bytes that wait to be sent.
        send_avail: u32,
    }
}
