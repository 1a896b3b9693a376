//! The formats of JSON Schema as patterns. Each is a part of what its format allows: the plain spellings,
//! without rare forms that readers disagree on.

/// The pattern of a format; `None` for a format that JSON Schema does not know, which means nothing.
pub fn pattern(format: &str) -> Option<&'static str> {
    Some(match format {
        "date" => "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$",
        "time" => {
            "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
        }
        "date-time" => {
            "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
        }
        "duration" => "^P([0-9]{1,4}W|[0-9]{1,4}D(T[0-9]{1,4}[HMS])?|[0-9]{1,4}[YM]|T[0-9]{1,4}[HMS])$",
        "email" | "idn-email" => {
            "^[a-z0-9]{1,20}([._+-][a-z0-9]{1,20})?@[a-z0-9]{1,24}(-[a-z0-9]{1,16})?(\\.[a-z]{2,8}){1,2}$"
        }
        "hostname" | "idn-hostname" => "^[a-z0-9]{1,24}(-[a-z0-9]{1,16})?(\\.[a-z]{2,8}){0,3}$",
        "ipv4" => {
            "^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$"
        }
        "ipv6" => "^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$",
        "uri" | "iri" | "uri-reference" | "iri-reference" | "uri-template" => {
            "^https?://[a-z0-9]+(-[a-z0-9]+)*(\\.[a-z]+)+(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~-]*)*(\\?[A-Za-z0-9._~&=+-]*)?$"
        }
        "uuid" => "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        "json-pointer" => "^(/[A-Za-z0-9_-]+)*$",
        "relative-json-pointer" => "^(0|[1-9][0-9]{0,2})(/[A-Za-z0-9_-]+)*$",
        "regex" => "^[A-Za-z0-9 _-]*$",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ALL: [&str; 19] = [
        "date",
        "time",
        "date-time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "idn-hostname",
        "ipv4",
        "ipv6",
        "uri",
        "iri",
        "uri-reference",
        "iri-reference",
        "uri-template",
        "uuid",
        "json-pointer",
        "relative-json-pointer",
        "regex",
    ];

    proptest! {
        #[test]
        fn what_a_pattern_writes_is_of_its_format(
            (format, text) in proptest::sample::select(&ALL[..]).prop_flat_map(|format| {
                let inside = pattern(format).unwrap().trim_start_matches('^').trim_end_matches('$');
                (Just(format), proptest::string::string_regex(inside).unwrap())
            }),
        ) {
            let validator =
                jsonschema::options().should_validate_formats(true).build(&json!({ "format": format })).unwrap();
            prop_assert!(validator.is_valid(&json!(text)), "{format}: {text}");
        }
    }
}
