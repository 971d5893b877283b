"""Mints a token of each algorithm with PyJWT; prints the tokens and the public keys."""

import json
import sys
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

issuer, secret = sys.argv[1:3]
claims = {"iss": issuer, "sub": "alice", "aud": "orders", "exp": int(time.time()) + 3600}
rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
keys = {
    "RS256": rsa_key,
    "PS256": rsa_key,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
public, tokens = [], {}
for name, key in keys.items():
    algorithm = jwt.algorithms.get_default_algorithms()[name]
    public.append({**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": name})
    tokens[name] = jwt.encode(claims, key, name, headers={"kid": name})
for key in public:
    key.pop("key_ops", None)
tokens["HS256"] = jwt.encode(claims, secret, "HS256")
print(json.dumps({"keys": public, "tokens": tokens}))
