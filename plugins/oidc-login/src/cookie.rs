//! Cookies: read from requests, written for responses (RFC 6265).

use portcullis_plugin_sdk::{Header, Request};

use crate::refusal::Refusal;
use crate::site::Transport;

/// Characters of one cookie's value. Browsers keep 4096 bytes of name, value and attributes.
const PIECE: usize = 3800;
/// Cookies that one session may be spread over: a request's head has 32 KiB by default.
const MOST_PIECES: usize = 3;

/// How cookies are named and marked under one origin.
#[derive(Debug, Clone)]
pub(crate) struct Jar {
    name: String,
    transport: Transport,
}

impl Jar {
    /// For cookies whose names begin so.
    pub(crate) fn new(name: &str, transport: Transport) -> Self {
        let name = match transport {
            // Nobody but this very host can set it, and only over HTTPS.
            Transport::Secure => format!("__Host-{name}"),
            Transport::Plain => name.to_owned(),
        };
        Self { name, transport }
    }

    /// The value that the session's cookies hold together; none where there is none.
    pub(crate) fn session(&self, request: &Request) -> Result<Option<String>, Refusal> {
        let Some(first) = only(request, &self.name)? else { return Ok(None) };
        let (count, piece) = first.split_once('.').ok_or(Refusal::BadSession)?;
        let count: usize = count.parse().map_err(|_| Refusal::BadSession)?;
        if !(1..=MOST_PIECES).contains(&count) {
            return Err(Refusal::BadSession);
        }
        let mut whole = piece.to_owned();
        for index in 1..count {
            whole.push_str(only(request, &self.piece(index))?.ok_or(Refusal::BadSession)?);
        }
        Ok(Some(whole))
    }

    /// Sets the session's cookies for this long.
    pub(crate) fn set_session(&self, value: &str, life_ms: u64) -> Result<Vec<Header>, Refusal> {
        // What is sealed is ASCII, so that it can be cut anywhere.
        let pieces: Vec<&[u8]> = value.as_bytes().chunks(PIECE).collect();
        if pieces.len() > MOST_PIECES {
            return Err(Refusal::SessionTooLarge);
        }
        let count = pieces.len();
        let cookie = |(index, piece): (usize, &[u8])| {
            let piece = String::from_utf8_lossy(piece);
            match index {
                0 => self.set(&self.name, &format!("{count}.{piece}"), life_ms),
                _ => self.set(&self.piece(index), &piece, life_ms),
            }
        };
        Ok(pieces.into_iter().enumerate().map(cookie).collect())
    }

    /// Takes the session's cookies away.
    pub(crate) fn clear_session(&self, request: &Request) -> Vec<Header> {
        let rest = (1..MOST_PIECES).map(|index| self.piece(index));
        let rest = rest.filter(|name| request.cookies_all(name).next().is_some());
        std::iter::once(self.name.clone()).chain(rest).map(|name| self.clear(&name)).collect()
    }

    /// The name of the cookie of a login.
    pub(crate) fn login(&self, id: &str) -> String {
        format!("{}-login-{id}", self.name)
    }

    /// The cookies of all logins: each name with its value.
    pub(crate) fn logins<'r>(
        &self,
        request: &'r Request,
    ) -> impl Iterator<Item = (&'r str, &'r str)> {
        let front = self.login("");
        let fields = request.headers_all("cookie").filter_map(|it| std::str::from_utf8(it).ok());
        let pairs = fields.flat_map(|field| field.split(';'));
        let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(move |(name, _)| name.starts_with(&front))
    }

    /// Sets one cookie.
    pub(crate) fn set(&self, name: &str, value: &str, life_ms: u64) -> Header {
        let secure = match self.transport {
            Transport::Secure => "; Secure",
            Transport::Plain => "",
        };
        let seconds = life_ms / 1000;
        Header::new(
            "set-cookie",
            format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"),
        )
    }

    /// Takes one cookie away.
    pub(crate) fn clear(&self, name: &str) -> Header {
        self.set(name, "", 0)
    }

    fn piece(&self, index: usize) -> String {
        format!("{}-{index}", self.name)
    }
}

/// The one value of a cookie; a second one is somebody else's.
pub(crate) fn only<'r>(request: &'r Request, name: &str) -> Result<Option<&'r str>, Refusal> {
    let mut values = request.cookies_all(name);
    let Some(first) = values.next() else { return Ok(None) };
    match values.next() {
        Some(_) => Err(Refusal::BadSession),
        None => std::str::from_utf8(first).map(Some).map_err(|_| Refusal::BadSession),
    }
}
