"""Signs requests with botocore, now, and sends them: `sigv4.py ADDRESS REQUESTS`.

Each request is an object with `path` and, where not the usual, `method`, `headers`, `body`
(`times` over), `key`, `secret`, `token`, `region`, `late` (seconds by which the clock goes wrong) and
`expires` (presigned, for so many seconds). What `then` names is sent in place of what was
signed; `end` is what the body ends in. Prints a list of [status, body].
"""

import datetime
import http.client
import json
import sys
from urllib.parse import urlsplit

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

address, requests = sys.argv[1], json.loads(sys.argv[2])


def answer(wanted):
    late = datetime.timedelta(seconds=wanted.get("late", 0))
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: (
        datetime.datetime.now(datetime.timezone.utc) + late
    )
    sent = {"method": "GET", "headers": {}, "body": ""} | wanted
    body = sent["body"] * sent.get("times", 1)
    url = f"http://{address}{sent['path']}"
    request = AWSRequest(method=sent["method"], url=url, data=body.encode())
    for name, value in sent["headers"].items():
        request.headers[name] = value
    credentials = Credentials(sent["key"], sent["secret"], sent.get("token"))
    where = ("execute-api", sent.get("region", "us-east-1"))
    if "expires" in sent:
        signer = botocore.auth.SigV4QueryAuth(credentials, *where, expires=sent["expires"])
    else:
        signer = botocore.auth.SigV4Auth(credentials, *where)
    signer.add_auth(request)

    parts = urlsplit(request.url)
    target = parts.path + ("?" + parts.query if parts.query else "")
    headers = dict(request.headers.items())
    then = sent.get("then", {})
    headers.update(then.get("headers", {}))
    target = then.get("path", target) + then.get("suffix", "")
    connection = http.client.HTTPConnection(address, timeout=60)
    end = then.get("end", "")
    body = then.get("body", body[: len(body) - len(end)] + end).encode()
    connection.request(then.get("method", sent["method"]), target, body, headers)
    response = connection.getresponse()
    return [response.status, response.read().decode()]


print(json.dumps([answer(wanted) for wanted in requests]))
