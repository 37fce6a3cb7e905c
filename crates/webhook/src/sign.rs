//! Owns the signature that shows a receiver who an event is from, and when it was sent.

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use std::fmt::Write as _;

/// The header that it stands in.
pub const SIGNATURE: &str = "portcullis-signature";

/// `t=TIME,v1=HEX`: HMAC-SHA-256 (RFC 2104) with the secret over the time, a dot and the body. `at_s` is in seconds
/// since 1970; whoever verifies it refuses what is old, so that nothing recorded can be sent again.
pub fn signature(secret: &[u8], at_s: u64, body: &[u8]) -> Result<String, ErrorStack> {
    let key = PKey::hmac(secret)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    signer.update(format!("{at_s}.").as_bytes())?;
    signer.update(body)?;
    let mut text = format!("t={at_s},v1=");
    for byte in signer.sign_to_vec()? {
        // Writing to a String doesn't fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_hmac_over_time_and_body() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 'a secret of enough bytes'
        let found = signature(b"a secret of enough bytes", 1_700_000_000, b"{\"a\":1}").unwrap();
        assert_eq!(
            found,
            "t=1700000000,v1=8d2d377de07a9ad78ddc6fb9d8e41c860479759a043508bcc5b56bb3f174fcf5"
        );
        let other = signature(b"another secret", 1_700_000_000, b"{\"a\":1}").unwrap();
        assert_ne!(found, other);
    }
}
