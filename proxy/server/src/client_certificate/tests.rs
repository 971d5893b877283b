use proptest::prelude::*;
use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName as Written, DnType, DnValue, KeyPair,
    SanType, SerialNumber, date_time_ymd,
};

use super::*;

fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = Written::new();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn subject(parts: &[(DnType, DnValue)]) -> Vec<u8> {
    made(|params| {
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
    })
}

fn utf8(text: &str) -> DnValue {
    DnValue::Utf8String(text.to_owned())
}

fn ia5(text: &str) -> Ia5String {
    Ia5String::try_from(text).unwrap()
}

/// The certificate with these bytes in the place of others as long.
fn patched(mut der: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> =
        (0..der.len()).filter(|place| der[*place..].starts_with(old)).collect();
    assert!(!places.is_empty());
    for place in places {
        der[place..place + old.len()].copy_from_slice(new);
    }
    der
}

#[test]
fn a_certificate_tells_whose_it_is() {
    let der = made(|params| {
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::OrganizationalUnitName, "Orders");
        params.distinguished_name.push(DnType::CommonName, "alice");
        params.serial_number = Some(SerialNumber::from(vec![0x80, 0x01, 0x0f]));
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
        params.subject_alt_names = vec![
            SanType::DnsName(ia5("a.example.com")),
            SanType::URI(ia5("spiffe://example.org/a")),
            SanType::DnsName(ia5("*.b.example.com")),
            SanType::Rfc822Name(ia5("alice@example.com")),
            SanType::IpAddress("192.0.2.7".parse().unwrap()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
        ];
    });

    let read = read(&der).unwrap();

    assert_eq!(read.subject, "CN=alice,OU=Orders,O=Example,C=DE");
    assert_eq!(read.issuer, read.subject);
    assert_eq!(read.common_name.as_deref(), Some("alice"));
    assert_eq!(
        (read.organizations, read.organizational_units),
        (vec!["Example".into()], vec!["Orders".into()])
    );
    assert_eq!(read.serial, "80010f", "without the zero that keeps it positive");
    assert_eq!((read.not_before, read.not_after), (1_704_067_200, 1_893_456_000));
    assert_eq!(read.names.dns, ["a.example.com", "*.b.example.com"]);
    assert_eq!(read.names.uri, ["spiffe://example.org/a"]);
    assert_eq!(read.names.email, ["alice@example.com"]);
    assert_eq!(read.names.ip, ["192.0.2.7", "2001:db8::7"]);
    assert_eq!(read.sha256.as_slice(), digest(&SHA256, &der).as_ref());
    assert_eq!(read.der, der);
}

fn check_subject(parts: &[(DnType, DnValue)], text: &str, common_name: Option<&str>) {
    let read = read(&subject(parts)).unwrap();
    assert_eq!((read.subject.as_str(), read.common_name.as_deref()), (text, common_name));
}

#[test]
fn subjects_are_written_so_that_no_two_read_alike() {
    let cn = |text: &str| (DnType::CommonName, utf8(text));
    let ou = |text: &str| (DnType::OrganizationalUnitName, utf8(text));
    let odd = DnType::CustomDnType(vec![1, 2, 3, 4]);

    check_subject(&[], "", None);
    check_subject(&[cn("Zoë")], "CN=Zoë", Some("Zoë"));
    check_subject(&[cn("a,O=b")], "CN=a\\,O=b", Some("a,O=b"));
    check_subject(&[cn(" #a ")], "CN=\\ #a\\ ", Some(" #a "));
    check_subject(&[cn("#a")], "CN=\\#a", Some("#a"));
    check_subject(&[cn(" ")], "CN=\\ ", Some(" "));
    check_subject(&[cn(r#"a+b"c;d<e>\"#)], r#"CN=a\+b\"c\;d\<e\>\\"#, Some(r#"a+b"c;d<e>\"#));
    check_subject(&[cn("admin\0.example.com")], "CN=admin\\00.example.com", None);
    check_subject(&[cn("a\r\nx: 1\u{7f}")], "CN=a\\0D\\0Ax: 1\\7F", None);
    // What makes certificates here keeps one name of a kind: the second unit is written as
    // an organization, whose identifier is one number away.
    let organization = (DnType::OrganizationName, utf8("c"));
    let units = patched(
        subject(&[cn("a"), ou("b"), organization]),
        &[6, 3, 0x55, 4, 10],
        &[6, 3, 0x55, 4, 11],
    );
    let read = read(&units).unwrap();
    assert_eq!((read.subject.as_str(), read.common_name.as_deref()), ("OU=c,OU=b,CN=a", Some("a")));
    check_subject(&[(odd, utf8("a"))], "1.2.3.4=#0C0161", None);
    let bmp = DnValue::BmpString(rcgen::string::BmpString::try_from("Zoë").unwrap());
    check_subject(&[(DnType::CommonName, bmp)], "CN=Zoë", Some("Zoë"));
}

#[test]
fn of_two_common_names_none_is_the_name() {
    let mut twice = subject(&[
        (DnType::CommonName, utf8("alice")),
        (DnType::OrganizationalUnitName, utf8("mallo")),
    ]);
    // The same attribute twice, which the maker of certificates here does not write.
    twice = patched(twice, &[0x55, 0x04, 0x0b], &[0x55, 0x04, 0x03]);

    let read = read(&twice).unwrap();

    assert_eq!((read.subject.as_str(), read.common_name), ("CN=mallo,CN=alice", None));
}

#[test]
fn what_is_no_text_is_told_by_its_encoding() {
    let der = subject(&[(DnType::CommonName, utf8("alice"))]);

    let invalid = read(&patched(der, b"alice", b"al\xffce")).unwrap();

    assert_eq!((invalid.subject.as_str(), invalid.common_name), ("CN=#0C05616CFF6365", None));
}

fn check_names(names: Vec<SanType>, expected: Option<Unreadable>) {
    let der = made(|params| params.subject_alt_names = names);
    assert_eq!(read(&der).err(), expected);
}

#[test]
fn a_name_that_two_could_read_differently_spoils_the_certificate() {
    for odd in ["", " a.example.com", "a.example.com\0.example.org", "a\nb", "a b", "\u{7f}"] {
        check_names(vec![SanType::DnsName(ia5(odd))], Some(Unreadable::OddName));
        check_names(vec![SanType::URI(ia5(odd))], Some(Unreadable::OddName));
        check_names(vec![SanType::Rfc822Name(ia5(odd))], Some(Unreadable::OddName));
    }
    let der = made(|params| params.subject_alt_names = vec![SanType::DnsName(ia5("alice"))]);
    let umlaut = patched(der.clone(), b"alice", "al\u{ef}e".as_bytes());
    assert_eq!(read(&umlaut).err(), Some(Unreadable::OddName));
    let invalid = patched(der, b"alice", b"al\xffce");
    assert_eq!(read(&invalid).err(), Some(Unreadable::MalformedNames));
}

#[test]
fn a_certificate_has_no_room_for_a_flood_of_names() {
    let names = |count: usize| {
        (0..count).map(|number| SanType::DnsName(ia5(&format!("n{number}")))).collect::<Vec<_>>()
    };

    check_names(names(MOST_NAMES), None);
    check_names(names(MOST_NAMES + 1), Some(Unreadable::TooManyNames));
    check_names(names(10_000), Some(Unreadable::TooManyNames));
    let long = subject(&[(DnType::CommonName, utf8(&"a".repeat(5000)))]);
    assert_eq!(read(&long).err(), Some(Unreadable::TooLong));
    let escaped = subject(&[(DnType::CommonName, utf8(&"\0".repeat(2000)))]);
    assert_eq!(read(&escaped).err(), Some(Unreadable::TooLong));
    let foreign = subject(&[(DnType::CustomDnType(vec![1, 2, 3]), utf8(&"a".repeat(5000)))]);
    assert_eq!(read(&foreign).err(), Some(Unreadable::TooLong));
}

#[test]
fn names_that_stand_twice_or_are_no_list_are_refused() {
    const ALTERNATIVE_NAMES: [u64; 4] = [2, 5, 29, 17];
    let extended = |contents: &[&[u8]]| {
        made(|params| {
            let extension = |content: &&[u8]| {
                CustomExtension::from_oid_content(&ALTERNATIVE_NAMES, content.to_vec())
            };
            params.custom_extensions = contents.iter().map(extension).collect();
        })
    };
    let list: &[u8] = &[0x30, 0x03, 0x82, 0x01, b'a'];

    assert_eq!(read(&extended(&[list])).unwrap().names.dns, ["a"]);
    for (contents, problem) in [
        (&[list, list][..], Unreadable::MalformedNames),
        (&[&[0x30, 0x05, 0x82, 0x01, b'a']], Unreadable::MalformedNames),
        (&[&[0x04, 0x01, b'a']], Unreadable::MalformedNames),
        (&[&[]], Unreadable::MalformedNames),
        (&[&[0x30, 0x05, 0x87, 0x03, 1, 2, 3]], Unreadable::OddName),
    ] {
        assert_eq!(read(&extended(contents)).err(), Some(problem), "{contents:?}");
    }
}

#[test]
fn bytes_around_a_certificate_are_refused() {
    let der = made(|_| {});

    assert!(read(&der).is_ok());
    assert_eq!(read(&[&der[..], &[0]].concat()).err(), Some(Unreadable::NotX509));
    assert_eq!(read(&der[..der.len() - 1]).err(), Some(Unreadable::NotX509));
    assert_eq!(read(&[]).err(), Some(Unreadable::NotX509));
}

fn whole() -> Vec<u8> {
    made(|params| {
        params.distinguished_name.push(DnType::CommonName, "alice");
        params.subject_alt_names =
            vec![SanType::DnsName(ia5("a.example.com")), SanType::URI(ia5("spiffe://a/b"))];
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_reading_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut der = whole();
        for (place, byte) in changes {
            let place = place.index(der.len());
            der[place] = byte;
        }
        if let Ok(read) = read(&der) {
            prop_assert!(read.subject.len() <= 4096);
            let names = [read.names.dns, read.names.uri, read.names.email].concat();
            prop_assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_graphic())));
        }
    }
}

/// How many parts a name has as text: those between commas and pluses that are not escaped.
fn parts(text: &str) -> usize {
    let mut is_escaped = false;
    let mut separators = 0;
    for character in text.chars() {
        separators += usize::from(!is_escaped && matches!(character, ',' | '+'));
        is_escaped = !is_escaped && character == '\\';
    }
    if text.is_empty() { 0 } else { separators + 1 }
}

#[test]
fn fuzz_client_certificate() {
    let words = &[
        "0",
        "1",
        "\0",
        "\u{1}",
        "\u{2}",
        "\u{3}",
        "\u{4}",
        "\u{5}",
        "\u{6}\u{3}U\u{4}\u{3}",
        "\u{6}\u{3}U\u{4}\n",
        "\u{6}\u{3}U\u{1d}\u{11}",
        "\u{c}\u{1}",
        "\u{13}\u{1}",
        "\u{1e}\u{2}",
        "\u{17}\r",
        "99991231235959Z",
        ",",
        "+",
        "\\",
        "\n",
        " ",
        "#",
        "é",
    ];
    portcullis_fuzz::target!("client-certificate", words, |input| {
        let Ok(certificate) = read(input) else { return };
        assert_eq!(certificate.der, input);
        let (_, parsed) = x509_parser::parse_x509_certificate(input).unwrap();
        let written =
            [(&certificate.subject, parsed.subject()), (&certificate.issuer, parsed.issuer())];
        for (text, name) in written {
            assert!(text.len() <= 4096 && !text.chars().any(char::is_control), "{text:?}");
            assert_eq!(parts(text), name.iter_attributes().count(), "{text:?}");
        }
        let names = [certificate.names.dns, certificate.names.uri, certificate.names.email];
        let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(names.iter().flatten().all(plain));
        assert!(certificate.common_name.is_none_or(|name| !name.chars().any(char::is_control)));
    });
}
