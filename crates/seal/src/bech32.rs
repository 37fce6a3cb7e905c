//! Owns the text of a key: bech32 (BIP 173) without its limit of length, as age has it.

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATORS: [u32; 5] = [
    0x3b6a_57b2,
    0x2650_8e6d,
    0x1ea1_19fa,
    0x3d42_33dd,
    0x2a14_62b3,
];
const CHECKSUM: usize = 6;

fn step(sum: u32, value: u8) -> u32 {
    let top = sum >> 25;
    let mut sum = (sum & 0x1ff_ffff) << 5 ^ u32::from(value);
    for (bit, generator) in GENERATORS.iter().enumerate() {
        if top >> bit & 1 == 1 {
            sum ^= generator;
        }
    }
    sum
}

/// The checksum so far of a prefix in lower case.
fn of_prefix(prefix: &str) -> u32 {
    let high = prefix.bytes().fold(1, |sum, byte| step(sum, byte >> 5));
    let low = step(high, 0);
    prefix.bytes().fold(low, |sum, byte| step(sum, byte & 31))
}

/// 32 bytes as text, in lower case.
pub(crate) fn encode(prefix: &str, key: &[u8; 32]) -> String {
    let mut text = format!("{prefix}1");
    let mut sum = of_prefix(prefix);
    let mut put = |value: u8, text: &mut String| {
        text.push(char::from(ALPHABET[usize::from(value)]));
        sum = step(sum, value);
    };
    let (mut bits, mut count) = (0u32, 0);
    for byte in key {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            put((bits >> count & 31) as u8, &mut text);
        }
    }
    put((bits << (5 - count) & 31) as u8, &mut text);
    for _ in 0..CHECKSUM {
        sum = step(sum, 0);
    }
    let sum = sum ^ 1;
    for place in (0..CHECKSUM).rev() {
        let value = (sum >> (5 * place) & 31) as usize;
        text.push(char::from(ALPHABET[value]));
    }
    text
}

/// The 32 bytes of a text in lower case; `None` if it is none with this prefix.
pub(crate) fn decode(prefix: &str, text: &str) -> Option<[u8; 32]> {
    let data = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let mut sum = of_prefix(prefix);
    let mut values = Vec::with_capacity(data.len());
    for byte in data.bytes() {
        let value = ALPHABET.iter().position(|it| *it == byte)?;
        let value = u8::try_from(value).ok()?;
        sum = step(sum, value);
        values.push(value);
    }
    let payload = values.len().checked_sub(CHECKSUM)?;
    if sum != 1 || payload != 52 {
        return None;
    }
    let mut key = [0; 32];
    let (mut bits, mut count, mut at) = (0u32, 0, 0);
    for value in &values[..payload] {
        bits = bits << 5 | u32::from(*value);
        count += 5;
        if count >= 8 {
            count -= 8;
            *key.get_mut(at)? = (bits >> count & 0xff) as u8;
            at += 1;
        }
    }
    // What is left over has to be zero, so that a key has one text.
    (at == 32 && bits & ((1 << count) - 1) == 0).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lead_back_and_slips_are_noticed() {
        for seed in [[0; 32], [255; 32], [7; 32]] {
            let text = encode("age", &seed);
            assert_eq!(decode("age", &text), Some(seed), "{text}");
            assert_eq!(decode("agf", &text), None);
            for at in 4..text.len() {
                let mut slip = text.clone().into_bytes();
                slip[at] = if slip[at] == b'q' { b'p' } else { b'q' };
                let slip = String::from_utf8(slip).unwrap();
                assert_eq!(decode("age", &slip), None, "{slip}");
            }
            assert_eq!(decode("age", &text[..text.len() - 1]), None);
        }
    }
}
