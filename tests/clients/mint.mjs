// Mints a token of each algorithm with jose; prints the tokens and the public keys.

import { SignJWT, exportJWK, generateKeyPair } from "jose";

const [issuer, secret] = process.argv.slice(1);
const mint = (alg, kid, key) =>
  new SignJWT({})
    .setProtectedHeader({ alg, kid })
    .setIssuer(issuer)
    .setSubject("alice")
    .setAudience("orders")
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(key);

const keys = [];
const tokens = {};
for (const alg of ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"]) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  keys.push({ ...(await exportJWK(publicKey)), kid: alg });
  tokens[alg] = await mint(alg, alg, privateKey);
}
tokens.HS256 = await mint("HS256", undefined, new TextEncoder().encode(secret));
console.log(JSON.stringify({ keys, tokens }));
