//! TLS 1.3 records made by hand, for what no library sends: records without data, warning alerts. libssl
//! makes the handshake, and its key log gives the secret from which the records' keys follow
//! (RFC 8446 sections 5.2, 5.3 and 7.3).

use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::ssl::{SslContextBuilder, SslVersion};
use openssl::symm::{Cipher, encrypt_aead};

/// Content type of data.
pub const APPLICATION_DATA: u8 = 23;
/// Content type of alerts.
pub const ALERT: u8 = 21;
/// A warning that changes nothing (RFC 8446 section 6.1).
pub const USER_CANCELED: [u8; 2] = [1, 90];

const TAG_BYTES: usize = 16;

/// Where libssl tells the secret of a client's records.
#[derive(Debug, Clone, Default)]
pub struct ClientSecret(Arc<Mutex<Vec<u8>>>);

impl ClientSecret {
    /// Has connections of this context speak TLS 1.3 with AES-128-GCM, and tell their secret.
    pub fn of(context: &mut SslContextBuilder) -> Result<Self, ErrorStack> {
        context.set_min_proto_version(Some(SslVersion::TLS1_3))?;
        context.set_ciphersuites("TLS_AES_128_GCM_SHA256")?;
        let secret = Self::default();
        let told = secret.clone();
        context.set_keylog_callback(move |_, line| {
            let mut words = line.split(' ');
            if words.next() == Some("CLIENT_TRAFFIC_SECRET_0") {
                *told.0.lock().unwrap_or_else(PoisonError::into_inner) =
                    bytes(words.nth(1).unwrap_or_default());
            }
        });
        Ok(secret)
    }

    /// What protects the client's records from here on, of which libssl has written so many.
    pub fn after(&self, written: u64) -> Result<Protection, ErrorStack> {
        let secret = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Protection {
            key: expand(&secret, "key", 16)?,
            iv: expand(&secret, "iv", 12)?,
            next: written,
        })
    }
}

/// Makes a client's records.
#[derive(Debug)]
pub struct Protection {
    key: Vec<u8>,
    iv: Vec<u8>,
    next: u64,
}

impl Protection {
    /// The next record.
    pub fn record(&mut self, content_type: u8, content: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let inner = [content, &[content_type]].concat();
        let len = u16::try_from(inner.len() + TAG_BYTES).expect("a short record");
        let mut record = vec![APPLICATION_DATA, 3, 3];
        record.extend(len.to_be_bytes());
        let mut nonce = self.iv.clone();
        for (byte, number) in nonce[4..].iter_mut().zip(self.next.to_be_bytes()) {
            *byte ^= number;
        }
        self.next += 1;
        let mut tag = [0; TAG_BYTES];
        let cipher = Cipher::aes_128_gcm();
        let sealed = encrypt_aead(cipher, &self.key, Some(&nonce), &record, &inner, &mut tag)?;
        record.extend(sealed);
        record.extend(tag);
        Ok(record)
    }
}

/// HKDF-Expand-Label with an empty context, for no more than one block.
fn expand(secret: &[u8], label: &str, len: u8) -> Result<Vec<u8>, ErrorStack> {
    let label = format!("tls13 {label}");
    let mut info = vec![0, len, u8::try_from(label.len()).expect("a short label")];
    info.extend(label.as_bytes());
    info.extend([0, 1]);
    let key = PKey::hmac(secret)?;
    let mut block = Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(&info)?;
    block.truncate(usize::from(len));
    Ok(block)
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.filter_map(byte).collect()
}
