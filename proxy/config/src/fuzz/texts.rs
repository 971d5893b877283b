//! Texts within a configuration.

use std::net::IpAddr;

use ipnet::IpNet;

use super::read;
use crate::{
    GuardCondition, JsonPath, OriginPattern, OriginSet, Part, Placeholder, Step, Template,
};

#[test]
fn fuzz_template() {
    let words = &[
        "{",
        "}",
        "{{",
        "}}",
        "{path:id}",
        "{header:x-a}",
        "{query:",
        "{body:$",
        ".a",
        "['a}b']",
        "[0]",
        "[\"it's\"]",
        "'",
        "\"",
        "\\",
        "{response:status}",
        "{identity:",
        ":",
        "é",
        "a",
    ];
    portcullis_fuzz::target!("template", words, |input| {
        let text = String::from_utf8_lossy(input);
        let template = match Template::parse(&text) {
            Ok(template) => template,
            Err(problem) => {
                assert!(text.contains(['{', '}']), "{text}");
                return assert!(!problem.to_string().is_empty() && !problem.help().is_empty());
            }
        };
        assert_eq!(Template::parse(&template.to_string()).as_ref(), Ok(&template), "{text}");
        for placeholder in template.placeholders() {
            assert_eq!(Placeholder::parse(&placeholder.to_string()).as_ref(), Ok(placeholder));
        }
        for pair in template.parts().windows(2) {
            assert!(!matches!(pair, [Part::Text(_), Part::Text(_)]), "{text}");
        }
        // Nothing is said that is not written: its texts stand there, in order.
        let plain = |text: &str| text.replace(['{', '}'], "");
        let mut rest = plain(&text);
        for part in template.parts() {
            if let Part::Text(said) = part {
                assert!(!said.is_empty());
                let said = plain(said);
                let at = rest.find(&said).expect("a text that is written");
                rest.drain(..at + said.len());
            }
        }
    });
}

#[test]
fn fuzz_json_path() {
    let words = &[
        "$", ".", "..", "[", "]", "'", "\"", "\\", "*", "?", ":", ",", "-", "0", "1", "a", "é",
        "_", "['a']", "[-1]", " ", "\u{85}",
    ];
    portcullis_fuzz::target!("json-path", words, |input| {
        let text = String::from_utf8_lossy(input);
        let path = match JsonPath::parse(&text) {
            Ok(path) => path,
            Err(problem) => return assert!(!problem.to_string().is_empty()),
        };
        let shown = path.to_string();
        assert_eq!(JsonPath::parse(&shown).as_ref(), Ok(&path), "{text}");
        // A step is a dot or a bracket, and each of them outside quotes is a step.
        let mut plain = text.replace(r"\\", "").replace(r"\'", "").replace("\\\"", "");
        for quote in ['\'', '"'] {
            // A name that holds the other quote is left to the check above.
            let (ours, other) =
                (plain.matches(quote).count(), if quote == '"' { '\'' } else { '"' });
            if ours > 0 && plain.contains(other) {
                return;
            }
            plain = plain.split(quote).step_by(2).collect();
        }
        assert_eq!(path.steps().len(), plain.matches(['.', '[']).count(), "{text}");
        let every = path.steps().iter().filter(|step| **step == Step::Every).count();
        assert_eq!(every, plain.matches('*').count(), "{text}");
    });
}

/// The input is a pattern, and an origin in each line after it.
#[test]
fn fuzz_origin_pattern() {
    let words = &[
        "https://",
        "http://",
        "capacitor://",
        "*.",
        "*",
        "\n",
        "example.com",
        ".example.com",
        ":",
        ":443",
        ":8443",
        "/",
        "@",
        "#",
        "?",
        "\\",
        "a",
        "-",
        "..",
        "[::1]",
        "null",
        "A",
        "é",
        " ",
    ];
    portcullis_fuzz::target!("origin-pattern", words, |input| {
        let text = String::from_utf8_lossy(input);
        let (written, origins) = text.split_once('\n').unwrap_or((&text, ""));
        let pattern = match written.parse::<OriginPattern>() {
            Ok(pattern) => pattern,
            Err(help) => return assert!(!help.is_empty()),
        };
        let set: OriginSet = [pattern.clone()].into_iter().collect();
        for origin in origins.split('\n') {
            let is_allowed = pattern.matches(origin);
            assert_eq!(set.holds(origin), is_allowed, "{text}");
            if !is_allowed {
                continue;
            }
            let own = origin.parse::<OriginPattern>();
            match &pattern {
                OriginPattern::Exact(only) => assert_eq!(only, origin),
                OriginPattern::Below { scheme, suffix } => {
                    // It is itself an origin as browsers spell it, of a name below.
                    assert_eq!(own, Ok(OriginPattern::Exact(origin.to_owned())), "{text}");
                    assert!(origin.len() > scheme.len() + suffix.len(), "{text}");
                    assert!(origin.starts_with(*scheme) && origin.ends_with(suffix), "{text}");
                }
                OriginPattern::Scheme(scheme) => {
                    let host = origin.strip_prefix(*scheme).unwrap();
                    assert!(!host.contains(['/', '@', '#', '?', '\\', ' ', '*']), "{text}");
                }
            }
        }
        // An exact origin lets in itself, and is written as it is compared.
        if let OriginPattern::Exact(origin) = &pattern {
            assert!(pattern.matches(origin));
            assert_eq!(origin.parse().as_ref(), Ok(&pattern), "{text}");
        }
    });
}

/// The networks of a list, by looking at each line.
fn listed(list: &str) -> Option<Vec<IpNet>> {
    let lines = list.lines().map(|line| line.find('#').map_or(line, |at| &line[..at]).trim());
    let networks = lines.filter(|line| !line.is_empty()).map(|line| match line.contains('/') {
        true => line.parse::<IpNet>().ok(),
        false => line.parse::<IpAddr>().ok().map(IpNet::from),
    });
    networks.collect()
}

#[test]
fn fuzz_address_list() {
    const GATEWAY: &str = "listeners.a.address = 'localhost:80'\nauthorizer = 'none'\n\
        upstreams.a.endpoints = ['a:80']\napis.a = { upstream = 'a', routes = { 'GET /' = {} } }\n\
        guard.rules.a = { deny_addresses = [{ file = 'list.txt' }] }\n";
    let words = &[
        "\n",
        "\r\n",
        "#",
        " ",
        "/",
        "/8",
        "/0",
        "/32",
        "/128",
        "/129",
        "10.0.0.0",
        "0.0.0.0",
        "255.255.255.255",
        "192.0.2.1",
        "::",
        "::1",
        "::ffff:10.0.0.0",
        "/104",
        "2001:db8::",
        ".",
        ":",
        "é",
        "%eth0",
    ];
    portcullis_fuzz::target!("address-list", words, |input| {
        let list = String::from_utf8_lossy(input);
        let expected = listed(&list);
        let gateway = read(GATEWAY, &[("list.txt", &list)]);
        assert_eq!(gateway.is_some(), expected.is_some(), "{list:?}");
        let (Some(gateway), Some(expected)) = (gateway, expected) else { return };
        let guard = gateway.apis[0].guard.clone().expect("the guard that was written");
        let [rule] = &guard.rules[..] else { panic!("one rule") };
        let GuardCondition::Addresses(_, networks) = &rule.condition else { panic!("addresses") };
        let near = ["0.0.0.0", "10.0.0.1", "192.0.2.1", "255.255.255.255", "::", "::1", "ffff::"];
        let near = near.iter().map(|text| text.parse::<IpAddr>().unwrap());
        let ends = expected.iter().flat_map(|network| [network.network(), network.broadcast()]);
        for address in near.chain(ends) {
            let address = address.to_canonical();
            let mapped = match address {
                IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
                IpAddr::V6(_) => address,
            };
            let is_listed = expected.iter().any(|it| it.contains(&address) || it.contains(&mapped));
            assert_eq!(networks.contains(address), is_listed, "{address} in {list:?}");
        }
    });
}
