//! Owns the counters of clients on their way in.

use crate::counter::counters;

counters! {
    /// Clients on their way in.
    Admission = "admission" {
        /// Logins that had to wait for a place (max_concurrent_logins).
        waited,
        /// Places given on because their client kept silent in mid-login.
        places_lost,
        /// Clients refused because too many of their address had not logged in yet (max_pending_logins_per_address).
        refused_pending,
        /// Clients refused because too many came from their address in a short time (login_rate).
        refused_login_rate,
        /// Logins refused because too many from their address had failed (failed_login_rate).
        refused_failing_address,
        /// Logins refused because too many for their user had failed (failed_login_rate).
        refused_failing_user,
        /// Clients refused for their PROXY protocol header, or the lack of one.
        refused_proxy_header,
        /// Clients whose address a trusted PROXY protocol header told.
        proxied,
        /// Logins of clients that failed to prove who they are.
        logins_failed,
        /// Logins refused because what auth_query returned cannot be used.
        look_ups_unusable,
        /// Passwords turned into keys (PBKDF2), for logins of clients and at servers.
        derivations,
        /// Derivations saved because the keys were kept.
        derivations_saved,
    }
}
