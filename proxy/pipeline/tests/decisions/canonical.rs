use portcullis_pipeline::CanonicalPath;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed_or_refused(raw in "\\PC*") {
        let _either = CanonicalPath::parse(&raw);
    }

    #[test]
    fn a_canonical_path_is_its_own_canonical_form(raw in "/([a-c.~;|%/]|%[0-7][0-9a-fA-F]|%[89A-Fa-f][0-9a-f]){0,12}") {
        if let Ok(path) = CanonicalPath::parse(&raw) {
            prop_assert_eq!(CanonicalPath::parse(path.as_str()), Ok(path));
        }
    }

    #[test]
    fn no_canonical_path_has_dot_or_empty_segments(raw in "/([a.%/;]|%2[eE]|%2[fF]){0,10}") {
        if let Ok(path) = CanonicalPath::parse(&raw) {
            let segments: Vec<&str> = path.as_str().split('/').skip(1).collect();
            let (last, before) = segments.split_last().unwrap();
            prop_assert!(before.iter().all(|segment| !segment.is_empty()));
            prop_assert!(!before.contains(&".") && !before.contains(&"..") && !matches!(*last, "." | ".."));
            prop_assert!(!path.as_str().contains("%2F"));
        }
    }
}
