//! `compression`, of APIs and routes.

use std::sync::Arc;

use super::Resolver;
use crate::document::{self, Off};
use crate::gateway::{Coding, Compression, MediaRange};
use crate::read::Either;

/// What holds for a route: its own, or its API's.
pub(super) fn of_route(
    written: Option<&Either<Off, document::Compression>>,
    inherited: Option<&Arc<Compression>>,
    resolver: &mut Resolver<'_>,
) -> Option<Arc<Compression>> {
    match written {
        None => inherited.cloned(),
        Some(Either::This(Off::Off)) => None,
        Some(Either::That(written)) => Some(compression(written, resolver)),
    }
}

pub(super) fn compression(
    written: &document::Compression,
    resolver: &mut Resolver<'_>,
) -> Arc<Compression> {
    let types = match &written.types {
        None => Compression::usual_types(),
        Some(listed) => {
            if listed.value.is_empty() {
                resolver.problem(&listed.place, "an empty list compresses nothing");
            }
            let mut types = Vec::new();
            for text in &listed.value {
                match MediaRange::parse(&text.value) {
                    Some(range) => types.push(range),
                    None => {
                        let message = format!("`{}` is no content type", text.value);
                        let help =
                            "write it as `application/json`, `text/*` or `application/*+json`";
                        resolver.problem_with_help(&text.place, message, help);
                    }
                }
            }
            types
        }
    };
    let mut encodings = Vec::new();
    match &written.encodings {
        None => encodings.extend([Coding::Brotli, Coding::Gzip]),
        Some(listed) => {
            if listed.value.is_empty() {
                resolver.problem(&listed.place, "an empty list compresses nothing");
            }
            for coding in listed.value.iter().copied().map(coding) {
                if !encodings.contains(&coding) {
                    encodings.push(coding);
                }
            }
        }
    }
    Arc::new(Compression { min_size: written.min_size.0, types, encodings })
}

fn coding(written: document::Coding) -> Coding {
    match written {
        document::Coding::Zstd => Coding::Zstd,
        document::Coding::Brotli => Coding::Brotli,
        document::Coding::Gzip => Coding::Gzip,
    }
}
