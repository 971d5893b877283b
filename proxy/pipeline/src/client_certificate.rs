//! What is known of the certificate that a client showed in its TLS handshake.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::plugins::Value;

/// A certificate that chains to the listener's `client_ca`. Whoever made the connection
/// has read it once; requests look facts up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject, as RFC 4514 writes it.
    pub subject: String,
    /// The subject's common name, where it has exactly one.
    pub common_name: Option<String>,
    /// The subject's organizations.
    pub organizations: Vec<String>,
    /// The subject's organizational units.
    pub organizational_units: Vec<String>,
    /// Who issued it, as RFC 4514 writes it.
    pub issuer: String,
    /// The serial number in hexadecimal: lower case, two digits a byte.
    pub serial: String,
    /// From when it holds, in seconds since 1970-01-01T00:00:00Z.
    pub not_before: i64,
    /// Until when it holds, in seconds since 1970-01-01T00:00:00Z.
    pub not_after: i64,
    /// The alternative names.
    pub names: AlternativeNames,
    /// SHA-256 of the whole certificate.
    pub sha256: [u8; 32],
    /// The certificate itself.
    pub der: Vec<u8>,
}

/// The subject's alternative names by kind, each list in the order of the certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlternativeNames {
    /// Host names.
    pub dns: Vec<String>,
    /// Addresses of mail.
    pub email: Vec<String>,
    /// URIs, SPIFFE ids among them.
    pub uri: Vec<String>,
    /// Addresses of hosts.
    pub ip: Vec<String>,
}

impl ClientCertificate {
    /// The names of its facts but `pem` and `der`, which are the certificate itself.
    pub(crate) const FACTS: [&str; 13] = [
        "subject",
        "common-name",
        "organization",
        "organizational-unit",
        "issuer",
        "serial",
        "not-before",
        "not-after",
        "dns",
        "email",
        "uri",
        "ip",
        "sha256",
    ];

    /// A fact by its name; `None` where the certificate has none of the kind.
    pub(crate) fn fact(&self, name: &str) -> Option<Value> {
        let text = |text: &String| Some(Value::Text(text.clone())).filter(|_| !text.is_empty());
        let texts =
            |texts: &Vec<String>| Some(Value::Texts(texts.clone())).filter(|_| !texts.is_empty());
        match name {
            "subject" => text(&self.subject),
            "common-name" => text(self.common_name.as_ref()?),
            "organization" => texts(&self.organizations),
            "organizational-unit" => texts(&self.organizational_units),
            "issuer" => text(&self.issuer),
            "serial" => text(&self.serial),
            "not-before" => Some(Value::Integer(self.not_before)),
            "not-after" => Some(Value::Integer(self.not_after)),
            "dns" => texts(&self.names.dns),
            "email" => texts(&self.names.email),
            "uri" => texts(&self.names.uri),
            "ip" => texts(&self.names.ip),
            "sha256" => Some(Value::Bytes(self.sha256.to_vec())),
            "pem" => Some(Value::Text(self.pem())),
            "der" => Some(Value::Bytes(self.der.clone())),
            _ => None,
        }
    }

    /// The certificate as RFC 7468 writes it.
    fn pem(&self) -> String {
        const LINE: usize = 64;
        let encoded = STANDARD.encode(&self.der);
        let mut pem = String::with_capacity(encoded.len() + encoded.len() / LINE + 64);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_has_a_value_where_the_certificate_has_one() {
        let texts = || vec!["a".to_owned()];
        let whole = ClientCertificate {
            subject: "CN=a".into(),
            common_name: Some("a".into()),
            organizations: texts(),
            organizational_units: texts(),
            issuer: "CN=b".into(),
            serial: "01".into(),
            names: AlternativeNames { dns: texts(), email: texts(), uri: texts(), ip: texts() },
            ..ClientCertificate::default()
        };
        let nameless = ClientCertificate::default();
        let count = |it: &ClientCertificate| {
            ClientCertificate::FACTS.iter().filter(|name| it.fact(name).is_some()).count()
        };

        assert_eq!(count(&whole), ClientCertificate::FACTS.len());
        assert_eq!(count(&nameless), 3, "an empty list says nothing; times and digest are there");
        assert_eq!(whole.fact("no-such"), None);
    }

    #[test]
    fn the_certificate_is_told_in_lines_of_sixty_four() {
        let certificate = ClientCertificate { der: vec![0; 50], ..ClientCertificate::default() };

        let pem = certificate.pem();

        let lines: Vec<&str> = pem.lines().collect();
        assert_eq!(lines.len(), 4, "{pem}");
        assert_eq!(lines.first(), Some(&"-----BEGIN CERTIFICATE-----"));
        assert_eq!(lines.last(), Some(&"-----END CERTIFICATE-----"));
        let decoded = STANDARD.decode(lines.get(1..3).unwrap().concat()).unwrap();
        assert_eq!(decoded, certificate.der);
    }
}
