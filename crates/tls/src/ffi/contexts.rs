//! Owns the `unsafe` calls that contexts need: several certificates with chains of their own,
//! revocation lists, session tickets, times of OCSP.
//!
//! libssl calls back in here for tickets. A panic must not cross into C: callbacks catch it and
//! answer with a failure.

use crate::binding;
use crate::context::{Found, TicketKey, Tickets};
use crate::facts::unix_s;
use foreign_types::ForeignTypeRef;
use openssl::asn1::{Asn1GeneralizedTimeRef, Asn1TimeRef};
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::pkey::{PKeyRef, Private};
use openssl::ssl::{SslContext, SslContextBuilder, SslRef};
use openssl::stack::StackRef;
use openssl::x509::store::X509StoreBuilderRef;
use openssl::x509::{X509, X509CrlRef, X509Ref};
use openssl_sys as sys;
use std::ffi::{c_char, c_int, c_long, c_uchar, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::OnceLock;

type TicketCallback = unsafe extern "C" fn(
    *mut sys::SSL,
    *mut c_uchar,
    *mut c_uchar,
    *mut sys::EVP_CIPHER_CTX,
    *mut sys::EVP_MAC_CTX,
    c_int,
) -> c_int;
type GenerateCallback = unsafe extern "C" fn(*mut sys::SSL, *mut c_void) -> c_int;

unsafe extern "C" {
    /// openssl/ssl.h; SSL_CTX_use_certificate(3)
    fn SSL_CTX_use_cert_and_key(
        context: *mut sys::SSL_CTX,
        certificate: *mut sys::X509,
        key: *mut sys::EVP_PKEY,
        chain: *mut sys::stack_st_X509,
        replace: c_int,
    ) -> c_int;
    /// openssl/x509_vfy.h; X509_STORE_add_cert(3)
    fn X509_STORE_add_crl(store: *mut sys::X509_STORE, list: *mut sys::X509_CRL) -> c_int;
    /// openssl/ssl.h, since 3.0; SSL_CTX_set_tlsext_ticket_key_cb(3)
    fn SSL_CTX_set_tlsext_ticket_key_evp_cb(
        context: *mut sys::SSL_CTX,
        callback: TicketCallback,
    ) -> c_int;
    /// openssl/ssl.h; SSL_CTX_set_session_ticket_cb(3)
    fn SSL_CTX_set_session_ticket_cb(
        context: *mut sys::SSL_CTX,
        generate: GenerateCallback,
        decrypt: *mut c_void,
        argument: *mut c_void,
    ) -> c_int;
    /// openssl/ssl.h; SSL_CTX_set_timeout(3)
    fn SSL_CTX_set_timeout(context: *mut sys::SSL_CTX, seconds: c_long) -> c_long;
    /// openssl/ssl.h; SSL_CTX_set_session_ticket_cb(3)
    fn SSL_SESSION_set1_ticket_appdata(
        session: *mut sys::SSL_SESSION,
        data: *const c_void,
        length: usize,
    ) -> c_int;
    /// openssl/ssl.h; SSL_CTX_set_session_ticket_cb(3)
    fn SSL_SESSION_get0_ticket_appdata(
        session: *mut sys::SSL_SESSION,
        data: *mut *mut c_void,
        length: *mut usize,
    ) -> c_int;
    /// openssl/evp.h, since 3.0; EVP_set_default_properties(3)
    fn EVP_default_properties_is_fips_enabled(library: *mut c_void) -> c_int;
}

fn done(result: c_int) -> Result<(), ErrorStack> {
    match result {
        1 => Ok(()),
        _ => Err(ErrorStack::get()),
    }
}

/// Puts a certificate with its key and its own chain into the slot of the key's type.
pub(crate) fn use_identity(
    builder: &mut SslContextBuilder,
    leaf: &X509Ref,
    key: &PKeyRef<Private>,
    chain: &StackRef<X509>,
) -> Result<(), ErrorStack> {
    // SAFETY: all four are live; libssl takes references of its own, and copies the stack.
    done(unsafe {
        SSL_CTX_use_cert_and_key(
            builder.as_ptr(),
            leaf.as_ptr(),
            key.as_ptr(),
            chain.as_ptr(),
            0,
        )
    })
}

/// Adds a revocation list to a store.
pub(crate) fn add_crl(
    store: &mut X509StoreBuilderRef,
    list: &X509CrlRef,
) -> Result<(), ErrorStack> {
    // SAFETY: both are live; the store takes a reference of its own.
    done(unsafe { X509_STORE_add_crl(store.as_ptr(), list.as_ptr()) })
}

/// Seconds since 1970 of a time in an OCSP response.
pub(crate) fn generalized_unix_s(time: &Asn1GeneralizedTimeRef) -> Option<i64> {
    // SAFETY: ASN1_TIME, ASN1_GENERALIZEDTIME and ASN1_UTCTIME are one C type, asn1_string_st
    // (openssl/types.h), which names its kind; an ASN1_TIME may be a GeneralizedTime. The borrow
    // is that of the argument.
    let time = unsafe { Asn1TimeRef::from_ptr(time.as_ptr().cast()) };
    unix_s(time)
}

/// True if only algorithms of a FIPS provider are used by default.
pub(crate) fn fips_is_on() -> bool {
    // SAFETY: null is the default library context; the function only reads.
    unsafe { EVP_default_properties_is_fips_enabled(ptr::null_mut()) == 1 }
}

/// The place of the keys in a context. Contexts are told apart by what lies there.
fn keys_index() -> Option<Index<SslContext, Tickets>> {
    static INDEX: OnceLock<Option<Index<SslContext, Tickets>>> = OnceLock::new();
    *INDEX.get_or_init(|| SslContext::new_ex_index().ok())
}

/// Makes a context give out tickets that these keys seal. Tickets are off otherwise.
pub(crate) fn use_tickets(
    builder: &mut SslContextBuilder,
    tickets: &Tickets,
) -> Result<(), ErrorStack> {
    let index = keys_index().ok_or_else(ErrorStack::get)?;
    builder.set_ex_data(index, tickets.clone());
    let seconds = c_long::try_from(tickets.period().as_secs()).unwrap_or(c_long::MAX);
    // SAFETY: the context is live. Both callbacks have the signatures that openssl/ssl.h asks for,
    // keep no pointer, and live as long as the program. No callback for opened tickets: libssl's
    // own handling is wanted.
    unsafe {
        SSL_CTX_set_timeout(builder.as_ptr(), seconds);
        done(SSL_CTX_set_tlsext_ticket_key_evp_cb(
            builder.as_ptr(),
            ticket_key,
        ))?;
        done(SSL_CTX_set_session_ticket_cb(
            builder.as_ptr(),
            remember_end_point,
            ptr::null_mut(),
            ptr::null_mut(),
        ))
    }
}

/// The channel binding data that a resumed session's ticket remembers; `None` if its certificate
/// has none.
pub(crate) fn remembered_end_point(ssl: &SslRef) -> Option<Vec<u8>> {
    let mut data: *mut c_void = ptr::null_mut();
    let mut length = 0;
    // SAFETY: the SSL is live, and the session, if there is one, is its own; SSL_get_session(3)
    // takes no reference. The data belong to the session and are copied at once.
    unsafe {
        let session = sys::SSL_get_session(ssl.as_ptr());
        if session.is_null()
            || SSL_SESSION_get0_ticket_appdata(session, &mut data, &mut length) != 1
            || data.is_null()
            || length == 0
        {
            return None;
        }
        Some(std::slice::from_raw_parts(data.cast::<u8>(), length).to_vec())
    }
}

/// Called before a ticket is sealed: puts the channel binding data of this handshake's certificate
/// into the session. When it is resumed, SSL_get_certificate(3) may be another one: the listener
/// has several, or a new one.
unsafe extern "C" fn remember_end_point(ssl: *mut sys::SSL, _: *mut c_void) -> c_int {
    let remember = || {
        // SAFETY: libssl calls with the live SSL of the connection, which nobody else uses now.
        let ssl = unsafe { SslRef::from_ptr(ssl) };
        if ssl.session_reused() {
            return true;
        }
        let Some(end_point) = binding::own_end_point(ssl) else {
            return true;
        };
        // SAFETY: the session is the live SSL's own; the data are copied.
        unsafe {
            let session = sys::SSL_get_session(ssl.as_ptr());
            !session.is_null()
                && SSL_SESSION_set1_ticket_appdata(
                    session,
                    end_point.as_ptr().cast(),
                    end_point.len(),
                ) == 1
        }
    };
    c_int::from(catch_unwind(AssertUnwindSafe(remember)).unwrap_or(false))
}

/// Answers of the callback (SSL_CTX_set_tlsext_ticket_key_cb(3)).
const FAILED: c_int = -1;
const UNKNOWN_KEY: c_int = 0;
const USE: c_int = 1;
const USE_AND_RENEW: c_int = 2;

/// Called to seal (`sealing` is 1) or open a ticket: `name` has 16 bytes, `iv` EVP_MAX_IV_LENGTH,
/// which is 16, too.
unsafe extern "C" fn ticket_key(
    ssl: *mut sys::SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut sys::EVP_CIPHER_CTX,
    mac: *mut sys::EVP_MAC_CTX,
    sealing: c_int,
) -> c_int {
    let answer = || {
        // SAFETY: libssl calls with the live SSL of the connection, and with buffers of the
        // lengths above that nobody else uses now. Both contexts are live and fresh.
        unsafe {
            let ssl = SslRef::from_ptr(ssl);
            let name = std::slice::from_raw_parts_mut(name, 16);
            let iv = std::slice::from_raw_parts_mut(iv, 16);
            let index = keys_index();
            let Some(tickets) = index.and_then(|index| ssl.ssl_context().ex_data(index)) else {
                return FAILED;
            };
            if sealing == 1 {
                let Some(key) = tickets.to_seal().filter(|_| tickets.random(iv)) else {
                    return FAILED;
                };
                name.copy_from_slice(key.name());
                let begun = sys::EVP_EncryptInit_ex(
                    cipher,
                    sys::EVP_aes_256_cbc(),
                    ptr::null_mut(),
                    key.cipher().as_ptr(),
                    iv.as_ptr(),
                );
                return match begun == 1 && authenticate(mac, &key) {
                    true => USE,
                    false => FAILED,
                };
            }
            let (key, answer) = match tickets.to_open(name) {
                Some(Found::Current(key)) => (key, USE),
                Some(Found::Previous(key)) => (key, USE_AND_RENEW),
                None => return UNKNOWN_KEY,
            };
            let begun = sys::EVP_DecryptInit_ex(
                cipher,
                sys::EVP_aes_256_cbc(),
                ptr::null_mut(),
                key.cipher().as_ptr(),
                iv.as_ptr(),
            );
            match begun == 1 && authenticate(mac, &key) {
                true => answer,
                false => FAILED,
            }
        }
    };
    catch_unwind(AssertUnwindSafe(answer)).unwrap_or(FAILED)
}

/// Sets key and hash of the HMAC.
///
/// # Safety
/// `mac` is a live HMAC context.
unsafe fn authenticate(mac: *mut sys::EVP_MAC_CTX, key: &TicketKey) -> bool {
    /// OSSL_PARAM_UTF8_STRING, OSSL_PARAM_OCTET_STRING (openssl/core.h)
    const UTF8_STRING: u32 = 4;
    const OCTET_STRING: u32 = 5;
    const HASH: &[u8] = b"SHA256\0";
    let parameter = |name: *const c_char, data_type, data: &[u8]| sys::OSSL_PARAM {
        key: name,
        data_type,
        data: data.as_ptr().cast_mut().cast(),
        data_size: data.len(),
        return_size: usize::MAX,
    };
    let parameters = [
        // OSSL_MAC_PARAM_KEY, OSSL_MAC_PARAM_DIGEST (openssl/core_names.h)
        parameter(c"key".as_ptr(), OCTET_STRING, key.mac()),
        parameter(c"digest".as_ptr(), UTF8_STRING, &HASH[..HASH.len() - 1]),
        sys::OSSL_PARAM {
            key: ptr::null(),
            data_type: 0,
            data: ptr::null_mut(),
            data_size: 0,
            return_size: 0,
        },
    ];
    // SAFETY: the array ends with an empty parameter, as OSSL_PARAM(3) demands; its texts and data
    // outlive the call, which only reads and copies them. The context is the caller's promise.
    unsafe { sys::EVP_MAC_CTX_set_params(mac, parameters.as_ptr()) == 1 }
}

/// Asks for a stapled OCSP response, as a careful client would.
#[cfg(test)]
pub(crate) fn ask_for_staple(ssl: &SslRef) -> bool {
    let (ask, ocsp) = (
        sys::SSL_CTRL_SET_TLSEXT_STATUS_REQ_TYPE,
        sys::TLSEXT_STATUSTYPE_ocsp,
    );
    // SAFETY: the SSL is live; this control takes a number and no pointer.
    let asked = unsafe { sys::SSL_ctrl(ssl.as_ptr(), ask, ocsp.into(), ptr::null_mut()) };
    asked == 1
}

/// Offers a session to resume, as a client that keeps sessions would.
#[cfg(test)]
pub(crate) fn offer(ssl: &SslRef, session: &openssl::ssl::SslSessionRef) -> bool {
    // SAFETY: both are live and of this program's libssl; the SSL takes a reference of its own.
    unsafe { sys::SSL_set_session(ssl.as_ptr(), session.as_ptr()) == 1 }
}
