//! The examples of RFC 7515, appendix A, that are tokens with claims, judged with real
//! cryptography. (Those of A.4 and of RFC 7520 sign no JSON, so that no token comes of them; the
//! host's `keys` has their signatures. A.5 is not signed.)

use base64::Engine as _;
use portcullis_plugin_sdk::keys::{KeyError, SignatureAlgorithm, Signed};
use portcullis_plugin_sdk::testing::{Host, configured};
use portcullis_plugin_sdk::{Authorizer, Denial};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Value, json};

use super::{Jwt, Request, URL_SAFE_NO_PAD};

/// A second of the examples' life, which ends at 1300819380.
const THEN: u64 = 1_300_819_379;

const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const HS256_KEY: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
const HS256: (&str, &str) =
    ("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");

const RS256_KEY: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RS256: (&str, &str) = (
    "eyJhbGciOiJSUzI1NiJ9",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
);

const ES256_KEY: [&str; 2] =
    ["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"];
const ES256: (&str, &str) = (
    "eyJhbGciOiJFUzI1NiJ9",
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
);

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn verify(signed: Signed<'_>) -> Result<bool, KeyError> {
    Ok(match signed.algorithm {
        SignatureAlgorithm::Rs256 => {
            let key = RsaPublicKeyComponents { n: bytes(RS256_KEY), e: bytes("AQAB") };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.message, signed.signature).is_ok()
        }
        SignatureAlgorithm::Es256 => {
            let point = [vec![4], bytes(ES256_KEY[0]), bytes(ES256_KEY[1])].concat();
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
            key.verify(signed.message, signed.signature).is_ok()
        }
        _ => return Err(KeyError::WrongKeyType),
    })
}

/// What comes of the example, and of the same with its last signature byte changed.
fn check(key: (&str, Value), (header, signature): (&str, &str)) {
    let mut settings = json!({ "issuer": "joe", "audience": "*", "principal": "iss" });
    settings[key.0] = key.1;
    let plugin: Jwt = configured(settings).unwrap();
    let host = Host::new().with_issuer("joe", verify).with_secret("shared", bytes(HS256_KEY));
    let _host = host.install();
    let ask = |signature: &str, now: u64| {
        let token = format!("Bearer {header}.{CLAIMS}.{signature}");
        let request = Request::get("/").with_header("authorization", token);
        plugin.authorize(&Request { time: now * 1000, ..request })
    };
    let code = |answer: Result<_, Denial>| match answer {
        Err(Denial::Unauthenticated(reason)) => reason.code,
        other => panic!("{other:?}"),
    };

    let grant = ask(signature, THEN).unwrap();

    assert_eq!(grant.identity.principal, "joe");
    assert_eq!(grant.identity.attributes[2].name, "claim.http://example.com/is_root");
    assert_eq!(grant.identity.attributes[2].value, true.into());
    assert_eq!(code(ask(signature, THEN + 1)), "expired");
    let mut changed = bytes(signature);
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(code(ask(&URL_SAFE_NO_PAD.encode(changed), THEN)), "bad-signature");
}

#[test]
fn appendix_a_1_hs256() {
    check(("secret", json!("shared")), HS256);
}

#[test]
fn appendix_a_2_rs256() {
    check(("jwks_url", json!("https://joe.example.com/keys")), RS256);
}

#[test]
fn appendix_a_3_es256() {
    check(("jwks_url", json!("https://joe.example.com/keys")), ES256);
}
