//! What people write, made into what fend reads: `80 + 19%` means 19 % more, `5 in` are inches. What fend
//! would read as something else than was meant is refused. Pure.

use familiar_sdk::{Error, Result};

/// Characters of an expression, and brackets in each other. fend's parser goes down a level for each
/// bracket and for each sign before a number; this is far above what its stack holds.
const LONGEST: usize = 300;
const DEEPEST: usize = 20;

/// One word of an expression, with the blanks before it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Token<'a> {
    Number(&'a str),
    Word(&'a str),
    Sign(char),
}

pub fn of(expression: &str) -> Result<String> {
    let expression = expression.trim().trim_end_matches('=').trim();
    let length = expression.chars().count();
    if length > LONGEST {
        return Err(Error::invalid(format!(
            "the expression has {length} characters and may have {LONGEST}: calculate it in parts"
        )));
    }
    // They make variables, functions and dates, which call themselves without end or depend on today.
    if let Some(c) = expression.chars().find(|c| ":;=\\@{}#\n".contains(*c)) {
        let c = c.escape_default();
        return Err(Error::invalid(format!(
            "`{c}` has no meaning here: give one expression, without variables"
        )));
    }
    let tokens = tokens(expression)?;
    check_depth(&tokens)?;
    Ok(write(&percentages(inches(tokens))))
}

fn check_depth(tokens: &[Token]) -> Result<()> {
    let mut depth = 0_usize;
    for token in tokens {
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(Error::invalid(format!(
                "more than {DEEPEST} brackets in each other: calculate it in parts"
            )));
        }
    }
    Ok(())
}

fn tokens(expression: &str) -> Result<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphabetic() || c == '_' || c == '°';
        let end = |part: fn(char) -> bool| rest.find(|c| !part(c)).unwrap_or(rest.len());
        let length = if first.is_ascii_digit() {
            number_length(rest)
        } else if word(first) {
            end(|c| c.is_alphanumeric() || c == '_' || c == '°')
        } else {
            first.len_utf8()
        };
        let (text, after) = rest.split_at(length);
        tokens.push(match first {
            _ if first.is_ascii_digit() => Token::Number(number(text)?),
            _ if word(first) => Token::Word(text),
            _ => Token::Sign(first),
        });
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// Digits with points and commas, and an exponent as in `1.5e-3`.
fn number_length(text: &str) -> usize {
    let digits = |text: &str, also: &[char]| {
        text.find(|c: char| !c.is_ascii_digit() && !also.contains(&c)).unwrap_or(text.len())
    };
    let mantissa = digits(text, &['.', ',', '_']);
    let Some(exponent) = text[mantissa..].strip_prefix(['e', 'E']) else { return mantissa };
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    match digits(unsigned, &[]) {
        0 => mantissa,
        length => mantissa + 1 + (exponent.len() - unsigned.len()) + length,
    }
}

/// `1,500.5` is read as it is; `1,5` and `1.000,5` would be read as 15 and 1.0005.
fn number(text: &str) -> Result<&str> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let three = |group: &str| group.len() == 3;
    let grouped = whole.contains(',');
    if fraction.contains([',', '.']) || !groups.all(three) || (grouped && first.len() > 3) {
        return Err(Error::invalid(format!(
            "`{text}` can be read in two ways: write a point before decimals, and thousands as 1,500 or 1500"
        )));
    }
    Ok(text)
}

/// `in` is an inch after a number, unless a unit to convert to follows: `5 in to cm`, but `5 in cm`.
fn inches(mut tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    for at in 1..tokens.len() {
        let after_number = matches!(tokens[at - 1], Token::Number(_));
        let ends = match tokens.get(at + 1) {
            None => true,
            Some(Token::Word(next)) => matches!(*next, "to" | "in" | "as"),
            Some(Token::Sign(sign)) => *sign != '(' && *sign != '°',
            Some(Token::Number(_)) => true,
        };
        if tokens[at] == Token::Word("in") && after_number && ends {
            tokens[at] = Token::Word("inch");
        }
    }
    tokens
}

/// `a + b%` becomes `(a) * (1 + b%)`, from left to right, where `a` itself is no percentage.
fn percentages(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let mut done: Vec<Token> = Vec::with_capacity(tokens.len());
    // Where the sum under way begins: at the start, and after each bracket that is open.
    let mut starts = vec![0];
    let mut rest = tokens.as_slice();
    while let Some((first, after)) = rest.split_first() {
        let start = starts.last().copied().unwrap_or(0);
        match rest {
            [Token::Sign(sign @ ('+' | '-')), Token::Number(number), Token::Sign('%'), tail @ ..]
                if done.len() > start && done.last() != Some(&Token::Sign('%')) && ends_sum(tail) =>
            {
                done.insert(start, Token::Sign('('));
                let one = [Token::Sign(')'), Token::Sign('*'), Token::Sign('('), Token::Number("1")];
                done.extend(one);
                done.extend([Token::Sign(*sign), Token::Number(number), Token::Sign('%'), Token::Sign(')')]);
                rest = tail;
                continue;
            }
            // fend would answer in percent.
            [Token::Sign(sign @ ('*' | '/')), Token::Number(number), Token::Sign('%'), tail @ ..] => {
                done.extend([Token::Sign(*sign), Token::Sign('('), Token::Number(number)]);
                done.extend([Token::Sign('/'), Token::Number("100"), Token::Sign(')')]);
                rest = tail;
                continue;
            }
            _ => done.push(*first),
        }
        match first {
            Token::Sign('(') => starts.push(done.len()),
            Token::Sign(')') if starts.len() > 1 => drop(starts.pop()),
            _ => {}
        }
        rest = after;
    }
    done
}

/// Whether what follows a percentage leaves it one of its own: `+ 5% of 80` and `+ 5% * 80` do not.
fn ends_sum(tail: &[Token]) -> bool {
    match tail.first() {
        None => true,
        Some(Token::Sign(sign)) => matches!(sign, '+' | '-' | ')'),
        Some(Token::Word(word)) => matches!(*word, "to" | "in" | "as"),
        Some(Token::Number(_)) => false,
    }
}

fn write(tokens: &[Token]) -> String {
    let mut text = String::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| tokens[at]);
        match token {
            Token::Number(word) | Token::Word(word) => {
                let apart =
                    matches!(before, Some(Token::Number(_) | Token::Word(_) | Token::Sign('%' | '\'' | '"')));
                text.push_str(if apart { " " } else { "" });
                text.push_str(word);
            }
            Token::Sign(sign) => {
                let apart = matches!(sign, '+' | '-' | '%') && !matches!(before, Some(Token::Sign('(')));
                text.push_str(if apart && *sign != '%' { " " } else { "" });
                text.push(*sign);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fend_reads_stays() {
        for (written, read) in [
            ("2 * (3 + 4)", "2*(3 +4)"),
            ("1.5e-3 + 2E5", "1.5e-3 +2E5"),
            ("3e", "3 e"),
            ("200 * 5%", "200*(5/100)"),
            ("80 + 19%", "(80)*(1 +19%)"),
            ("80 + 19% + 5%", "((80)*(1 +19%))*(1 +5%)"),
            ("2 * (80 - 5%)", "2*((80)*(1 -5%))"),
            ("80 + 5% of 20", "80 +5% of 20"),
            ("5 in cm", "5 in cm"),
            ("5 in", "5 inch"),
            ("2 m in in", "2 m in in"),
        ] {
            assert_eq!(of(written).unwrap(), read, "{written}");
        }
    }

    #[test]
    fn two_ways_to_read_a_number_are_refused() {
        for number in ["1,5", "1.000,5", "1,00", "1234,567", "1.2.3", "1,,2", "1,"] {
            assert!(of(number).unwrap_err().message().contains("two ways"), "{number}");
        }
        for number in ["1,500", "1,500.25", "12", "0.5", "1234567"] {
            assert_eq!(of(number).unwrap(), number);
        }
    }

    #[test]
    fn functions_and_variables_are_refused() {
        for text in ["f = x: f x; f 1", "a;b", "@2020-01-01", "x => x", "{", "1\n2", "\\x.x"] {
            assert!(of(text).unwrap_err().message().contains("no meaning"), "{text}");
        }
    }
}
