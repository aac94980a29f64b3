"""Serves what the smoke run calls: server.py <image> <port>."""

import sys
import time
from concurrent import futures

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from suite import ECHO_HEADER, ECHO_TRAILER, SERVICE, Suite


class Server:
    def __init__(self, suite):
        self.Response = suite.response("UnaryCall")
        self.StreamResponse = suite.response("StreamingOutputCall")
        self.cancelled = 0

    def unary_call(self, request, context):
        sent = dict(context.invocation_metadata())
        if ECHO_HEADER in sent:
            context.send_initial_metadata(((ECHO_HEADER, sent[ECHO_HEADER]),))
        context.set_trailing_metadata(tuple(self.trailers(sent, context)))
        if request.response_status.code:
            context.abort_with_status(rpc_status.to_status(refusal(request.response_status)))
        return self.Response(payload={"body": bytes(request.response_size)})

    def trailers(self, sent, context):
        yield "x-cancelled", str(self.cancelled)
        yield "x-remaining-ms", str(int((context.time_remaining() or 0) * 1_000))
        if ECHO_TRAILER in sent:
            yield ECHO_TRAILER, sent[ECHO_TRAILER]

    def streaming_output_call(self, request, context):
        for parameters in request.response_parameters:
            time.sleep(parameters.interval_us / 1_000_000)
            if not context.is_active():
                self.cancelled += 1
                return
            yield self.StreamResponse(payload={"body": bytes(parameters.size)})


def refusal(status):
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="response_status.code", description="asks for a refusal")
    detail = any_pb2.Any()
    detail.Pack(bad)
    return status_pb2.Status(code=status.code, message=status.message, details=[detail])


def serve(image, port):
    suite = Suite(image)
    service = Server(suite)
    methods = {
        "UnaryCall": grpc.unary_unary_rpc_method_handler(
            service.unary_call,
            request_deserializer=suite.request("UnaryCall").FromString,
            response_serializer=suite.response("UnaryCall").SerializeToString,
        ),
        "StreamingOutputCall": grpc.unary_stream_rpc_method_handler(
            service.streaming_output_call,
            request_deserializer=suite.request("StreamingOutputCall").FromString,
            response_serializer=suite.response("StreamingOutputCall").SerializeToString,
        ),
    }
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    serve(*sys.argv[1:])
