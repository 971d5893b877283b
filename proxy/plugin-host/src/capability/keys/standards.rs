//! Published examples of JSON Web Signatures, verified as the host verifies them, with the keys
//! as they are published: RFC 7515, appendix A.4; RFC 7520, sections 4.1 to 4.4; RFC 8037,
//! appendix A.4. (Those of RFC 7515, A.1 to A.3, are tokens with claims: `plugins/jwt` has them.)

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::key_set::{KeySet, Signed};
use crate::abi::imports::crypto::HashAlgorithm;
use crate::abi::imports::keys::SignatureAlgorithm;
use crate::capability::Key;

/// The key that RFC 7520 signs with.
const BILBO: &str = "bilbo.baggins@hobbiton.example";
/// What RFC 7520 signs: "It's a dangerous business, Frodo, going out your door. …"
const DANGEROUS: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";

/// RFC 7520, section 3.3.
const RSA: &str = "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw";

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Takes an example, and refuses it with one bit of any byte of the signature, or of what is
/// signed, changed.
fn check(message: &str, signature: &str, holds: impl Fn(&[u8], &[u8]) -> bool) {
    let (message, signature) = (message.as_bytes(), bytes(signature));
    assert!(holds(message, &signature), "the example");
    for at in 0..signature.len() {
        let mut changed = signature.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(!holds(message, &changed), "byte {at} of the signature");
    }
    for at in 0..message.len() {
        let mut changed = message.to_vec();
        changed[at] ^= 1 << (at % 8);
        assert!(!holds(&changed, &signature), "byte {at} of what is signed");
    }
}

/// Checks an example that a public key verifies; its header has the key's id, if it has one.
fn check_key(jwk: &Value, algorithm: SignatureAlgorithm, message: &str, signature: &str) {
    let keys = KeySet::parse(&json!({ "keys": [jwk] })).unwrap();
    let key_id = jwk.get("kid").and_then(Value::as_str);
    check(message, signature, |message, signature| {
        keys.verify(Signed { key_id, algorithm, message, signature }).unwrap()
    });
}

#[test]
fn rfc_7515_a_4_es512() {
    let jwk = json!({
        "kty": "EC",
        "crv": "P-521",
        "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
        "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
    });
    let signature = "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";

    check_key(&jwk, SignatureAlgorithm::Es512, "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA", signature);
}

#[test]
fn rfc_7520_4_1_rs256() {
    let jwk = json!({ "kty": "RSA", "kid": BILBO, "use": "sig", "n": RSA, "e": "AQAB" });
    let header = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    let signature = "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg";

    check_key(&jwk, SignatureAlgorithm::Rs256, &format!("{header}.{DANGEROUS}"), signature);
}

#[test]
fn rfc_7520_4_2_ps384() {
    let jwk = json!({ "kty": "RSA", "kid": BILBO, "use": "sig", "n": RSA, "e": "AQAB" });
    let header = "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    let signature = "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw";

    check_key(&jwk, SignatureAlgorithm::Ps384, &format!("{header}.{DANGEROUS}"), signature);
}

#[test]
fn rfc_7520_4_3_es512() {
    let jwk = json!({
        "kty": "EC",
        "kid": BILBO,
        "use": "sig",
        "crv": "P-521",
        "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
        "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
    });
    let header = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    let signature = "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2";

    check_key(&jwk, SignatureAlgorithm::Es512, &format!("{header}.{DANGEROUS}"), signature);
}

#[test]
fn rfc_7520_4_4_hs256() {
    let secret = bytes("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg");
    let key = Key::prefixed(b"", &secret).unwrap();
    let header = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9";
    let signature = "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0";

    check(&format!("{header}.{DANGEROUS}"), signature, |message, signature| {
        key.verifies(HashAlgorithm::Sha256, message, signature)
    });
}

#[test]
fn rfc_8037_a_4_eddsa() {
    let jwk = json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    check_key(
        &jwk,
        SignatureAlgorithm::Eddsa,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        signature,
    );
}
