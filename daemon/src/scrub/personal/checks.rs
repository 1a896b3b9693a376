//! The arithmetic of check digits. A number comes as it was written, with its spaces and signs.

/// The digits of a number.
pub fn digits(value: &str) -> Vec<u32> {
    value.chars().filter_map(|c| c.to_digit(10)).collect()
}

/// The check of cards: every second digit from the right doubled.
pub fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, d)| {
            if at % 2 == 0 {
                *d
            } else if *d > 4 {
                2 * d - 9
            } else {
                2 * d
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// How many characters an account number of a country has.
const IBAN: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("XK", 20),
];

/// How many bytes an account number takes up that the text begins with, if its check digits are right.
pub fn iban(value: &str) -> Option<usize> {
    let country = value.get(..2)?.to_ascii_uppercase();
    let (_, size) = IBAN.iter().find(|(name, _)| *name == country)?;
    let signs: Vec<(usize, char)> =
        value.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()).take(*size).collect();
    if signs.len() < *size {
        return None;
    }
    let turned = signs[4..].iter().chain(&signs[..4]);
    let rest = turned
        .filter_map(|(_, c)| c.to_digit(36))
        .fold(0, |rest, d| if d > 9 { rest * 100 + d } else { rest * 10 + d } % 97);
    (rest == 1).then(|| signs[size - 1].0 + 1)
}

/// Spain: the letter is the rest by 23; X, Y, Z stand for 0, 1, 2.
pub fn dni(value: &str) -> bool {
    let number: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    let (head, letter) = number.split_at(number.len() - 1);
    let head = head.replace('X', "0").replace('Y', "1").replace('Z', "2");
    head.parse::<usize>().is_ok_and(|n| "TRWAGMYFPDXBNJZSQVHLCKE".as_bytes()[n % 23] == letter.as_bytes()[0])
}

/// Italy: characters at odd places count by a table of their own.
pub fn codice(value: &str) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let value = value.to_ascii_uppercase();
    let Some((letter, head)) = value.as_bytes().split_last() else { return false };
    let sum: u32 = head
        .iter()
        .enumerate()
        .map(|(at, sign)| {
            let n = u32::from(if sign.is_ascii_digit() { sign - b'0' } else { sign - b'A' });
            if at % 2 == 0 { ODD[n as usize] } else { n }
        })
        .sum();
    sum % 26 == u32::from(letter - b'A')
}

/// France: the last two digits and the rest by 97 make 97. Corsica writes 2A and 2B.
pub fn nir(value: &str) -> bool {
    let number: String = value.chars().filter(|c| *c != ' ').collect();
    let number = number.replace("2A", "19").replace("2B", "18");
    if number.len() != 15 {
        return false;
    }
    match (number[..13].parse::<u64>(), number[13..].parse::<u64>()) {
        (Ok(head), Ok(key)) => 97 - head % 97 == key,
        _ => false,
    }
}

/// Brazil: two digits, each a weighted sum by 11.
pub fn cpf(value: &str) -> bool {
    let digits = digits(value);
    let check = |upto: usize| {
        let sum: u32 =
            digits[..upto].iter().zip((2..=upto as u32 + 1).rev()).map(|(d, weight)| d * weight).sum();
        sum * 10 % 11 % 10
    };
    digits.len() == 11 && check(9) == digits[9] && check(10) == digits[10]
}

/// Sweden: the last ten digits as those of cards.
pub fn personnummer(value: &str) -> bool {
    let digits = digits(value);
    digits.len() >= 10 && luhn(&digits[digits.len() - 10..])
}

/// Switzerland: as the codes on goods.
pub fn ean13(value: &str) -> bool {
    let digits = digits(value);
    let sum: u32 = digits.iter().enumerate().map(|(at, d)| if at % 2 == 0 { *d } else { 3 * d }).sum();
    digits.len() == 13 && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_numbers_pass_and_one_wrong_digit_fails() {
        type Check = fn(&str) -> bool;
        let checks: [(Check, &str); 8] = [
            (|value| luhn(&digits(value)), "4111 1111 1111 1111"),
            (|value| iban(value).is_some(), "GB82 WEST 1234 5698 7654 32"),
            (dni, "12345678-Z"),
            (codice, "RSSMRA85T10A562S"),
            (nir, "2 55 08 14 168 025 38"),
            (cpf, "529.982.247-25"),
            (personnummer, "811218-9876"),
            (ean13, "756.9217.0769.85"),
        ];
        for (check, right) in checks {
            assert!(check(right), "{right}");
            let at = right.find(|c: char| ('1'..='8').contains(&c)).unwrap();
            let wrong = format!("{}9{}", &right[..at], &right[at + 1..]);
            assert!(!check(&wrong), "{wrong}");
        }
    }

    #[test]
    fn an_iban_ends_where_its_country_says() {
        assert_eq!(iban("DE89 3704 0044 0532 0130 00 and more"), Some(27));
        assert_eq!(iban("de89370400440532013000"), Some(22));
        assert_eq!(iban("DE89 3704"), None);
    }
}
