use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 2048, fields: 16, target_bytes: 200 };

const WORDS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    "GET / HTTP/1.1\r\n",
    "HTTP/1.0",
    "Host: a\r\n",
    "Content-Length: 5\r\n",
    "content-length:",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding:",
    "gzip, chunked",
    "+",
    "0x",
    "\0",
    "é",
    "http://a/",
    "*",
    "#",
];

/// Whether every line ends in CRLF, read without regard to what the lines say.
fn lines(head: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(head).ok()?;
    let (head, _) = text.split_once("\r\n\r\n")?;
    let lines: Vec<&str> = head.split("\r\n").skip_while(|line| line.is_empty()).collect();
    lines.iter().all(|line| !line.contains(['\r', '\n'])).then_some(lines)
}

#[test]
fn fuzz_request_head() {
    portcullis_fuzz::target!("request-head", WORDS, |input| {
        if check_raw(input, LIMITS).is_err() {
            return;
        }
        // A reader that is laxer sees the same request.
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut fields);
        let used = match parsed.parse(input) {
            Ok(httparse::Status::Complete(used)) => used,
            // It is stricter about the octets of values; nothing goes on then.
            Ok(httparse::Status::Partial) => panic!("a head that passes is whole"),
            Err(_) => return,
        };
        assert!(input[..used].ends_with(b"\r\n\r\n"));
        assert!(parsed.headers.len() <= LIMITS.fields && used <= LIMITS.bytes);
        let named = |name: &str| {
            let named = parsed.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            named.map(|field| field.value).collect::<Vec<_>>()
        };
        let (lengths, encodings) = (named("content-length"), named("transfer-encoding"));
        assert!(lengths.len() + encodings.len() <= 1, "a body has one length");
        for length in lengths {
            let length = std::str::from_utf8(length).unwrap();
            assert!(length.parse::<u64>().is_ok(), "{length}");
            assert!(length.bytes().all(|byte| byte.is_ascii_digit()), "{length}");
        }
        for encoding in encodings {
            assert!(encoding.eq_ignore_ascii_case(b"chunked"));
            assert_eq!(parsed.version, Some(1));
        }
        assert!(named("host").len() + usize::from(parsed.version == Some(0)) >= 1);
        if let Some(lines) = lines(&input[..used]) {
            let target = parsed.path.unwrap();
            let request =
                format!("{} {target} HTTP/1.{}", parsed.method.unwrap(), parsed.version.unwrap());
            assert_eq!(lines[0], request);
            assert_eq!(lines.len() - 1, parsed.headers.len());
            for (line, field) in lines[1..].iter().zip(parsed.headers.iter()) {
                let (name, value) = line.split_once(':').unwrap();
                assert_eq!((name, value.trim().as_bytes()), (field.name, field.value));
            }
        }
    });
}
