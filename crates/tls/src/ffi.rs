//! Owns the few libssl and libcrypto functions that the `openssl` crate does not wrap.
//!
//! Takes and gives safe types. Each function here is one call with its arguments checked by the
//! type system, and says why the call is sound.
#![allow(unsafe_code)]

pub(crate) mod contexts;

use crate::bio::Lent;
use crate::profile::option::CLEANSE_PLAINTEXT;
use foreign_types::ForeignTypeRef;
use openssl::nid::Nid;
use openssl::ssl::{SslRef, SslStream};
use openssl::x509::{X509NameRef, X509Ref};
use openssl_sys as sys;
use std::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

unsafe extern "C" {
    /// openssl/ssl.h; SSL_key_update(3)
    fn SSL_key_update(ssl: *mut sys::SSL, kind: c_int) -> c_int;
    /// openssl/ssl.h; SSL_key_update(3)
    fn SSL_get_key_update_type(ssl: *const sys::SSL) -> c_int;
    /// openssl/ssl.h, since 3.0; SSL_get_negotiated_group(3)
    fn SSL_group_to_name(ssl: *mut sys::SSL, id: c_int) -> *const c_char;
    /// openssl/ssl.h; SSL_get_cipher_list(3)
    fn SSL_get_cipher_list(ssl: *const sys::SSL, at: c_int) -> *const c_char;
    /// openssl/x509v3.h, since 1.1.1; X509_get_signature_info(3)
    fn X509_get_signature_info(
        certificate: *mut sys::X509,
        digest: *mut c_int,
        key: *mut c_int,
        bits: *mut c_int,
        flags: *mut u32,
    ) -> c_int;
    /// openssl/x509.h; X509_NAME_print_ex(3)
    fn X509_NAME_print_ex(
        out: *mut sys::BIO,
        name: *const sys::X509_NAME,
        indent: c_int,
        flags: c_ulong,
    ) -> c_int;
    /// openssl/x509.h; X509_get_default_cert_file(3)
    fn X509_get_default_cert_file() -> *const c_char;
    /// openssl/x509.h
    fn X509_get_default_cert_dir() -> *const c_char;
    /// openssl/ssl.h; SSL_CTX_set_options(3)
    fn SSL_set_options(ssl: *mut sys::SSL, options: u64) -> u64;
    /// openssl/ssl.h; SSL_CTX_set_options(3)
    fn SSL_clear_options(ssl: *mut sys::SSL, options: u64) -> u64;
    /// openssl/ssl.h; SSL_CTX_set_msg_callback(3)
    fn SSL_set_msg_callback(ssl: *mut sys::SSL, callback: Option<MessageCallback>);
    /// openssl/ssl.h; SSL_key_update(3)
    fn SSL_renegotiate_pending(ssl: *const sys::SSL) -> c_int;
    /// openssl/ssl.h; SSL_renegotiate(3)
    #[cfg(test)]
    fn SSL_renegotiate(ssl: *mut sys::SSL) -> c_int;
}

/// See SSL_CTX_set_msg_callback(3): direction, version, content type, message, its length, the
/// connection, the argument.
type MessageCallback =
    unsafe extern "C" fn(c_int, c_int, c_int, *const c_void, usize, *mut sys::SSL, *mut c_void);

/// SSL_OP_NO_RENEGOTIATION and SSL_OP_ALLOW_CLIENT_RENEGOTIATION (openssl/ssl.h)
const OP_NO_RENEGOTIATION: u64 = 1 << 30;
const OP_ALLOW_CLIENT_RENEGOTIATION: u64 = 1 << 8;
/// SSL_CTRL_SET_MSG_CALLBACK_ARG (openssl/ssl.h)
const CTRL_MSG_CALLBACK_ARG: c_int = 16;
/// Handshake records, and the message in them (RFC 8446 section 4).
const CONTENT_HANDSHAKE: c_int = 22;
const MESSAGE_KEY_UPDATE: u8 = 24;
/// SSL_CTRL_MODE and SSL_CTRL_CLEAR_MODE (openssl/ssl.h)
const CTRL_MODE: c_int = 33;
const CTRL_CLEAR_MODE: c_int = 78;
/// SSL_CTRL_GET_NEGOTIATED_GROUP (openssl/ssl.h)
const CTRL_NEGOTIATED_GROUP: c_int = 134;
/// SSL_MODE_AUTO_RETRY and SSL_MODE_RELEASE_BUFFERS (openssl/ssl.h)
const MODE_AUTO_RETRY: c_long = 0x4;
const MODE_RELEASE_BUFFERS: c_long = 0x10;
/// XN_FLAG_RFC2253 (openssl/x509.h): what PostgreSQL uses for the DN of a client certificate
const NAME_RFC2253: c_ulong = 0x0111_0317;

/// Which KeyUpdate is to be sent (RFC 8446 section 4.6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyUpdate {
    /// Ours only.
    NotRequested = 0,
    /// And the peer is to follow.
    Requested = 1,
}

/// Makes the thread's OpenSSL error queue empty, if it isn't: looking costs a tenth of clearing.
#[inline]
pub(crate) fn forget_errors() {
    // SAFETY: both functions take nothing and touch only the calling thread's queue.
    unsafe {
        if sys::ERR_peek_last_error() != 0 {
            sys::ERR_clear_error();
        }
    }
}

/// True if the last call stopped because the input ended, and for no other reason. Unlike
/// SSL_get_error this doesn't look at the thread's error queue, where another connection may have
/// left something.
#[inline]
pub(crate) fn waits_for_input(ssl: &SslRef) -> bool {
    /// SSL_READING (openssl/ssl.h)
    const READING: c_int = 3;
    unsafe extern "C" {
        fn SSL_want(ssl: *const sys::SSL) -> c_int;
    }
    // SAFETY: the pointer is of a live SSL, which is only read.
    unsafe { SSL_want(ssl.as_ptr()) == READING }
}

fn control(ssl: &SslRef, command: c_int, argument: c_long) -> c_long {
    // SAFETY: the pointer is of a live SSL, and the commands used in this file take a number and
    // no pointer. They change flags of this SSL only, which `openssl` does not cache.
    unsafe { sys::SSL_ctrl(ssl.as_ptr(), command, argument, ptr::null_mut()) }
}

/// Makes SSL_read return after each record that is not application data (SSL_MODE_AUTO_RETRY off).
pub(crate) fn one_record_per_read(ssl: &SslRef) {
    control(ssl, CTRL_CLEAR_MODE, MODE_AUTO_RETRY);
}

/// Whether libssl frees its record buffers whenever they are empty.
pub(crate) fn release_buffers(ssl: &SslRef, release: bool) {
    if release {
        control(ssl, CTRL_MODE, MODE_RELEASE_BUFFERS);
    } else {
        control(ssl, CTRL_CLEAR_MODE, MODE_RELEASE_BUFFERS);
        // Since 3.2 clearing does not reach the record layer, but setting nothing passes the
        // whole mode on.
        control(ssl, CTRL_MODE, 0);
    }
}

/// Overwrites the record that SSL_read has just delivered the last data of.
#[inline]
pub(crate) fn wipe_delivered(stream: &mut SslStream<Lent>) {
    // SAFETY: libssl keeps its read buffer between calls (SSL_MODE_RELEASE_BUFFERS is off, see `release_buffers`), and
    // stops at a record with data, so that this one is the last that it was given.
    unsafe { stream.get_mut().last.overwrite() };
}

/// Whether libssl overwrites what it decrypted: each record as it is delivered, and the whole read buffer
/// before it is freed.
pub(crate) fn cleanse_plaintext(ssl: &SslRef, cleanse: bool) {
    // SAFETY: the SSL is live; both take and give numbers, and `openssl` does not cache them.
    unsafe {
        match cleanse {
            true => SSL_set_options(ssl.as_ptr(), CLEANSE_PLAINTEXT),
            false => SSL_clear_options(ssl.as_ptr(), CLEANSE_PLAINTEXT),
        };
    }
}

/// A zero-length SSL_write sends nothing, but lets libssl release its write buffer in
/// SSL_MODE_RELEASE_BUFFERS.
pub(crate) fn touch_write_buffer(ssl: &SslRef) {
    // SAFETY: the SSL is live; with length 0 nothing is read from the pointer, which points to a
    // valid byte all the same.
    unsafe { sys::SSL_write(ssl.as_ptr(), [0u8].as_ptr().cast::<c_void>(), 0) };
}

/// Schedules a KeyUpdate; the next write or handshake call sends it. False in TLS 1.2.
pub(crate) fn key_update(ssl: &SslRef, kind: KeyUpdate) -> bool {
    // SAFETY: the pointer is of a live SSL.
    unsafe { SSL_key_update(ssl.as_ptr(), kind as c_int) == 1 }
}

/// True while a KeyUpdate is to be sent: ours, or the answer to the peer's.
pub(crate) fn key_update_is_due(ssl: &SslRef) -> bool {
    // SAFETY: the pointer is of a live SSL; the function only reads.
    unsafe { SSL_get_key_update_type(ssl.as_ptr()) >= 0 }
}

/// Where libssl tells that a KeyUpdate of the peer came.
#[derive(Debug, Default)]
pub(crate) struct Awaited(AtomicBool);

impl Awaited {
    /// True if one has come.
    pub(crate) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Has libssl tell of KeyUpdates that come, or no more. It costs a call per record, so it is asked
/// for only while one is awaited. The caller keeps `awaited` until it has said `None`, or dropped
/// the connection.
pub(crate) fn watch_key_updates(ssl: &SslRef, awaited: Option<&Awaited>) {
    let argument = awaited.map_or(ptr::null(), ptr::from_ref::<Awaited>);
    let callback: Option<MessageCallback> = awaited.map(|_| note_key_update as MessageCallback);
    // SAFETY: the SSL is live. The argument points into a box that outlives its use by the caller's
    // promise: it is dropped after this function was called with `None`, or with the connection,
    // which makes no calls any more. The callback reads it as what it is, and only shares it.
    unsafe {
        let argument = argument.cast_mut().cast::<c_void>();
        sys::SSL_ctrl(ssl.as_ptr(), CTRL_MSG_CALLBACK_ARG, 0, argument);
        SSL_set_msg_callback(ssl.as_ptr(), callback);
    }
}

/// # Safety
/// Called by libssl with the argument of [`watch_key_updates`].
unsafe extern "C" fn note_key_update(
    written: c_int,
    _version: c_int,
    content: c_int,
    message: *const c_void,
    len: usize,
    _ssl: *mut sys::SSL,
    awaited: *mut c_void,
) {
    if written != 0 || content != CONTENT_HANDSHAKE || len == 0 || awaited.is_null() {
        return;
    }
    // SAFETY: libssl gives `len` readable bytes, of which there is one at least; the argument is a
    // live `Awaited`, which is shared and atomic.
    unsafe {
        if *message.cast::<u8>() == MESSAGE_KEY_UPDATE {
            (*awaited.cast::<Awaited>())
                .0
                .store(true, Ordering::Relaxed);
        }
    }
}

/// Lets the peer of this connection renegotiate, in both roles (TLS 1.2).
pub(crate) fn allow_renegotiation(ssl: &SslRef) {
    // SAFETY: the SSL is live; both functions take numbers and change flags of this SSL only.
    unsafe {
        SSL_clear_options(ssl.as_ptr(), OP_NO_RENEGOTIATION);
        SSL_set_options(ssl.as_ptr(), OP_ALLOW_CLIENT_RENEGOTIATION);
    }
}

/// True from the peer's HelloRequest, or our own request, to the end of the renegotiation.
pub(crate) fn renegotiation_is_pending(ssl: &SslRef) -> bool {
    // SAFETY: the pointer is of a live SSL, which is only read.
    unsafe { SSL_renegotiate_pending(ssl.as_ptr()) != 0 }
}

/// The name of the key exchange group, as libssl spells it.
pub(crate) fn group(ssl: &SslRef) -> Option<String> {
    let id = control(ssl, CTRL_NEGOTIATED_GROUP, 0);
    if id <= 0 {
        return None;
    }
    // SAFETY: the SSL is live; the result is null or a constant NUL-terminated text of libssl's
    // tables, copied at once.
    unsafe {
        let name = SSL_group_to_name(ssl.as_ptr(), c_int::try_from(id).ok()?);
        text(name)
    }
}

/// The suites that this connection would offer or accept, in order.
pub(crate) fn ciphers(ssl: &SslRef) -> Vec<String> {
    let mut names = Vec::new();
    for at in 0.. {
        // SAFETY: the SSL is live; the result is null past the last suite, else a constant
        // NUL-terminated text.
        match unsafe { text(SSL_get_cipher_list(ssl.as_ptr(), at)) } {
            Some(name) => names.push(name),
            None => break,
        }
    }
    names
}

/// The hash that a certificate's signature is made with; `None` if the algorithm has none.
pub(crate) fn signature_digest(certificate: &X509Ref) -> Option<Nid> {
    let mut digest: c_int = 0;
    // SAFETY: the certificate is live; null is allowed for results that are not wanted.
    let found = unsafe {
        X509_get_signature_info(
            certificate.as_ptr(),
            &mut digest,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    (found == 1 && digest != 0).then(|| Nid::from_raw(digest))
}

/// The name in the form of RFC 2253/4514, with everything but printable ASCII escaped.
pub(crate) fn name_text(name: &X509NameRef) -> String {
    // SAFETY: the memory BIO is created, read and freed here; the name is live and only read. The
    // data pointer stays valid until the BIO is freed, after the copy.
    unsafe {
        let memory = sys::BIO_new(sys::BIO_s_mem());
        if memory.is_null() {
            return String::new();
        }
        let mut written = String::new();
        if X509_NAME_print_ex(memory, name.as_ptr(), 0, NAME_RFC2253) >= 0 {
            let mut start: *mut c_char = ptr::null_mut();
            let length = sys::BIO_get_mem_data(memory, &mut start);
            if let (Ok(length), false) = (usize::try_from(length), start.is_null()) {
                let bytes = std::slice::from_raw_parts(start.cast::<u8>(), length);
                written = String::from_utf8_lossy(bytes).into_owned();
            }
        }
        sys::BIO_free_all(memory);
        written
    }
}

/// OpenSSL's default file and directory of certificate authorities.
pub(crate) fn default_roots() -> (String, String) {
    // SAFETY: both return constant NUL-terminated texts.
    unsafe {
        (
            text(X509_get_default_cert_file()).unwrap_or_default(),
            text(X509_get_default_cert_dir()).unwrap_or_default(),
        )
    }
}

/// # Safety
/// `pointer` is null or a NUL-terminated text that lives during the call.
unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not null, and the rest is the caller's promise.
    let text = unsafe { CStr::from_ptr(pointer) };
    Some(text.to_string_lossy().into_owned())
}

/// Gives free memory of the C heap back to the system, holes between live blocks included.
#[cfg(target_env = "gnu")]
pub(crate) fn trim_heap() {
    unsafe extern "C" {
        fn malloc_trim(pad: usize) -> c_int;
    }
    // SAFETY: malloc_trim(3) takes a number, may be called from any thread, and touches only memory
    // that nobody has.
    unsafe {
        malloc_trim(0);
    }
}

/// Starts a renegotiation (TLS 1.2), as a misbehaving peer would.
#[cfg(test)]
pub(crate) fn renegotiate(ssl: &SslRef) -> bool {
    // SAFETY: the pointer is of a live SSL.
    unsafe { SSL_renegotiate(ssl.as_ptr()) == 1 }
}

/// Gives the connection another certificate, as a misbehaving peer would.
#[cfg(test)]
pub(crate) fn show(
    ssl: &SslRef,
    certificate: &X509Ref,
    key: &openssl::pkey::PKeyRef<openssl::pkey::Private>,
) {
    // SAFETY: the SSL is live and no call on it is under way: the test holds it alone.
    let ssl = unsafe { SslRef::from_ptr_mut(ssl.as_ptr()) };
    ssl.set_certificate(certificate).expect("a certificate");
    ssl.set_private_key(key).expect("its key");
}
