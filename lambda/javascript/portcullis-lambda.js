// Makes a Portcullis authorizer of an AWS Lambda authorizer, which stands unchanged in
// `index.mjs` beside this file. How to build it: docs/lambda-authorizers.md.

import { log } from "portcullis:plugin/log@0.1.0";
import { handler } from "./index.mjs";

// Handlers look for their settings here; `configure` fills it.
globalThis.process ??= { env: {} };

const text = { type: "string" };
const texts = { type: "object", additionalProperties: text };
const names = { type: "array", items: { type: "string", minLength: 1 } };

const SCHEMA = {
  type: "object",
  properties: {
    type: { enum: ["TOKEN", "REQUEST"] },
    version: { enum: ["1.0", "2.0"] },
    identity_sources: {
      type: "array",
      items: { type: "string", pattern: "^(header|query):.+$" },
    },
    identity_validation_expression: text,
    headers: names,
    parameters: names,
    stage_variables: texts,
    environment: texts,
  },
  required: ["type"],
  additionalProperties: false,
};

/** What `configure` was given, with its defaults. */
let settings;

export const lifecycle = {
  describe() {
    return {
      name: "lambda-javascript",
      version: "0.1.0",
      description: "An AWS Lambda authorizer in JavaScript",
      roles: ["authorizer"],
      settingsSchema: JSON.stringify(SCHEMA),
    };
  },

  configure(json) {
    settings = resolve(JSON.parse(json));
    Object.assign(globalThis.process.env, settings.environment);
    const role = { role: "authorizer", reads: reads(), cacheable: true };
    const nothing = { secrets: [], revealed: [], leastLengths: [], issuers: [], origins: [], answers: [], limits: [] };
    return { roles: [role], ...nothing };
  },
};

export const authorizer = {
  async authorize(request) {
    const identity = settings.sources.map((source) => valueOf(source, request));
    if (identity.some((value) => !value)) {
      throw unauthenticated("missing-identity");
    }
    if (settings.expression && !settings.expression.test(identity[0])) {
      throw unauthenticated("identity-mismatch");
    }
    const facts = new Map(request.attributes.map(({ name, value }) => [name, value.val]));
    const event = eventOf(request, identity, facts);
    return grant(await answer(event, facts));
  },
};

// --- Settings ---

function resolve(given) {
  const isToken = given.type === "TOKEN";
  const sources = given.identity_sources ?? (isToken ? ["header:Authorization"] : []);
  const refuse = (member, message) => {
    throw { pointer: `/${member}`, message };
  };
  if (isToken && !(sources.length === 1 && sources[0].startsWith("header:"))) {
    refuse("identity_sources", "a TOKEN authorizer has one source, a header");
  }
  for (const member of ["version", "headers", "parameters", "stage_variables"]) {
    if (isToken && given[member] !== undefined) {
      refuse(member, "only a REQUEST authorizer is told this; take it out");
    }
  }
  if (!isToken && given.identity_validation_expression !== undefined) {
    refuse("identity_validation_expression", "only a TOKEN authorizer has one; take it out");
  }
  const expression = given.identity_validation_expression;
  let whole;
  try {
    whole = expression === undefined ? undefined : new RegExp(`^(?:${expression})$`);
  } catch (problem) {
    refuse("identity_validation_expression", `no regular expression: ${problem.message}`);
  }
  return {
    isToken,
    version: isToken ? "1.0" : (given.version ?? "2.0"),
    sources: sources.map((source) => {
      const [kind, ...name] = source.split(":");
      return { kind, name: name.join(":") };
    }),
    expression: whole,
    headers: given.headers ?? ["*"],
    parameters: given.parameters ?? ["*"],
    stageVariables: given.stage_variables,
    environment: given.environment ?? {},
  };
}

/** What the handler is told of, and no more: this is what a cache compares. */
function reads() {
  const { isToken, sources } = settings;
  const named = (kind) => sources.filter((source) => source.kind === kind).map(({ name }) => name);
  const headers = [...named("header"), ...(isToken ? [] : settings.headers)];
  const parameters = [...named("query"), ...(isToken ? [] : settings.parameters)];
  const more = isToken ? [] : ["path:*", "stage:*", "route:id", "request:id"];
  return {
    headers: allOrNamed(headers.map((name) => name.toLowerCase())),
    parameters: allOrNamed(parameters),
    attributes: ["request:arn", ...more],
    body: { tag: "none" },
    responseHeaders: [],
    responseBody: { tag: "none" },
  };
}

function allOrNamed(wanted) {
  return wanted.includes("*") ? ["*"] : [...new Set(wanted)];
}

// --- Events ---

const utf8 = new TextDecoder();

function valueOf({ kind, name }, request) {
  const lower = name.toLowerCase();
  const found =
    kind === "header"
      ? request.headers.filter((header) => header.name === lower).map(({ value }) => utf8.decode(value))
      : request.parameters.filter((parameter) => parameter.name === name).map(({ value }) => value);
  return found.join(",");
}

function eventOf(request, identity, facts) {
  const arn = facts.get("request:arn");
  if (settings.isToken) {
    return { type: "TOKEN", authorizationToken: identity[0], methodArn: arn };
  }
  return settings.version === "1.0"
    ? eventOfVersion1(request, identity, facts)
    : eventOfVersion2(request, identity, facts);
}

function eventOfVersion1(request, identity, facts) {
  const headers = grouped(
    request.headers.map(({ name, value }) => [spelled(name), utf8.decode(value)]),
  );
  const parameters = grouped(request.parameters.map(({ name, value }) => [name, value]));
  const { stage, ...api } = apiOf(facts);
  const resource = resourceOf(facts);
  const joined = identity.join(",");
  const sources = identity.length ? { identitySource: joined, authorizationToken: joined } : {};
  return {
    version: "1.0",
    type: "REQUEST",
    methodArn: facts.get("request:arn"),
    ...sources,
    resource,
    path: withoutStage(request.path, stage),
    httpMethod: request.method,
    headers: mapped(headers, (values) => values.at(-1)),
    multiValueHeaders: mapped(headers, (values) => values),
    queryStringParameters: mapped(parameters, (values) => values.at(-1)),
    multiValueQueryStringParameters: mapped(parameters, (values) => values),
    pathParameters: namedOf(facts, "path"),
    stageVariables: { ...settings.stageVariables, ...namedOf(facts, "stage") },
    requestContext: {
      ...api,
      stage,
      path: request.path,
      resourcePath: resource,
      httpMethod: request.method,
      requestId: facts.get("request:id"),
      ...domainOf(request),
      requestTime: clf(request.time),
      requestTimeEpoch: Number(request.time),
      identity: { sourceIp: request.clientAddress, ...agent(headers) },
    },
  };
}

function eventOfVersion2(request, identity, facts) {
  const headers = grouped(request.headers.map(({ name, value }) => [name, utf8.decode(value)]));
  const cookies = (headers.get("cookie") ?? []).flatMap((line) => line.split(/; */));
  headers.delete("cookie");
  const parameters = grouped(request.parameters.map(({ name, value }) => [name, value]));
  const joined = (values) => values.join(",");
  const routeKey = facts.get("route:id");
  return {
    version: "2.0",
    type: "REQUEST",
    routeArn: facts.get("request:arn"),
    ...(identity.length ? { identitySource: identity } : {}),
    routeKey,
    rawPath: request.path,
    rawQueryString: request.query ?? "",
    ...(cookies.length ? { cookies } : {}),
    headers: mapped(headers, joined),
    ...unlessEmpty("queryStringParameters", mapped(parameters, joined)),
    requestContext: {
      ...apiOf(facts),
      ...domainOf(request),
      http: {
        method: request.method,
        path: request.path,
        sourceIp: request.clientAddress,
        ...agent(headers),
      },
      requestId: facts.get("request:id"),
      routeKey,
      time: clf(request.time),
      timeEpoch: Number(request.time),
    },
    ...unlessEmpty("pathParameters", namedOf(facts, "path")),
    ...unlessEmpty("stageVariables", { ...settings.stageVariables, ...namedOf(facts, "stage") }),
  };
}

/** A header's name as the settings spell it: handlers of version 1.0 look for that. */
function spelled(name) {
  const sources = settings.sources.filter(({ kind }) => kind === "header");
  const spellings = [...settings.headers, ...sources.map((source) => source.name)];
  return spellings.find((spelling) => spelling.toLowerCase() === name) ?? name;
}

function grouped(pairs) {
  const groups = new Map();
  for (const [name, value] of pairs) {
    groups.set(name, [...(groups.get(name) ?? []), value]);
  }
  return groups;
}

function mapped(groups, value) {
  return Object.fromEntries([...groups].map(([name, values]) => [name, value(values)]));
}

function unlessEmpty(name, members) {
  return Object.keys(members).length ? { [name]: members } : {};
}

function agent(headers) {
  const [, values] = [...headers].find(([name]) => name.toLowerCase() === "user-agent") ?? [];
  return values ? { userAgent: values.at(-1) } : {};
}

/** The facts of a namespace, by their names in it. */
function namedOf(facts, space) {
  const named = [...facts].filter(([name]) => name.startsWith(`${space}:`));
  return Object.fromEntries(named.map(([name, value]) => [name.slice(space.length + 1), value]));
}

/** `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/…` names them. */
function apiOf(facts) {
  const [, , , , accountId, rest = ""] = facts.get("request:arn").split(":");
  const [apiId, stage] = rest.split("/");
  return { accountId, apiId, stage };
}

/** The path as an API of REST has it; that in `requestContext` keeps the stage. */
function withoutStage(path, stage) {
  const [, first, ...rest] = path.split("/");
  return first === stage ? `/${rest.join("/")}` : path;
}

function resourceOf(facts) {
  const key = facts.get("route:id");
  return key.includes(" ") ? key.slice(key.indexOf(" ") + 1) : key;
}

function domainOf(request) {
  const domainName = request.authority.replace(/:\d+$/, "");
  return { domainName, domainPrefix: domainName.split(".")[0] };
}

/** A time as API Gateway writes it: `12/Mar/2020:19:03:58 +0000`. */
function clf(time) {
  const [, day, month, year, clock] = new Date(Number(time)).toUTCString().split(" ");
  return `${day}/${month}/${year}:${clock} +0000`;
}

// --- Answers ---

function reason(code) {
  return { code, publicText: undefined, headers: [] };
}

function unauthenticated(code) {
  return { tag: "unauthenticated", val: reason(code) };
}

function failure(message) {
  log("error", message);
  return { tag: "unavailable", val: reason("authorizer-error") };
}

async function answer(event, facts) {
  const context = {
    functionName: "lambda-javascript",
    awsRequestId: facts.get("request:id") ?? "",
    callbackWaitsForEmptyEventLoop: true,
  };
  try {
    return await called(event, context);
  } catch (error) {
    if (error === "Unauthorized" || error?.message === "Unauthorized") {
      throw unauthenticated("unauthorized");
    }
    throw failure(`the handler failed: ${error?.stack ? `${error}\n${error.stack}` : error}`);
  }
}

/** Calls the handler, which answers by a promise or by the callback, as on Lambda. */
function called(event, context) {
  return new Promise((resolve, reject) => {
    const callback = (error, result) => (error == null ? resolve(result) : reject(error));
    const returned = handler(event, context, callback);
    if (handler.length < 3 || typeof returned?.then === "function") {
      resolve(returned);
    }
  });
}

function grant(result) {
  const isSimple = settings.version === "2.0" && typeof result?.isAuthorized === "boolean";
  if (isSimple && !result.isAuthorized) {
    throw { tag: "forbidden", val: reason("not-authorized") };
  }
  const policies = isSimple ? [] : [policyOf(result)];
  const context = result.context ?? {};
  if (typeof context !== "object" || Array.isArray(context)) {
    throw failure("`context` is no object");
  }
  return {
    identity: {
      // A simple response has no place for the caller's name but its context.
      principal: isSimple ? String(context.principalId ?? "anonymous") : result.principalId,
      attributes: attributesOf(context),
      usageKey: isSimple ? undefined : (result.usageIdentifierKey ?? undefined),
    },
    expiresAt: undefined,
    responseHeaders: [],
    policies,
  };
}

function policyOf(result) {
  if (typeof result?.principalId !== "string" || result.principalId === "") {
    throw failure("the answer has no `principalId`");
  }
  if (typeof result.policyDocument !== "object" || result.policyDocument === null) {
    throw failure("the answer has no `policyDocument`");
  }
  if (!["undefined", "string"].includes(typeof (result.usageIdentifierKey ?? undefined))) {
    throw failure("`usageIdentifierKey` is no text");
  }
  return { tag: "document", val: JSON.stringify(result.policyDocument) };
}

function attributesOf(context) {
  const present = Object.entries(context).filter(([, value]) => value != null);
  return present.map(([name, value]) => ({
    name,
    value: settings.version === "1.0" ? stringified(name, value) : typed(value),
  }));
}

function stringified(name, value) {
  if (!["string", "number", "boolean"].includes(typeof value)) {
    throw failure(`\`context.${name}\` is neither a text, a number nor a boolean`);
  }
  return { tag: "text", val: String(value) };
}

function typed(value) {
  if (typeof value === "boolean") return { tag: "boolean", val: value };
  if (Number.isSafeInteger(value)) return { tag: "integer", val: BigInt(value) };
  if (typeof value === "string") return { tag: "text", val: value };
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) {
    return { tag: "texts", val: value };
  }
  return { tag: "text", val: JSON.stringify(value) ?? "" };
}
