use std::time::{Duration, Instant};

use libinjectionrs::{detect_sqli, detect_xss};

use super::*;

/// What a rule says of one value that is not part of a body.
fn judged(kind: Attack, value: &[u8]) -> Result<(), Suspicion> {
    look_at(value, &[kind], &mut Work::most(None))
}

const SQL: &[&str] = &[
    "1' OR '1'='1",
    "' or 1=1--",
    "' or 1=1#",
    "1 or 1=1",
    "admin'--",
    "a'||'b",
    "admin'/*",
    "1 UNION SELECT null, null",
    "1' UNION ALL SELECT username, password FROM users--",
    "-1 union select 1,2,3",
    "1; DROP TABLE users",
    "1'; DROP TABLE users; --",
    "1 AND SLEEP(5)",
    "1' AND SLEEP(5)--",
    "1' WAITFOR DELAY '0:0:5'--",
    "1 AND 1=(SELECT COUNT(*) FROM users)",
    "1) OR (1=1",
    "') OR ('1'='1",
    "\" or \"\"=\"",
    "1/**/or/**/1=1",
    "1 /*!50000UNION*/ SELECT 1",
    "1 or 'a' like 'a'",
    "1' and extractvalue(1, concat(0x7e, version()))--",
    "1%27%20or%201=1--",
];

const HTML: &[&str] = &[
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "\"><script>alert(1)</script>",
    "' onmouseover='alert(1)",
    "\" onfocus=alert(1) autofocus=\"",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<a href=\"&#106;avascript:alert(1)\">x</a>",
    "<iframe src=javascript:alert(1)>",
    "<body onload=alert(1)>",
    "<object data=x>",
    "<style>@import 'x'</style>",
    "<x style=\"a:expression(1)\">",
    "<!--[if IE]><script>1</script><![endif]-->",
    "<math><x xlink:href=javascript:1>",
    "<scr\0ipt>alert(1)</scr\0ipt>",
    "%3Cscript%3Ealert(1)%3C/script%3E",
];

const INNOCENT: &[&str] = &[
    "",
    "O'Brien",
    "D'Angelo & Sons",
    "It's a dog's life, isn't it?",
    "Please select a size from the list",
    "select one from the menu and continue",
    "drop me a line at the table",
    "The union of workers and employers",
    "alice@example.com",
    "+1 (555) 010-9999",
    "2026-01-31T12:00:00Z",
    "3f2b8c1e-9d40-4a6b-8f6e-0a1b2c3d4e5f",
    "https://shop.example.com/a?b=c&d=e#f",
    "/orders/2026/lines",
    "50% off",
    "rock & roll",
    "C++ and C#",
    "a < b",
    "1,2,3,4,5,6,7,8,9,10",
    "price >= 10",
    "Müller-Lüdenscheidt",
    "日本語のテキスト",
    "**bold**, _italic_ and `code`",
    "# Title\n\n- first\n- second\n\n> quoted, [a link](https://example.com)",
    "Dear Sir,\n\nthank you for your order no. 17.\n\nYours -- the shop",
    "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24sIGJ1dCBieSB0aGlz+/==",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "{\"page\": 2}",
    "name ASC",
    "order by mail",
    "where is my order?",
    "I like tea and coffee or juice",
    "5' 11\"",
    "x=1",
    "<b>bold</b> <em>and</em> <p>more</p>",
];

/// Attacks that fingerprints do not tell from innocent values; `docs/guard.md` says so.
const MISSED: &[&str] = &["admin' #", "1;shutdown"];

#[test]
fn well_known_attacks_are_found() {
    for (kind, attacks) in [(Attack::SqlInjection, SQL), (Attack::CrossSiteScripting, HTML)] {
        let is_missed =
            |attack: &&&str| judged(kind, attack.as_bytes()) != Err(Suspicion::Attack(kind));
        let missed: Vec<_> = attacks.iter().filter(is_missed).collect();
        assert_eq!(missed, [&""; 0]);
    }
    let found = |attack: &&&str| judged(Attack::SqlInjection, attack.as_bytes()).is_err();
    assert_eq!(MISSED.iter().filter(found).collect::<Vec<_>>(), [&""; 0]);
    // What ends the text for libinjection does not for a browser.
    let hidden = b"<a \xff onclick=alert(1)>x</a>";
    assert!(judged(Attack::CrossSiteScripting, hidden).is_err());
}

#[test]
fn innocent_values_are_not_found() {
    for value in INNOCENT {
        for kind in [Attack::SqlInjection, Attack::CrossSiteScripting] {
            assert_eq!(judged(kind, value.as_bytes()), Ok(()), "{kind:?} {value}");
        }
    }
}

#[test]
fn what_costs_too_much_is_not_let_pass() {
    // Each of these folds to almost nothing, so that all of it has to be looked at.
    let sums = "1+".repeat(40_000);
    assert_eq!(judged(Attack::SqlInjection, sums.as_bytes()), Err(Suspicion::TooMuch));
    let tags = "<b>".repeat(200_000);
    assert_eq!(judged(Attack::CrossSiteScripting, tags.as_bytes()), Err(Suspicion::TooMuch));
    let mut work = Work::most(Some(4 << 20));
    assert_eq!(look_at(sums.as_bytes(), &[Attack::SqlInjection], &mut work), Ok(()));
    // And where many values cost a little each.
    let mut work = Work::most(None);
    let several = (0..100_000).find_map(|_| detect(Attack::SqlInjection, b"a'b", &mut work).err());
    assert_eq!(several, Some(Suspicion::TooMuch));
    // A long text costs next to nothing: its fingerprint is whole after a few words.
    let prose = "The quick brown fox isn't lazy, and jumps. ".repeat(20_000);
    assert_eq!(judged(Attack::SqlInjection, prose.as_bytes()), Ok(()));
}

#[test]
fn a_long_word_does_not_hide_what_follows_it() {
    let word = "x".repeat(5_000);
    for attack in [format!("{word}' or 1=1--"), format!("1 or '{word}'='{word}' --")] {
        let found = judged(Attack::SqlInjection, attack.as_bytes());
        assert_eq!(found, Err(Suspicion::Attack(Attack::SqlInjection)));
    }
}

/// The least of three times, so that what else the machine does is not counted.
fn least_time(value: &[u8]) -> Duration {
    let times = (0..3).map(|_| {
        let start = Instant::now();
        for kind in [Attack::SqlInjection, Attack::CrossSiteScripting] {
            let _ = judged(kind, value);
        }
        start.elapsed()
    });
    times.min().unwrap()
}

#[test]
fn time_is_bounded_however_long_and_odd_a_value_is() {
    let units = [
        "'",
        "\"",
        "`",
        "<",
        "<a ",
        "</",
        "<!--",
        "<%",
        "-",
        "--",
        "/*",
        "/**/",
        "#",
        "a.",
        "or.",
        "a`",
        "1.",
        "1 or ",
        "'' ",
        "\\",
        "\\'",
        "$",
        "$a$",
        "(",
        "{a ",
        "}",
        "x'",
        "q'a",
        "@@`",
        "[",
        "&#",
        "<a href='&#0",
        "\0",
        "<a onxxx ",
        "=",
        "<a x=' ",
        ";",
        "a,",
        "+1",
        "select.",
        "u&'",
        "0x",
        "1e",
        "<!x>",
        "and ",
        "' or ",
        "'--\n",
        "#\n",
        "<![CDATA[",
        "a=1&",
        "or\u{a0}",
    ];
    for unit in units {
        let value = unit.repeat((64 << 10) / unit.len());
        let time = least_time(value.as_bytes());
        // Words that are not shortened would take `or.` more than a minute.
        assert!(time < Duration::from_secs(1), "{unit:?}: {time:?}");
    }
}

/// Words of both languages.
const WORDS: &[&str] = &[
    "'",
    "\"",
    "`",
    " or ",
    "1=1",
    "--",
    "#",
    "/*",
    "*/",
    "union ",
    "select ",
    "(",
    ")",
    ";",
    "0x",
    "q'[",
    "$a$",
    "@@",
    "\\",
    "<",
    ">",
    "<script",
    "<a ",
    "href=",
    "onload=",
    "javascript:",
    "&#x6a;",
    "<!--",
    "<![CDATA[",
    "]]>",
    "style=",
    "\u{ff}",
    "\0",
    "%27",
    ".",
    "/",
    "e'",
    "<!doctype",
];

#[test]
fn fuzz_attacks() {
    portcullis_fuzz::target!("attacks", WORDS, |input| {
        let sql = detect(Attack::SqlInjection, input, &mut Work::most(None));
        let html = detect(Attack::CrossSiteScripting, input, &mut Work::most(None));
        assert!(sql != Err(Suspicion::Fault) && html != Err(Suspicion::Fault), "a panic");
        // Short words stand as they are, and then the crate's own function says the same.
        if input.len() <= 64 {
            assert_eq!(sql.is_err(), detect_sqli(input).is_injection());
        }
        if std::str::from_utf8(input).is_ok() && input.len() < 10_000 {
            assert_eq!(html.is_err(), detect_xss(input).is_injection());
        }
        // One word is let pass without a look at it.
        let word: Vec<u8> = input.iter().copied().filter(u8::is_ascii_alphanumeric).collect();
        assert!(!detect_sqli(&word).is_injection() && !detect_xss(&word).is_injection());
    });
}

#[test]
fn fuzz_attack_growth() {
    portcullis_fuzz::target!("attack-growth", WORDS, |input| {
        let unit = input.get(..32).unwrap_or(input);
        if unit.is_empty() {
            return;
        }
        let value = unit.repeat((8 << 10) / unit.len());
        let time = least_time(&value);
        assert!(time < Duration::from_millis(250), "{time:?}");
    });
}

/// `cargo test --release -p portcullis-pipeline -- --ignored --nocapture what_looking_costs`
#[test]
#[ignore = "it measures"]
fn what_looking_costs() {
    let object = format!(
        r#"{{"id": "3f2b8c1e-9d40-4a6b-8f6e-0a1b2c3d4e5f", "name": "Ms. O'Brien, née d'Arc", "notes": "{}"}}"#,
        "Please select a size from the list; it's 50% off. ".repeat(3)
    );
    let body = format!("[{}]", vec![object; 40].join(","));
    let query = "q=summer+dresses&size=38&sort=price,asc&from=2026-01-01&page=2";
    let kinds = [Attack::SqlInjection, Attack::CrossSiteScripting];
    for (name, part, bytes) in
        [("query", GuardPart::Query, 0), ("body", GuardPart::Body, body.len())]
    {
        let mut head = http::Request::get(format!("/a?{query}")).body(()).unwrap().into_parts().0;
        head.headers.insert("content-type", "application/json".parse().unwrap());
        let body = crate::HeldBody { bytes: body.clone().into(), complete: true };
        let path = crate::CanonicalPath::parse("/a").unwrap();
        let client = std::net::IpAddr::from([192, 0, 2, 1]);
        let view = GuardView { client, head: &head, path: &path, body: &body };
        const TIMES: u32 = 2_000;
        let times = (0..9).map(|_| {
            let start = Instant::now();
            for _ in 0..TIMES {
                let found = find_attack(&kinds, std::slice::from_ref(&part), Some(65_536), view);
                assert_eq!(found, None);
            }
            start.elapsed() / TIMES
        });
        println!("{name} ({bytes} bytes of body): {:?}", times.min().unwrap());
    }
    for unit in ["a=1&", "=", "<a onxxx ", "1+", "or ", "' or \"#"] {
        let body = unit.repeat((64 << 10) / unit.len());
        let start = Instant::now();
        let found = look_at(body.as_bytes(), &kinds, &mut Work::most(Some(65_536)));
        println!("{unit:?} 64 KiB: {:?} {found:?}", start.elapsed());
    }
}
