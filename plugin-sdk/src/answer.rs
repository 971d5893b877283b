//! What authorizers and validators say.

use crate::secrets::SecretError;
use crate::{Attribute, Denial, Grant, Header, Identity, Policy, Reason, Value, Violation};

impl Grant {
    /// Lets the request of this caller go on.
    pub fn to(principal: impl Into<String>) -> Self {
        Self {
            identity: Identity {
                principal: principal.into(),
                attributes: Vec::new(),
                usage_key: None,
            },
            expires_at: None,
            response_headers: Vec::new(),
            policies: Vec::new(),
        }
    }

    /// Adds what else is known of the caller; later phases see it as
    /// `identity:<name>`.
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.identity.attributes.push(Attribute::new(name, value));
        self
    }

    /// Sets the key that usage plans count by.
    pub fn with_usage_key(mut self, key: impl Into<String>) -> Self {
        self.identity.usage_key = Some(key.into());
        self
    }

    /// Sets when this answer stops being true: milliseconds since
    /// 1970-01-01T00:00:00Z.
    pub fn expires_at_ms(mut self, time_ms: u64) -> Self {
        self.expires_at = Some(time_ms);
        self
    }

    /// Adds a header to the response.
    pub fn with_response_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.response_headers.push(Header::new(name, value));
        self
    }

    /// Restricts the caller to what a policy document allows: a JSON text in the
    /// language of AWS IAM, which the host evaluates for each request.
    pub fn with_policy_document(mut self, document: impl Into<String>) -> Self {
        self.policies.push(Policy::Document(document.into()));
        self
    }

    /// Restricts the caller to what the policies allow that are attached, in the
    /// gateway's store, to the credential with this id.
    pub fn with_policies_attached_to(mut self, credential: impl Into<String>) -> Self {
        self.policies.push(Policy::Attached(credential.into()));
        self
    }
}

impl Denial {
    /// A credential that does not hold: 401. The code is for logs and metrics.
    pub fn unauthenticated(code: impl Into<String>) -> Self {
        Self::Unauthenticated(Reason::new(code))
    }

    /// A known caller who may not do this: 403. The code is for logs and metrics.
    pub fn forbidden(code: impl Into<String>) -> Self {
        Self::Forbidden(Reason::new(code))
    }

    /// It cannot be told: what the answer depends on is out of reach. 503; the code is
    /// for logs and metrics.
    pub fn unavailable(code: impl Into<String>) -> Self {
        Self::Unavailable(Reason::new(code))
    }

    /// Sets the only words the client may read. [`NotMine`](Self::NotMine) has none.
    pub fn with_public_text(mut self, text: impl Into<String>) -> Self {
        if let Some(reason) = self.reason_mut() {
            reason.public_text = Some(text.into());
        }
        self
    }

    /// Adds a header to the response, such as a challenge.
    /// [`NotMine`](Self::NotMine) has none.
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        if let Some(reason) = self.reason_mut() {
            reason.headers.push(Header::new(name, value));
        }
        self
    }

    fn reason_mut(&mut self) -> Option<&mut Reason> {
        match self {
            Self::NotMine | Self::Respond(_) => None,
            Self::Unauthenticated(reason) | Self::Forbidden(reason) | Self::Unavailable(reason) => {
                Some(reason)
            }
        }
    }
}

impl Reason {
    /// A reason with a code and nothing for the client.
    pub fn new(code: impl Into<String>) -> Self {
        Self { code: code.into(), public_text: None, headers: Vec::new() }
    }
}

/// A credential that cannot be judged does not hold. Only a plan that forgot to
/// ask for a secret comes here: the host refuses a configuration that does not
/// grant what the plan asks for.
impl From<SecretError> for Denial {
    fn from(error: SecretError) -> Self {
        Self::unauthenticated(match error {
            SecretError::NotGranted => "secret-not-granted",
            SecretError::NotRevealable => "secret-not-revealable",
        })
    }
}

impl Violation {
    /// Something wrong at a place: a JSON Pointer into the body, or
    /// `header:<name>`, `query:<name>`, `path:<name>`.
    pub fn at(location: impl Into<String>, message: impl Into<String>) -> Self {
        Self { location: location.into(), message: message.into() }
    }
}
