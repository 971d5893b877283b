"""Makes a Portcullis authorizer of an AWS Lambda authorizer, which stands unchanged in
`lambda_function.py` on the Python path. How to build it: docs/lambda-authorizers.md."""

import json
import os
import re
import traceback
from datetime import datetime, timezone

from componentize_py_types import Err
from wit_world.exports.authorizer import (
    Denial_Forbidden,
    Denial_Unauthenticated,
    Denial_Unavailable,
    Grant,
    Identity,
    Policy_Document,
    Reason,
)
from wit_world.exports.lifecycle import (
    BodyMode_None_,
    Descriptor,
    Plan,
    Reads,
    Role,
    RolePlan,
    SettingsError,
)
from wit_world.imports import log
from wit_world.imports.types import (
    Attribute,
    Value_Boolean,
    Value_Integer,
    Value_Text,
    Value_Texts,
)

from lambda_function import lambda_handler

TEXT = {"type": "string"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
NAMES = {"type": "array", "items": {"type": "string", "minLength": 1}}

SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"enum": ["TOKEN", "REQUEST"]},
        "version": {"enum": ["1.0", "2.0"]},
        "identity_sources": {
            "type": "array",
            "items": {"type": "string", "pattern": "^(header|query):.+$"},
        },
        "identity_validation_expression": TEXT,
        "headers": NAMES,
        "parameters": NAMES,
        "stage_variables": TEXTS,
        "environment": TEXTS,
    },
    "required": ["type"],
    "additionalProperties": False,
}


class Lifecycle:
    def describe(self):
        return Descriptor(
            name="lambda-python",
            version="0.1.0",
            description="An AWS Lambda authorizer in Python",
            roles=[Role.AUTHORIZER],
            settings_schema=json.dumps(SCHEMA),
        )

    def configure(self, settings):
        global SETTINGS
        SETTINGS = Settings(json.loads(settings))
        os.environ.update(SETTINGS.environment)
        role = RolePlan(role=Role.AUTHORIZER, reads=reads(), cacheable=True, challenge=None)
        return Plan(
            roles=[role], secrets=[], revealed=[], least_lengths=[], issuers=[], origins=[], answers=[], limits=[]
        )


class Authorizer:
    def authorize(self, request):
        identity = [value_of(source, request) for source in SETTINGS.sources]
        if not all(identity):
            raise unauthenticated("missing-identity")
        if SETTINGS.expression and not SETTINGS.expression.fullmatch(identity[0]):
            raise unauthenticated("identity-mismatch")
        facts = {attribute.name: attribute.value.value for attribute in request.attributes}
        return grant(answer(event_of(request, identity, facts), facts))


# --- Settings ---


class Settings:
    """What `configure` was given, with its defaults."""

    def __init__(self, given):
        self.is_token = given["type"] == "TOKEN"
        default = ["header:Authorization"] if self.is_token else []
        sources = given.get("identity_sources", default)
        if self.is_token and not (len(sources) == 1 and sources[0].startswith("header:")):
            refuse("identity_sources", "a TOKEN authorizer has one source, a header")
        for member in ("version", "headers", "parameters", "stage_variables"):
            if self.is_token and member in given:
                refuse(member, "only a REQUEST authorizer is told this; take it out")
        expression = given.get("identity_validation_expression")
        if not self.is_token and expression is not None:
            only = "only a TOKEN authorizer has one; take it out"
            refuse("identity_validation_expression", only)
        try:
            self.expression = None if expression is None else re.compile(expression)
        except re.error as problem:
            refuse("identity_validation_expression", f"no regular expression: {problem}")
        self.version = "1.0" if self.is_token else given.get("version", "2.0")
        self.sources = [tuple(source.split(":", 1)) for source in sources]
        self.headers = given.get("headers", ["*"])
        self.parameters = given.get("parameters", ["*"])
        self.stage_variables = given.get("stage_variables", {})
        self.environment = given.get("environment", {})

    def named(self, kind):
        return [name for source, name in self.sources if source == kind]


SETTINGS = None


def refuse(member, message):
    raise Err(SettingsError(pointer=f"/{member}", message=message))


def reads():
    """What the handler is told of, and no more: this is what a cache compares."""
    headers, parameters = SETTINGS.named("header"), SETTINGS.named("query")
    attributes = ["request:arn"]
    if not SETTINGS.is_token:
        headers += SETTINGS.headers
        parameters += SETTINGS.parameters
        attributes += ["path:*", "stage:*", "route:id", "request:id"]
    return Reads(
        headers=all_or_named(name.lower() for name in headers),
        parameters=all_or_named(parameters),
        attributes=attributes,
        body=BodyMode_None_(),
        response_headers=[],
        response_body=BodyMode_None_(),
    )


def all_or_named(wanted):
    names = list(dict.fromkeys(wanted))
    return ["*"] if "*" in names else names


# --- Events ---


def text(value):
    return value.decode("utf-8", "replace")


def value_of(source, request):
    kind, name = source
    if kind == "header":
        lower = name.lower()
        return ",".join(text(h.value) for h in request.headers if h.name == lower)
    return ",".join(p.value for p in request.parameters if p.name == name)


def event_of(request, identity, facts):
    if SETTINGS.is_token:
        return {
            "type": "TOKEN",
            "authorizationToken": identity[0],
            "methodArn": facts["request:arn"],
        }
    if SETTINGS.version == "1.0":
        return event_of_version_1(request, identity, facts)
    return event_of_version_2(request, identity, facts)


def event_of_version_1(request, identity, facts):
    headers = grouped((spelled(h.name), text(h.value)) for h in request.headers)
    parameters = grouped((p.name, p.value) for p in request.parameters)
    key = facts["route:id"]
    resource = key.split(" ", 1)[-1]
    event = {
        "version": "1.0",
        "type": "REQUEST",
        "methodArn": facts["request:arn"],
        "resource": resource,
        "path": without_stage(request.path, api_of(facts)["stage"]),
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()},
        "multiValueHeaders": headers,
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()},
        "multiValueQueryStringParameters": parameters,
        "pathParameters": named(facts, "path"),
        "stageVariables": {**SETTINGS.stage_variables, **named(facts, "stage")},
        "requestContext": {
            **api_of(facts),
            **domain_of(request),
            "path": request.path,
            "resourcePath": resource,
            "httpMethod": request.method,
            "requestId": facts["request:id"],
            "requestTime": clf(request.time),
            "requestTimeEpoch": request.time,
            "identity": {"sourceIp": request.client_address, **agent(headers)},
        },
    }
    if identity:
        joined = ",".join(identity)
        event.update(identitySource=joined, authorizationToken=joined)
    return event


def event_of_version_2(request, identity, facts):
    headers = grouped((h.name, text(h.value)) for h in request.headers)
    cookies = [each for line in headers.pop("cookie", []) for each in re.split("; *", line)]
    parameters = grouped((p.name, p.value) for p in request.parameters)
    event = {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": facts["request:arn"],
        "routeKey": facts["route:id"],
        "rawPath": request.path,
        "rawQueryString": request.query or "",
        "headers": {name: ",".join(values) for name, values in headers.items()},
        "requestContext": {
            **api_of(facts),
            **domain_of(request),
            "http": {
                "method": request.method,
                "path": request.path,
                "sourceIp": request.client_address,
                **agent(headers),
            },
            "requestId": facts["request:id"],
            "routeKey": facts["route:id"],
            "time": clf(request.time),
            "timeEpoch": request.time,
        },
    }
    unless_empty = {
        "identitySource": identity,
        "cookies": cookies,
        "queryStringParameters": {n: ",".join(values) for n, values in parameters.items()},
        "pathParameters": named(facts, "path"),
        "stageVariables": {**SETTINGS.stage_variables, **named(facts, "stage")},
    }
    event.update((name, value) for name, value in unless_empty.items() if value)
    return event


def spelled(name):
    """A header's name as the settings spell it: handlers of version 1.0 look for that."""
    spellings = SETTINGS.headers + SETTINGS.named("header")
    return next((spelling for spelling in spellings if spelling.lower() == name), name)


def grouped(pairs):
    groups = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return groups


def agent(headers):
    for name, values in headers.items():
        if name.lower() == "user-agent":
            return {"userAgent": values[-1]}
    return {}


def named(facts, wanted):
    """The facts of a namespace, by their names in it."""
    spaced = ((name.partition(":"), value) for name, value in facts.items())
    return {name: value for (space, _, name), value in spaced if space == wanted}


def api_of(facts):
    """`arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/…` names them."""
    parts = facts["request:arn"].split(":", 5)
    api, stage = parts[5].split("/")[:2]
    return {"accountId": parts[4], "apiId": api, "stage": stage}


def without_stage(path, stage):
    """The path as an API of REST has it; that in `requestContext` keeps the stage."""
    first, _, rest = path[1:].partition("/")
    return f"/{rest}" if first == stage else path


def domain_of(request):
    name = re.sub(r":\d+$", "", request.authority)
    return {"domainName": name, "domainPrefix": name.split(".")[0]}


def clf(time):
    """A time as API Gateway writes it: `12/Mar/2020:19:03:58 +0000`."""
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    at = datetime.fromtimestamp(time // 1000, timezone.utc)
    return f"{at:%d}/{months[at.month - 1]}/{at:%Y:%H:%M:%S} +0000"


# --- Answers ---


class LambdaContext:
    """The little of Lambda's context that means something here."""

    function_name = "lambda-python"
    function_version = "$LATEST"

    def __init__(self, request_id):
        self.aws_request_id = request_id


def unauthenticated(code):
    return Err(Denial_Unauthenticated(Reason(code=code, public_text=None, headers=[])))


def failure(message):
    log.log(log.Level.ERROR, message)
    return Err(Denial_Unavailable(Reason("authorizer-error", None, [])))


def answer(event, facts):
    context = LambdaContext(facts.get("request:id", ""))
    try:
        return lambda_handler(event, context)
    # Also `SystemExit`, which would end the interpreter.
    except BaseException as error:
        if str(error) == "Unauthorized":
            raise unauthenticated("unauthorized") from None
        raise failure(f"the handler failed: {''.join(traceback.format_exception(error))}") from None


def grant(result):
    if not isinstance(result, dict):
        raise failure("the answer is no dictionary")
    is_simple = SETTINGS.version == "2.0" and isinstance(result.get("isAuthorized"), bool)
    if is_simple and not result["isAuthorized"]:
        raise Err(Denial_Forbidden(Reason("not-authorized", None, [])))
    policies = [] if is_simple else [policy_of(result)]
    context = result.get("context") or {}
    if not isinstance(context, dict):
        raise failure("`context` is no dictionary")
    # A simple response has no place for the caller's name but its context.
    principal = str(context.get("principalId") or "anonymous")
    return Grant(
        identity=Identity(
            principal=principal if is_simple else result["principalId"],
            attributes=attributes_of(context),
            usage_key=None if is_simple else result.get("usageIdentifierKey"),
        ),
        expires_at=None,
        response_headers=[],
        policies=policies,
    )


def policy_of(result):
    principal = result.get("principalId")
    if not isinstance(principal, str) or not principal:
        raise failure("the answer has no `principalId`")
    if not isinstance(result.get("policyDocument"), dict):
        raise failure("the answer has no `policyDocument`")
    if not isinstance(result.get("usageIdentifierKey"), (str, type(None))):
        raise failure("`usageIdentifierKey` is no text")
    return Policy_Document(to_json(result["policyDocument"]))


def attributes_of(context):
    convert = stringified if SETTINGS.version == "1.0" else typed
    present = ((str(name), value) for name, value in context.items() if value is not None)
    return [Attribute(name, convert(name, value)) for name, value in present]


def stringified(name, value):
    if isinstance(value, bool):
        return Value_Text(str(value).lower())
    if isinstance(value, (str, int, float)):
        return Value_Text(str(value))
    raise failure(f"`context.{name}` is neither a text, a number nor a boolean")


def typed(_name, value):
    if isinstance(value, bool):
        return Value_Boolean(value)
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return Value_Integer(value)
    if isinstance(value, str):
        return Value_Text(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return Value_Texts(value)
    return Value_Text(to_json(value))


def to_json(value):
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as problem:
        raise failure(f"the answer is no JSON: {problem}") from None
