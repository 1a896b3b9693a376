//! Unpacking of PDF's streams: Flate, LZW, run lengths, and bytes written as text. Pictures' own codings
//! are not undone. What is damaged gives as much as could be read; nothing grows past its limit.

use super::object::{Dict, Object, unhex};
use flate2::read::{DeflateDecoder, ZlibDecoder};
use std::io::Read;

/// A stream's bytes with one filter undone, at most `limit`; `None` for a filter of pictures.
pub(super) fn undo(name: &str, settings: Option<&Dict>, data: &[u8], limit: usize) -> Option<Vec<u8>> {
    match name {
        "FlateDecode" | "Fl" => Some(predicted(inflate(data, limit), settings)),
        "LZWDecode" | "LZW" => {
            let early = settings.and_then(|s| s.get("EarlyChange")).and_then(Object::number) != Some(0.0);
            Some(predicted(lzw(data, early, limit), settings))
        }
        "ASCIIHexDecode" | "AHx" => {
            let end = data.iter().position(|b| *b == b'>').unwrap_or(data.len());
            Some(unhex(&data[..end]))
        }
        "ASCII85Decode" | "A85" => Some(ascii85(data)),
        "RunLengthDecode" | "RL" => Some(run_lengths(data, limit)),
        "Crypt" => Some(data.to_vec()),
        _ => None,
    }
}

fn inflate(data: &[u8], limit: usize) -> Vec<u8> {
    let mut unpacked = Vec::new();
    // What was read before damage stays in the buffer.
    let _ = ZlibDecoder::new(data).take(limit as u64).read_to_end(&mut unpacked);
    if unpacked.is_empty() && data.len() > 2 {
        let _ = DeflateDecoder::new(&data[2..]).take(limit as u64).read_to_end(&mut unpacked);
    }
    unpacked
}

/// Undoes PNG's way of writing each row as a difference from the one above.
fn predicted(data: Vec<u8>, settings: Option<&Dict>) -> Vec<u8> {
    let number = |key: &str, otherwise: usize| {
        let value = settings.and_then(|s| s.get(key)).and_then(Object::number);
        value.map_or(otherwise, |value| value.clamp(1.0, 65_536.0) as usize)
    };
    if number("Predictor", 1) < 10 {
        return data;
    }
    let bits = number("Colors", 1) * number("BitsPerComponent", 8);
    let (pixel, row) = (bits.div_ceil(8), (bits * number("Columns", 1)).div_ceil(8));
    let mut above = vec![0u8; row];
    let mut plain = Vec::with_capacity(data.len());
    for line in data.chunks(row + 1) {
        let mut current = vec![0u8; row];
        current[..line.len() - 1].copy_from_slice(&line[1..]);
        for at in 0..row {
            let left = if at >= pixel { current[at - pixel] } else { 0 };
            let corner = if at >= pixel { above[at - pixel] } else { 0 };
            let guess = match line[0] {
                1 => left,
                2 => above[at],
                3 => ((u16::from(left) + u16::from(above[at])) / 2) as u8,
                4 => paeth(left, above[at], corner),
                _ => 0,
            };
            current[at] = current[at].wrapping_add(guess);
        }
        plain.extend_from_slice(&current[..line.len() - 1]);
        above = current;
    }
    plain
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, above, corner].map(i16::from);
    let guess = a + b - c;
    let [to_left, to_above, to_corner] = [a, b, c].map(|value| (guess - value).abs());
    if to_left <= to_above && to_left <= to_corner {
        left
    } else if to_above <= to_corner {
        above
    } else {
        corner
    }
}

fn lzw(data: &[u8], early: bool, limit: usize) -> Vec<u8> {
    let mut unpacked: Vec<u8> = Vec::new();
    // Each entry is a stretch of what was unpacked already.
    let mut table: Vec<(usize, usize)> = Vec::new();
    let (mut bits, mut held, mut width) = (0u32, 0u32, 9u32);
    let mut last: Option<(usize, usize)> = None;
    for byte in data {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        if held < width {
            continue;
        }
        held -= width;
        let code = (bits >> held & ((1 << width) - 1)) as usize;
        let start = unpacked.len();
        match code {
            256 => {
                table.clear();
                last = None;
                width = 9;
                continue;
            }
            257 => break,
            0..256 => unpacked.push(code as u8),
            _ => {
                let entry = table.get(code - 258).copied();
                let Some((from, length)) = entry.or(last.map(|(from, length)| (from, length + 1))) else {
                    break;
                };
                for at in from..from + length {
                    let Some(byte) = unpacked.get(at).copied() else { break };
                    unpacked.push(byte);
                }
            }
        }
        if unpacked.len() > limit {
            break;
        }
        if let Some((from, length)) = last
            && table.len() < 4096 - 258
        {
            table.push((from, length + 1));
        }
        last = Some((start, unpacked.len() - start));
        // The next code's entry decides the width, as the writer saw it.
        let next = table.len() + 258 + usize::from(early);
        width = if next >= 2047 + usize::from(early) && next >= 2048 {
            12
        } else if next >= 1024 {
            11
        } else if next >= 512 {
            10
        } else {
            9
        };
    }
    unpacked
}

fn ascii85(data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(data.len());
    let mut group: Vec<u8> = Vec::with_capacity(5);
    for byte in data {
        match byte {
            b'z' if group.is_empty() => bytes.extend([0; 4]),
            b'!'..=b'u' => group.push(byte - b'!'),
            b'~' => break,
            _ => {}
        }
        if group.len() == 5 {
            bytes.extend(word85(&group));
            group.clear();
        }
    }
    if group.len() > 1 {
        let kept = group.len() - 1;
        group.resize(5, 84);
        bytes.extend(&word85(&group)[..kept]);
    }
    bytes
}

fn word85(group: &[u8]) -> [u8; 4] {
    let value = group.iter().fold(0u64, |value, digit| value * 85 + u64::from(*digit));
    (value as u32).to_be_bytes()
}

fn run_lengths(data: &[u8], limit: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while let Some(length) = data.get(at).map(|length| usize::from(*length)) {
        match length {
            0..128 => {
                let end = (at + 2 + length).min(data.len());
                bytes.extend_from_slice(&data[at + 1..end]);
                at = end;
            }
            128 => break,
            _ => {
                let Some(byte) = data.get(at + 1) else { break };
                bytes.extend(std::iter::repeat_n(*byte, 257 - length));
                at += 2;
            }
        }
        if bytes.len() > limit {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_written_as_text_are_read() {
        assert_eq!(undo("A85", None, b"87cURD]i,\"Ebo80~>", 100).unwrap(), b"Hello World!");
        assert_eq!(undo("AHx", None, b"48 65 6C 6C 6F>", 100).unwrap(), b"Hello");
        assert_eq!(undo("RL", None, &[2, b'a', b'b', b'c', 254, b'd', 128], 100).unwrap(), b"abcddd");
        assert_eq!(undo("DCTDecode", None, b"x", 100), None);
    }

    #[test]
    fn the_standard_s_example_of_lzw_is_read() {
        let packed = [0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01];
        assert_eq!(undo("LZW", None, &packed, 100).unwrap(), [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]);
    }
}
