// An OpenID Connect provider on loopback that people log in to, by oidc-provider. Prints
// its URL.
//
// `POST /site` with an origin registers that site's client `shop`. Whoever logs in is
// asked for a name and any password, and has granted everything.

import { createServer } from "node:http";

import { exportJWK, generateKeyPair } from "jose";
import { Provider } from "oidc-provider";

const server = createServer();
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const { privateKey } = await generateKeyPair("ES256", { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: "key", use: "sig", alg: "ES256" };

function provider(site) {
  const made = new Provider(issuer, {
    jwks: { keys: [key] },
    clients: [
      {
        client_id: "shop",
        client_secret: "the secret of the shop",
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        id_token_signed_response_alg: "ES256",
        redirect_uris: [`${site}/oidc/callback`],
        post_logout_redirect_uris: [`${site}/bye`],
      },
    ],
    claims: { openid: ["sub", "groups"], email: ["email"] },
    conformIdTokenClaims: false,
    cookies: { keys: ["a key of the provider's own cookies"] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, groups: ["staff"] }),
    }),
    features: { rpInitiatedLogout: { enabled: true } },
    issueRefreshToken: () => true,
    loadExistingGrant: async (ctx) => {
      const { client, session, provider } = ctx.oidc;
      const known = session.grantIdFor(client.clientId);
      if (known) return provider.Grant.find(known);
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope("openid email");
      await grant.save();
      return grant;
    },
    pkce: { required: () => true },
    // So short that each navigation asks for new ones.
    ttl: { AccessToken: 55, IdToken: 55 },
  });
  return made.callback();
}

let handle = provider("http://localhost");
server.on("request", async (request, response) => {
  if (request.method === "POST" && request.url === "/site") {
    let site = "";
    for await (const piece of request) site += piece;
    handle = provider(site);
    return response.end();
  }
  return handle(request, response);
});
console.log(issuer);
