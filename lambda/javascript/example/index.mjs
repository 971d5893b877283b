// A TOKEN authorizer as it runs on AWS Lambda: it knows nothing of Portcullis.

const callers = {
  "Bearer reader-token": { name: "alice", methods: ["GET"] },
  "Bearer writer-token": { name: "bob", methods: ["GET", "PUT"] },
  "Bearer blocked-token": { name: "mallory", methods: [] },
};

export const handler = async (event) => {
  const caller = callers[event.authorizationToken];
  if (!caller) {
    throw new Error("Unauthorized");
  }

  // …:API/STAGE/METHOD/PATH
  const api = event.methodArn.split("/").slice(0, 2).join("/");
  const allowed = caller.methods.map((method) => `${api}/${method}/*`);
  return {
    principalId: caller.name,
    policyDocument: {
      Version: "2012-10-17",
      Statement: [
        {
          Action: "execute-api:Invoke",
          Effect: allowed.length ? "Allow" : "Deny",
          Resource: allowed.length ? allowed : `${api}/*`,
        },
      ],
    },
    context: { plan: "gold", seats: 3, trial: false },
    usageIdentifierKey: `key-of-${caller.name}`,
  };
};
