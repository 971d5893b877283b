//! Declarations from which reader and schema come.

/// Declares a table: its keys with their types, defaults and descriptions.
///
/// `key: Option<T>` may be absent, `key: T = default` has a default written as in the
/// file, any other key is required. `place` is where the table is written and `whole`
/// whether every key in it could be used.
macro_rules! table {
    ($(#[doc = $about:literal])+ $noun:literal struct $name:ident {
        $($(#[doc = $doc:literal])+ $(#[allow($lint:ident, reason = $why:literal)])? $key:ident: $type:ty $(= $default:tt)?,)*
    }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            #[allow(dead_code, reason = "not every table is asked")]
            pub(crate) place: $crate::diagnostic::Place,
            #[allow(dead_code, reason = "not every table is asked")]
            pub(crate) whole: bool,
            $($(#[doc = $doc])+ $(#[allow($lint, reason = $why)])? pub(crate) $key: $type,)*
        }

        impl $crate::read::Read for $name {
            fn accepts(value: &$crate::tree::Value) -> bool {
                matches!(value, $crate::tree::Value::Table(_))
            }

            fn expected() -> String {
                "a table".to_owned()
            }

            fn read_accepted(
                node: &$crate::tree::Node,
                problems: &mut $crate::diagnostic::Problems,
            ) -> Option<Self> {
                let known = [$(stringify!($key).trim_start_matches("r#")),*];
                let mut fields = $crate::read::Fields::of(node, $noun, &known, problems);
                $(let $key = fields.take::<$type>(
                    stringify!($key).trim_start_matches("r#"),
                    $crate::read::table!(@default $($default)?),
                    problems,
                );)*
                Some(Self { place: node.place.clone(), whole: fields.whole, $($key: $key?,)* })
            }

            fn schema() -> serde_json::Value {
                let mut properties = serde_json::Map::new();
                let mut required: Vec<String> = Vec::new();
                $({
                    let key = stringify!($key).trim_start_matches("r#").to_owned();
                    let description = $crate::read::docs(&[$($doc),+]);
                    let default = $crate::read::table!(@default $($default)?);
                    let (schema, needed) = $crate::read::property::<$type>(description, default);
                    properties.insert(key.clone(), schema);
                    if needed {
                        required.push(key);
                    }
                })*
                serde_json::json!({
                    "type": "object",
                    "description": $crate::read::docs(&[$($about),+]),
                    "properties": properties,
                    "required": required,
                    "additionalProperties": false,
                })
            }
        }
    };
    (@default) => { None };
    (@default $default:tt) => { Some(serde_json::json!($default)) };
}

/// Declares a choice of words.
macro_rules! words {
    ($(#[doc = $about:literal])+ enum $name:ident { $($word:ident = $text:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($word,)+ }

        impl $crate::read::Read for $name {
            fn accepts(value: &$crate::tree::Value) -> bool {
                matches!(value, $crate::tree::Value::String(_))
            }

            fn expected() -> String {
                [$(concat!("`\"", $text, "\"`")),+].join(" or ")
            }

            fn read_accepted(
                node: &$crate::tree::Node,
                problems: &mut $crate::diagnostic::Problems,
            ) -> Option<Self> {
                let $crate::tree::Value::String(typed) = &node.value else { return None };
                match typed.as_str() {
                    $($text => Some(Self::$word),)+
                    _ => {
                        let message = format!("`{typed}` is none of the words known here");
                        let help = $crate::suggest::word(typed, &[$($text),+]);
                        let problem = $crate::diagnostic::Diagnostic::at(&node.place, message);
                        problems.add(problem.with_help(help));
                        None
                    }
                }
            }

            fn schema() -> serde_json::Value {
                serde_json::json!({ "enum": [$($text),+] })
            }
        }
    };
}

/// Declares texts that are parsed when names are resolved, with what to call them.
macro_rules! texts {
    ($($(#[doc = $about:literal])+ $name:ident = $title:literal,)+) => {$(
        $(#[doc = $about])+
        #[derive(Debug, Clone)]
        pub(crate) struct $name {
            pub(crate) value: String,
            #[allow(dead_code, reason = "not every text is pointed at")]
            pub(crate) place: $crate::diagnostic::Place,
        }

        impl $crate::read::Read for $name {
            fn accepts(value: &$crate::tree::Value) -> bool {
                matches!(value, $crate::tree::Value::String(_))
            }

            fn expected() -> String {
                "a string".to_owned()
            }

            fn read_accepted(
                node: &$crate::tree::Node,
                _: &mut $crate::diagnostic::Problems,
            ) -> Option<Self> {
                let $crate::tree::Value::String(value) = &node.value else { return None };
                Some(Self { value: value.clone(), place: node.place.clone() })
            }

            fn schema() -> serde_json::Value {
                serde_json::json!({ "type": "string", "title": $title })
            }
        }
    )+};
}

pub(crate) use {table, texts, words};
