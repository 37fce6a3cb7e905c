//! Bytes of the few messages that scripts send often, written down by the manual
//! ("Message Formats") and not by the proxy's own codec, which they test.

/// SSLRequest: length 8, code 80877103.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// GSSENCRequest: length 8, code 80877104.
pub const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];

/// AuthenticationOk.
pub const AUTHENTICATION_OK: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];

/// ReadyForQuery, idle.
pub const READY: [u8; 6] = [b'Z', 0, 0, 0, 5, b'I'];

/// Sync.
pub const SYNC: [u8; 5] = [b'S', 0, 0, 0, 4];

/// Terminate.
pub const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// A tagged message with the right length field.
pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(untagged(body));
    bytes
}

/// A message of the startup phase with the right length field.
pub fn untagged(body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).expect("a length of 32 bits");
    let mut bytes = len.to_be_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// StartupMessage of protocol 3.0.
pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    startup_version(0x0003_0000, parameters)
}

/// StartupMessage of any version (major in the upper 16 bits).
pub fn startup_version(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for text in parameters.iter().flat_map(|(name, value)| [name, value]) {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    untagged(&body)
}

/// Query.
pub fn query(text: &str) -> Vec<u8> {
    frame(b'Q', &[text.as_bytes(), b"\0"].concat())
}

/// CancelRequest with a key of any length.
pub fn cancel(process_id: u32, key: &[u8]) -> Vec<u8> {
    untagged(
        &[
            &80_877_102_u32.to_be_bytes(),
            &process_id.to_be_bytes(),
            key,
        ]
        .concat(),
    )
}

/// PasswordMessage.
pub fn password(text: &str) -> Vec<u8> {
    frame(b'p', &[text.as_bytes(), b"\0"].concat())
}

/// ErrorResponse with severity, SQLSTATE and message.
pub fn error(severity: &str, sqlstate: &str, text: &str) -> Vec<u8> {
    let body = format!("S{severity}\0V{severity}\0C{sqlstate}\0M{text}\0\0");
    frame(b'E', body.as_bytes())
}

/// ParameterStatus.
pub fn parameter_status(name: &str, value: &str) -> Vec<u8> {
    frame(b'S', format!("{name}\0{value}\0").as_bytes())
}

/// BackendKeyData.
pub fn backend_key_data(process_id: u32, key: &[u8]) -> Vec<u8> {
    frame(b'K', &[&process_id.to_be_bytes(), key].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_manual() {
        let table: [(&str, Vec<u8>, &[u8]); 4] = [
            ("Query", query("x"), b"Q\0\0\0\x06x\0"),
            (
                "StartupMessage",
                startup(&[("a", "b")]),
                b"\0\0\0\x0d\0\x03\0\0a\0b\0\0",
            ),
            (
                "CancelRequest",
                cancel(1, &[7; 4]),
                b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\x07\x07\x07\x07",
            ),
            ("PasswordMessage", password("p"), b"p\0\0\0\x06p\0"),
        ];
        for (name, built, wanted) in table {
            assert_eq!(
                built.escape_ascii().to_string(),
                wanted.escape_ascii().to_string(),
                "{name}"
            );
        }
    }
}
