//! Admits requests signed with AWS Signature Version 4, as the clients of Amazon API
//! Gateway sign them: in the header `Authorization` or in the query of a presigned URL.
//!
//! ```text
//! request ─ claim ─▶ who, when, over what ─ scope, window, headers, payload ─▶
//!           canonical request ─ the store's key, by handle ─▶ grant
//! ```
//!
//! Access keys are in the gateway's store. Their secrets never come here: the signing
//! key is a chain of HMACs on a handle, and the host compares the signature. The body
//! never comes here either, only its SHA-256.

mod canonical;
mod claim;
mod query;
mod refusal;
mod scope;
mod settings;
mod time;
mod verify;

use portcullis_plugin_sdk::{Authorizer, Denial, Grant, Plan, Plugin, Request, export};

use crate::claim::{ALGORITHM, Claim};
use crate::refusal::Refusal;
use crate::settings::{Iam, Settings};

impl Plugin for Iam {
    type Settings = Settings;

    /// Not cacheable: a signature is of one request and one second, so an answer would
    /// never be asked for again, and a key that is disabled must stop at once.
    fn plan(&self) -> Plan {
        // Which headers are signed is known only from the request.
        let plan = Plan::new().reads_header("*").reads_attribute("body:sha256");
        // No registry has the scheme, but it is what clients write into `Authorization`.
        plan.challenges(ALGORITHM)
    }
}

impl Authorizer for Iam {
    fn authorize(&self, request: &Request) -> Result<Grant, Denial> {
        let answer = match Claim::of(request) {
            Ok(None) => return Err(Denial::NotMine),
            Ok(Some(claim)) => verify::verify(self, request, &claim),
            Err(refusal) => Err(refusal),
        };
        answer.map_err(|refusal| self.denial(&refusal))
    }
}

impl Iam {
    fn denial(&self, refusal: &Refusal) -> Denial {
        refusal.denial(self.refuse_with)
    }
}

export!(Iam: authorizer);

#[cfg(test)]
mod tests;
