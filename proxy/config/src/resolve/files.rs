//! Files the configuration names, and what is read from them at load.

use std::io;
use std::path::{Path, PathBuf};

use super::Resolver;
use crate::diagnostic::Place;
use crate::document::{self, FilePath};
use crate::gateway::{IssuerKeys, SecretGrant};
use crate::secret::Secret;

/// A path as the process sees it.
pub(super) fn joined(place: &Place, path: &str) -> PathBuf {
    place.directory().join(path)
}

/// The path of a file that must be there.
pub(super) fn existing(written: &FilePath, resolver: &mut Resolver<'_>) -> PathBuf {
    let path = joined(&written.place, &written.value);
    if !resolver.surroundings.is_file(&path) {
        resolver.problem(&written.place, format!("there is no file `{}`", path.display()));
    }
    path
}

/// The content of a file.
pub(super) fn content(written: &FilePath, resolver: &mut Resolver<'_>) -> Option<Vec<u8>> {
    let path = joined(&written.place, &written.value);
    let read = resolver.surroundings.read(&path);
    readable(read, (written, &path), resolver)
}

/// The content of a file that holds a secret.
fn secret_content(written: &FilePath, resolver: &mut Resolver<'_>) -> Option<Vec<u8>> {
    let path = joined(&written.place, &written.value);
    let read = resolver.surroundings.secret(&path);
    readable(read, (written, &path), resolver)
}

fn readable(
    read: io::Result<Vec<u8>>,
    (written, path): (&FilePath, &Path),
    resolver: &mut Resolver<'_>,
) -> Option<Vec<u8>> {
    match read {
        Ok(content) => Some(content),
        Err(error) => {
            let message = format!("`{}` cannot be read: {error}", path.display());
            resolver.problem(&written.place, message);
            None
        }
    }
}

/// Reads a secret that is granted from where it is kept.
pub(super) fn secret(
    written: &document::Secret,
    resolver: &mut Resolver<'_>,
) -> Option<SecretGrant> {
    let kept = Kept {
        env: written.env.as_ref(),
        file: written.file.as_ref(),
        table: written.whole.then_some(&written.place),
    };
    let (secret, _) = kept.read(resolver)?;
    Some(SecretGrant { secret, reveal: written.reveal })
}

/// Reads the token of the admin listener.
pub(super) fn admin_token(
    written: &document::AdminToken,
    resolver: &mut Resolver<'_>,
) -> Option<Secret> {
    let kept = Kept {
        env: written.env.as_ref(),
        file: written.file.as_ref(),
        table: written.whole.then_some(&written.place),
    };
    let (token, place) = kept.read(resolver)?;
    if token.expose().len() < TOKEN_BYTES {
        let message = format!("an admin token has at least {TOKEN_BYTES} bytes");
        resolver.problem(place, message);
        return None;
    }
    Some(token)
}

/// Reads a password.
pub(super) fn password(
    written: &document::Password,
    resolver: &mut Resolver<'_>,
) -> Option<Secret> {
    let kept = Kept {
        env: written.env.as_ref(),
        file: written.file.as_ref(),
        table: written.whole.then_some(&written.place),
    };
    Some(kept.read(resolver)?.0)
}

/// Bytes an admin token has at the least: fewer could be guessed over the network.
const TOKEN_BYTES: usize = 16;

/// Where a secret is kept.
struct Kept<'a> {
    env: Option<&'a document::Text>,
    file: Option<&'a FilePath>,
    /// The table that says so, where nothing in it is wrong by itself.
    table: Option<&'a Place>,
}

impl<'a> Kept<'a> {
    /// Reads it, and says where it is written that it is kept there.
    fn read(&self, resolver: &mut Resolver<'_>) -> Option<(Secret, &'a Place)> {
        let (place, bytes) = match (self.env, self.file) {
            (Some(variable), None) => {
                let value = resolver.surroundings.variable(&variable.value);
                if value.is_none() {
                    let message = format!("environment variable `{}` is not set", variable.value);
                    resolver.problem(&variable.place, message);
                }
                (&variable.place, value?)
            }
            (None, Some(file)) => (&file.place, without_line_end(secret_content(file, resolver)?)),
            _ => {
                if let Some(table) = self.table {
                    let message = "a secret has one of `env` and `file`";
                    resolver.problem(table, message);
                }
                return None;
            }
        };
        if bytes.is_empty() {
            resolver.problem(place, "this secret is empty");
            return None;
        }
        Some((Secret::new(bytes), place))
    }
}

fn without_line_end(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    bytes
}

/// Reads the keys of an issuer.
pub(super) fn issuer_keys(written: &FilePath, resolver: &mut Resolver<'_>) -> Option<IssuerKeys> {
    let bytes = content(written, resolver)?;
    let path = joined(&written.place, &written.value);
    let problem = match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(jwks) if jwks.get("keys").is_some_and(serde_json::Value::is_array) => {
            return Some(IssuerKeys::File { path, jwks });
        }
        Ok(_) => "it has no list `keys`".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!("`{}` is no JSON Web Key Set: {problem}", path.display());
    resolver.problem(&written.place, message);
    None
}

/// Reads certificates.
pub(super) fn certificates(written: &FilePath, resolver: &mut Resolver<'_>) -> Option<String> {
    let bytes = content(written, resolver)?;
    match String::from_utf8(bytes) {
        Ok(text) if text.contains("-----BEGIN CERTIFICATE-----") => Some(text),
        _ => {
            let path = joined(&written.place, &written.value);
            let message = format!("`{}` holds no certificate in PEM", path.display());
            resolver.problem(&written.place, message);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_no_part_of_a_secret() {
        assert_eq!(without_line_end(b"a\n".to_vec()), b"a");
        assert_eq!(without_line_end(b"a\r\n".to_vec()), b"a");
        assert_eq!(without_line_end(b"a\n\n".to_vec()), b"a\n");
        assert_eq!(without_line_end(b"a ".to_vec()), b"a ");
    }
}
