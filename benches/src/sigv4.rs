//! What a signed request costs as its body grows: the built-in `iam`, without a proxy
//! around it, beside the cryptography alone.

use std::hint::black_box;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use portcullis_plugin_host::{
    CredentialKind, CredentialSource, Engine, EngineSettings, KnownCredential, PluginHost,
};
use portcullis_policy::Policy;
use ring::{digest, hmac};
use sha2::{Digest as _, Sha256};
use tokio::task::unconstrained;
use zeroize::Zeroizing;

use crate::Effort;
use crate::asked::{self, Asked};
use crate::meter::{median, spread, thread_cpu};
use crate::site::Site;
use crate::table::Table;

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// When every request is signed and arrives: the second it is, and as the signature has it.
const SIGNED_AT_MS: u64 = 1_767_323_045_000;
const SIGNED_AT: &str = "20260102T030405Z";
const SCOPE: &str = "20260102/us-east-1/execute-api/aws4_request";

/// Bytes of a body, and the calls of a round.
const SIZES: [(usize, u32); 4] =
    [(0, 10_000), (1 << 10, 10_000), (64 << 10, 2_000), (1 << 20, 200)];

/// Measures each size.
pub(crate) fn measure(effort: Effort) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let host = load()?;
    let mut table =
        Table::new(&["a signed request", "CPU µs", "least–most", "cryptography alone, CPU µs"]);
    for (size, calls) in SIZES {
        let body = vec![b'x'; size];
        let request = signed(body.clone())?;
        runtime.block_on(unconstrained(request.authorize(&host, calls / 10)))?;
        let (mut asked, mut alone) = (Vec::new(), Vec::new());
        for _ in 0..=effort.rounds {
            let before = thread_cpu();
            runtime.block_on(unconstrained(request.authorize(&host, calls)))?;
            let between = thread_cpu();
            for _ in 0..calls {
                black_box(signature(&body));
            }
            let each = |time: std::time::Duration| time.as_secs_f64() * 1e6 / f64::from(calls);
            asked.push(each(between - before));
            alone.push(each(thread_cpu() - between));
        }
        let (least, most) = spread(asked.iter().copied());
        let cells = [
            format!("{:.2}", median(asked)),
            format!("{least:.2}–{most:.2}"),
            format!("{:.2}", median(alone)),
        ];
        table.row(format!("body of {} KiB", size >> 10), cells);
    }
    println!("{table}");
    Ok(())
}

fn load() -> Result<PluginHost> {
    let engine = Engine::start(EngineSettings {
        builtins: portcullis_builtin_plugins::components().to_vec(),
        credentials: Some(Arc::new(OneKey::new()?)),
        ..EngineSettings::default()
    })?;
    let keys = "plugin = \"iam\"\nisolation = { reuse = 1_000_000 }\n\
                grants = { credentials = true }\n";
    asked::authorizer(&engine, &Site::new()?, keys)
}

/// A request with this body and its signature.
fn signed(body: Vec<u8>) -> Result<Asked> {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/{SCOPE}, SignedHeaders=host;x-amz-date, Signature={}",
        signature(&body)
    );
    let request = Asked::new("POST /asked", SIGNED_AT_MS).with_query("q=1").with_body(body);
    request.with_header("x-amz-date", SIGNED_AT)?.with_header("authorization", &authorization)
}

/// The signature of this body: what no verifier can do without.
fn signature(body: &[u8]) -> String {
    let payload = hex(&Sha256::digest(body));
    let canonical = format!(
        "POST\n/asked\nq=1\nhost:localhost\nx-amz-date:{SIGNED_AT}\n\nhost;x-amz-date\n{payload}"
    );
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{SIGNED_AT}\n{SCOPE}\n{hash}");
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in SCOPE.split('/').chain([text.as_str()]) {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes());
        key = derived.as_ref().to_vec();
    }
    hex(&key)
}

/// A store with one access key in it.
#[derive(Debug)]
struct OneKey {
    policy: Arc<Policy>,
}

impl OneKey {
    fn new() -> Result<Self> {
        let policy = Policy::parse(
            r#"{ "Version": "2012-10-17", "Statement": [
                { "Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*" } ] }"#,
        );
        let policy = policy.map_err(|problem| anyhow!("{problem}"))?;
        Ok(Self { policy: Arc::new(policy) })
    }
}

impl CredentialSource for OneKey {
    fn version(&self) -> u64 {
        0
    }

    fn find(&self, _presented: &[u8], _time_ms: u64) -> Option<KnownCredential> {
        None
    }

    fn get(&self, _kind: CredentialKind, id: &str, _time_ms: u64) -> Option<KnownCredential> {
        (id == KEY).then(|| KnownCredential {
            id: KEY.to_owned(),
            consumer: "alice".to_owned(),
            attributes: Vec::new(),
            session_digest: None,
            expires_at_ms: None,
        })
    }

    fn secret(&self, id: &str, _time_ms: u64) -> Option<Zeroizing<Vec<u8>>> {
        (id == KEY).then(|| Zeroizing::new(SECRET.as_bytes().to_vec()))
    }

    fn attached(&self, _id: &str) -> Arc<Policy> {
        Arc::clone(&self.policy)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
