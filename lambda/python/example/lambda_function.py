"""A REQUEST authorizer (format 2.0, simple responses) as it runs on AWS Lambda: it knows
nothing of Portcullis."""

import hmac

KEYS = {"alice": "key-1", "bob": "key-2"}


def lambda_handler(event, context):
    tenant, key = event["identitySource"]
    expected = KEYS.get(tenant)
    if expected is None:
        raise Exception("Unauthorized")

    # Everybody reads; only alice writes.
    is_write = event["requestContext"]["http"]["method"] != "GET"
    is_known = hmac.compare_digest(expected.encode(), key.encode())
    return {
        "isAuthorized": is_known and (tenant == "alice" or not is_write),
        "context": {
            "principalId": tenant,
            "routeKey": event["routeKey"],
            "roles": ["reader", "writer"] if tenant == "alice" else ["reader"],
            "quota": {"daily": 1000},
        },
    }
