"""Signs requests with botocore and requests-aws4auth at a fixed time, and prints them.

    python tests/clients/sigv4_vectors.py > plugins/iam/src/tests/vectors.json

The signatures in KNOWN were measured once, with other versions of botocore, and are
checked: the clients sign today as they did.
"""

import datetime
import json
from urllib.parse import urlsplit

import botocore.auth
import requests
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests_aws4auth import AWS4Auth

TIME = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "TOKEN/123=="
HOST = "https://abc.execute-api.us-east-1.amazonaws.com"

KNOWN = {
    "encoded path, repeated and empty parameters": "1ead3a0b3dde951a201383fe53d4e56529677e41e5f05ce82e3d0aa38a253bb3",
    "connections": "877295f37b890de757fc838f03af1e98d85949f4dc7a17c63097f19a28ac510e",
    "dot segments": "44aab8e9b98d6cb5ae72a70398b2ba5838cc4f8126c2fc38ee6eba1f351bdb43",
    "session token": "652cdf6df29d2d3cc988f03c8435e7cd386776069aee6e0c920b679f7712979a",
    "presigned with session token": "168e5b7eb19aac68b79a9e7f352cd5e5f897d508108396c1aae4068938bfa670",
    "presigned websocket": "6066f02fc399d6d39de18bc16595259fc53fb9a3f346ff0e6c077acfa902126a",
    "utf-8": "3b22a06ef616b719e833979351c06e7b81078ba35d938ea821a86a84d764527f",
    "port": "2d4012a74fe104e56507b7abe8da7dad67c34cc3eee1a55661ca63a08f16851d",
}


def main():
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: (
        TIME.replace(tzinfo=None) if remove_tzinfo else TIME
    )
    vectors = [
        signed("encoded path, repeated and empty parameters", "GET", HOST + "/prod/pets/a%20b?b=2&a=1&a=0&empty="),
        signed("connections", "POST", HOST + "/prod/@connections/R0oXAdfD0kwCH6w%3D", body="hello"),
        signed("connections, encoded", "POST", HOST + "/prod/%40connections/R0oXAdfD0kwCH6w%3D", body="hello"),
        signed("dot segments", "GET", HOST + "/prod//a/../b/./c"),
        signed("session token", "GET", HOST + "/prod/x", headers=[("X-Test", "  a   b  ")], token=TOKEN),
        signed("presigned with session token", "GET", HOST + "/prod/x?q=1", token=TOKEN, expires=60),
        signed("presigned websocket", "GET", "wss" + HOST[5:] + "/prod", expires=60),
        signed("utf-8", "GET", HOST + "/prod/%E4%BD%A0?k=%E5%A5%BD&z=a+b&t=~"),
        signed("port", "GET", "http://127.0.0.1:8080/prod/x"),
        signed("root", "GET", HOST + "/"),
        signed("trailing slash", "DELETE", HOST + "/prod/x/"),
        signed("parameters without values", "GET", HOST + "/prod/x?flag&other=&flag"),
        signed("reserved characters sent plain", "GET", HOST + "/prod/a:b;c=d?next=/a:b@c&eq=a=b"),
        signed("lower-case triplets", "GET", HOST + "/prod/a%3ab?q=%e4%bd%a0"),
        signed("date in place of x-amz-date", "GET", HOST + "/prod/x", headers=[("Date", "")]),
        signed("repeated header", "GET", HOST + "/prod/x", headers=[("X-List", "b"), ("X-List", " a  c ")]),
        signed("json body", "POST", HOST + "/prod/x", headers=[("Content-Type", "application/json")], body='{"a":1}'),
        signed("large body", "PUT", HOST + "/prod/x", body="0123456789abcdef" * 256),
        signed("stated hash", "GET", HOST + "/prod/x", headers=[("X-Amz-Content-SHA256", EMPTY)]),
        signed("unsigned payload", "POST", HOST + "/prod/x", headers=[("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD")], body="hello"),
        signed("more of x-amz", "GET", HOST + "/prod/x", headers=[("X-Amz-Target", "T.Op"), ("X-Amz-Meta-A", "1")]),
        signed("another region", "GET", HOST + "/prod/x", region="eu-central-1"),
        signed("presigned, several headers signed", "GET", HOST + "/prod/x?b=2&a=%2F", headers=[("X-Test", "1")], expires=1),
        requests_signed("another client: reserved characters", "GET", HOST + "/prod/a%20b?next=/a:b&a=1&a=0"),
        requests_signed("another client: body", "POST", HOST + "/prod/x", data="hello"),
        requests_signed("another client: session token", "GET", HOST + "/prod/x?q=1", token=TOKEN),
    ]
    for vector in vectors:
        known = KNOWN.get(vector["name"])
        assert known is None or known in json.dumps(vector), vector["name"]
    print("[\n" + ",\n".join(json.dumps(vector) for vector in vectors) + "\n]")


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def signed(name, method, url, headers=(), body="", token=None, expires=None, region="us-east-1"):
    request = AWSRequest(method=method, url=url, data=body)
    for header, value in headers:
        request.headers.add_header(header, value)
    credentials = Credentials(KEY, SECRET, token)
    if expires is None:
        signer = botocore.auth.SigV4Auth(credentials, "execute-api", region)
    else:
        signer = botocore.auth.SigV4QueryAuth(credentials, "execute-api", region, expires=expires)
    signer.add_auth(request)
    return vector(name, method, request.url, request.headers.items(), body, token)


def requests_signed(name, method, url, data="", token=None):
    auth = AWS4Auth(KEY, SECRET, "us-east-1", "execute-api", session_token=token, date="20260102")
    prepared = requests.Request(method, url, data=data, headers={"x-amz-date": "20260102T030405Z"}).prepare()
    prepared.url = url
    prepared = auth(prepared)
    return vector(name, method, prepared.url, prepared.headers.items(), data, token)


def vector(name, method, url, headers, body, token):
    parts = urlsplit(url)
    headers = [[header.lower(), value] for header, value in headers]
    if not any(header == "host" for header, _ in headers):
        headers.append(["host", parts.netloc])
    return {
        "name": name,
        "method": method,
        "path": parts.path,
        "query": parts.query if "?" in url else None,
        "headers": headers,
        "body": body,
        "token": token,
    }


main()
