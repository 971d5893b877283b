//! Distinguished names as RFC 4514 writes them.

use std::fmt::Write as _;

use x509_parser::der_parser::asn1_rs::{Any, Tag, ToDer};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::Unreadable;

/// Bytes of a name as text.
const LONGEST: usize = 4096;

/// Attribute types that have a name: those of RFC 4514, section 3, and those that OpenSSL
/// writes by name too.
const TYPES: [(&str, &str); 16] = [
    (COMMON_NAME, "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    (ORGANIZATION, "O"),
    (ORGANIZATIONAL_UNIT, "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.46", "dnQualifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];
const COMMON_NAME: &str = "2.5.4.3";
const ORGANIZATION: &str = "2.5.4.10";
const ORGANIZATIONAL_UNIT: &str = "2.5.4.11";

/// A name, whole and in parts. A part with control characters is none: only the whole
/// name tells it, escaped.
#[derive(Debug, Default)]
pub(super) struct DistinguishedName {
    pub(super) text: String,
    common_names: Vec<String>,
    pub(super) organizations: Vec<String>,
    pub(super) organizational_units: Vec<String>,
}

impl DistinguishedName {
    pub(super) fn read(name: &X509Name<'_>) -> Result<Self, Unreadable> {
        let mut read = Self::default();
        // The last component comes first (RFC 4514, section 2.1).
        let components: Vec<_> = name.iter_rdn().collect();
        for (index, component) in components.into_iter().rev().enumerate() {
            for (position, part) in component.iter().enumerate() {
                match (index, position) {
                    (0, 0) => {}
                    (_, 0) => read.text.push(','),
                    (_, _) => read.text.push('+'),
                }
                read.add(part)?;
                if read.text.len() > LONGEST {
                    return Err(Unreadable::TooLong);
                }
            }
        }
        Ok(read)
    }

    /// The common name, where there is one and no other.
    pub(super) fn common_name(&self) -> Option<String> {
        match self.common_names.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    fn add(&mut self, part: &AttributeTypeAndValue<'_>) -> Result<(), Unreadable> {
        let oid = part.attr_type().to_id_string();
        let name = TYPES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name);
        self.text.push_str(name.unwrap_or(&oid));
        self.text.push('=');
        let value = text(part.attr_value());
        match (name, value) {
            (Some(_), Some(value)) => {
                write_escaped(&mut self.text, &value);
                let parts = match oid.as_str() {
                    COMMON_NAME => &mut self.common_names,
                    ORGANIZATION => &mut self.organizations,
                    ORGANIZATIONAL_UNIT => &mut self.organizational_units,
                    _ => return Ok(()),
                };
                if !value.is_empty() && !value.chars().any(char::is_control) {
                    parts.push(value);
                }
            }
            _ => write_encoded(&mut self.text, part.attr_value())?,
        }
        Ok(())
    }
}

/// The text of a value; `None` where it is of another type or wrongly encoded.
fn text(value: &Any<'_>) -> Option<String> {
    let unit = |pair: &[u8]| pair.try_into().map(u16::from_be_bytes).ok();
    match value.tag() {
        Tag::Utf8String => std::str::from_utf8(value.data).ok().map(str::to_owned),
        Tag::PrintableString | Tag::NumericString | Tag::Ia5String | Tag::VisibleString
        // Beyond ASCII, nobody agrees on what these bytes are.
        | Tag::T61String => {
            let ascii = value.data.is_ascii().then_some(value.data)?;
            std::str::from_utf8(ascii).ok().map(str::to_owned)
        }
        Tag::BmpString => {
            let units: Option<Vec<u16>> = value.data.chunks(2).map(unit).collect();
            String::from_utf16(&units?).ok()
        }
        _ => None,
    }
}

/// RFC 4514, section 2.4; every control character is escaped, as OpenSSL does.
fn write_escaped(target: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (place, character) in value.chars().enumerate() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => target.extend(['\\', character]),
            ' ' if place == 0 || place == last => target.push_str("\\ "),
            '#' if place == 0 => target.push_str("\\#"),
            character if character.is_control() => {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    // Writing to a text does not fail.
                    let _written = write!(target, "\\{byte:02X}");
                }
            }
            character => target.push(character),
        }
    }
}

/// The value's own encoding, in hexadecimal: unambiguous, whatever it holds.
fn write_encoded(target: &mut String, value: &Any<'_>) -> Result<(), Unreadable> {
    let bytes = value.to_der_vec().map_err(|_| Unreadable::NotX509)?;
    if bytes.len() > LONGEST {
        return Err(Unreadable::TooLong);
    }
    target.push('#');
    for byte in bytes {
        // Writing to a text does not fail.
        let _written = write!(target, "{byte:02X}");
    }
    Ok(())
}
