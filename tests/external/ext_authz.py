"""An external authorization service, with Envoy's own messages.

Serves on a free port, which is its first line, until its standard input ends.
"""

import sys
from concurrent import futures

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from envoy.type.v3 import http_status_pb2
from google.rpc import status_pb2


def header(key, value):
    return base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=key, value=value))


class Authorization(external_auth_pb2_grpc.AuthorizationServicer):
    def Check(self, request, context):
        http = request.attributes.request.http
        if http.headers.get("authorization") == "crash":
            context.abort(grpc.StatusCode.INTERNAL, "as asked")
        if http.headers.get("authorization") != "Bearer good":
            return external_auth_pb2.CheckResponse(
                status=status_pb2.Status(code=16),
                denied_response=external_auth_pb2.DeniedHttpResponse(
                    status=http_status_pb2.HttpStatus(code=401),
                    headers=[header("www-authenticate", "Bearer")],
                    body="who are you?",
                ),
            )
        saw = [http.method, http.path, http.host.split(":")[0], http.raw_body.decode()]
        saw.append(request.attributes.context_extensions["zone"])
        saw.append(request.attributes.source.address.socket_address.address)
        return external_auth_pb2.CheckResponse(
            status=status_pb2.Status(code=0),
            ok_response=external_auth_pb2.OkHttpResponse(
                headers=[header("x-user", "alice"), header("x-saw", " ".join(saw))],
                response_headers_to_add=[header("x-checked", "yes")],
            ),
        )


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
external_auth_pb2_grpc.add_AuthorizationServicer_to_server(Authorization(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
