// An OpenID Connect provider on loopback, by oidc-provider. Prints its URL.
//
// Beside what providers have, `POST /rotate` gives it a new signing key; the one before
// stays in its key set, and older ones go.

import { createServer } from "node:http";

import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

let rotations = 0;
let keys = [];
let handle;

async function rotate() {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const key = { ...(await exportJWK(privateKey)), kid: `key-${rotations++}`, use: "sig", alg: "RS256" };
  keys = [key, ...keys].slice(0, 2);
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: "service",
        client_secret: "the secret of the service",
        grant_types: ["client_credentials"],
        response_types: [],
        redirect_uris: [],
      },
    ],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: "orders:read orders:write",
          audience: "orders",
          accessTokenFormat: resource === "urn:opaque" ? "opaque" : "jwt",
          accessTokenTTL: 3600,
        }),
      },
    },
  });
  handle = provider.callback();
}

await rotate();
server.on("request", async (request, response) => {
  if (request.method === "POST" && request.url === "/rotate") {
    await rotate();
    return response.end();
  }
  return handle(request, response);
});
console.log(issuer);
