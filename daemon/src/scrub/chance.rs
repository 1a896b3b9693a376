//! How much a string looks drawn by chance: entropy, and how often kinds of characters change. Words and names change
//! seldom; keys change at every other character.

/// Shannon entropy of the bytes, in bits per byte.
pub fn entropy(value: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let all = value.len() as f64;
    counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / all).map(|p| -p * p.log2()).sum()
}

/// What a string is made of.
#[derive(Default)]
pub struct Makeup {
    pub lower: usize,
    pub upper: usize,
    pub digits: usize,
    pub symbols: usize,
    /// Neighbours of different kinds, letters or digits.
    pub changes: usize,
    /// Those of them where one is a digit.
    pub digit_changes: usize,
}

/// Counts what a string is made of. Everything that is not ASCII counts as lower case letters.
pub fn makeup(value: &str) -> Makeup {
    let mut makeup = Makeup::default();
    let mut before = None;
    for c in value.chars() {
        let kind = match c {
            'A'..='Z' => Some(0),
            '0'..='9' => Some(1),
            'a'..='z' => Some(2),
            c if c.is_ascii() => None,
            _ => Some(2),
        };
        match kind {
            Some(0) => makeup.upper += 1,
            Some(1) => makeup.digits += 1,
            Some(_) => makeup.lower += 1,
            None => makeup.symbols += 1,
        }
        if let (Some(a), Some(b)) = (before, kind)
            && a != b
        {
            makeup.changes += 1;
            makeup.digit_changes += usize::from(a == 1 || b == 1);
        }
        before = kind;
    }
    makeup
}

/// Whether 16 characters or more look drawn by chance, beside a word that says what they are.
pub fn random(value: &str) -> bool {
    let value = value.trim_end_matches('=');
    let (size, is) = (value.len(), makeup(value));
    // In a long one with a digit, fewer changes are enough to tell it from names in a row.
    let share = if size >= 32 && is.digits > 0 { 33 } else { 45 };
    let by_case = is.lower > 0 && is.upper > 0 && is.changes * 100 >= size * share;
    if size < 16 || is.lower + is.upper == 0 || entropy(value) < 2.6 {
        return false;
    }
    if is.digits == 0 {
        return by_case && size >= 20;
    }
    if value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return is.digits >= 3 && is.digit_changes >= 3;
    }
    let by_digits = is.digit_changes >= 3 && is.digit_changes * 8 >= size;
    entropy(value) >= 3.1 && (by_digits || by_case)
}

/// Whether 40 characters or more look drawn by chance, with nothing beside them that says so.
pub fn surely_random(value: &str) -> bool {
    let value = value.trim_end_matches('=');
    let (size, is) = (value.len(), makeup(value));
    size >= 40
        && is.lower > 0
        && is.upper > 0
        && is.digit_changes >= 4
        && is.digit_changes * 10 >= size
        && is.changes * 100 >= size * 38
        && entropy(value) >= 3.8
}

/// Whether it has the form of a UUID, which is a name and not a secret.
pub fn uuid(value: &str) -> bool {
    value.len() == 36
        && value.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_bits_per_byte() {
        assert!(entropy("").abs() < 1e-9 && entropy("aaaa").abs() < 1e-9);
        assert!((entropy("abcdabcd") - 2.0).abs() < 1e-9);
    }

    #[test]
    fn keys_look_random_and_names_do_not() {
        for key in ["9f86d081884c7d65", "k3Jx9QpL2mVb7TzR", "p4Kd/xW9+bV2nRt7QyZ1mLc8sHf3JgTe6UaXoBvN"] {
            assert!(random(key), "{key}");
        }
        for name in [
            "x86_64-unknown-linux-gnu",
            "MaximumNumberOfTokens2",
            "0000000000000000",
            "1234567890123456",
            "documentation-v2",
            "Users/JohnDoe/Projects/MyApp2/Sources/AppDelegate",
        ] {
            assert!(!random(name), "{name}");
            assert!(!surely_random(name), "{name}");
        }
        assert!(surely_random("p4Kd/xW9+bV2nRt7QyZ1mLc8sHf3JgTe6UaXoBvN"));
        assert!(uuid("123e4567-e89b-12d3-a456-426614174000"));
    }
}
