//! The country of an address, by a database in MaxMind's format.

use std::fmt;
use std::net::IpAddr;

use maxminddb::{PathElement, Reader};

/// A country as ISO 3166-1 writes it: two letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// The country of this code, in capitals.
    pub fn of(code: &str) -> Option<Self> {
        match code.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Some(Self([*a, *b])),
            _ => None,
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A database of countries, in memory.
pub struct CountryDatabase(Reader<Vec<u8>>);

impl CountryDatabase {
    /// Takes the bytes of a database.
    ///
    /// # Errors
    ///
    /// When they are none: why, for the operator.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        Reader::from_source(bytes).map(Self).map_err(|error| error.to_string())
    }

    /// The country that an address is known to be in.
    pub fn country(&self, address: IpAddr) -> Option<Country> {
        let found = self.0.lookup(address.to_canonical()).ok()?;
        let code = [PathElement::Key("country"), PathElement::Key("iso_code")];
        Country::of(found.decode_path::<&str>(&code).ok()??)
    }
}

impl fmt::Debug for CountryDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.metadata().database_type)
    }
}
