"""Executes one case of the smoke run against a server: client.py <image> <port> <case>. Ends with 0 if it passes."""

import sys

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from suite import ECHO_HEADER, ECHO_TRAILER, SERVICE, Suite


class Client:
    def __init__(self, image, port):
        suite = Suite(image)
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.Request = suite.request("UnaryCall")
        self.StreamRequest = suite.request("StreamingOutputCall")
        self.unary = channel.unary_unary(
            f"/{SERVICE}/UnaryCall",
            request_serializer=self.Request.SerializeToString,
            response_deserializer=suite.response("UnaryCall").FromString,
        )
        self.stream = channel.unary_stream(
            f"/{SERVICE}/StreamingOutputCall",
            request_serializer=self.StreamRequest.SerializeToString,
            response_deserializer=suite.response("StreamingOutputCall").FromString,
        )

    def responses(self, *sizes, interval_us=0):
        return self.StreamRequest(response_parameters=[{"size": size, "interval_us": interval_us} for size in sizes])


def expect(actual, wanted):
    if actual != wanted:
        raise AssertionError(f"got {actual!r}, wanted {wanted!r}")


def error_of(work):
    try:
        work()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call succeeded")


def unary(client):
    expect(len(client.unary(client.Request(response_size=314159), timeout=10).payload.body), 314159)


def server_stream(client):
    sizes = [len(response.payload.body) for response in client.stream(client.responses(31415, 9, 2653), timeout=10)]
    expect(sizes, [31415, 9, 2653])


def deadline(client):
    _, call = client.unary.with_call(client.Request(), timeout=10)
    remaining = int(dict(call.trailing_metadata())["x-remaining-ms"])
    # grpcio rounds up what it sends.
    expect(remaining, min(max(remaining, 1), 10_100))
    late = client.responses(1, interval_us=10_000_000)
    expect(error_of(lambda: list(client.stream(late, timeout=1))).code(), grpc.StatusCode.DEADLINE_EXCEEDED)


def cancel(client):
    call = client.stream(client.responses(*[1] * 100, interval_us=50_000))
    expect(len(next(call).payload.body), 1)
    call.cancel()
    expect(error_of(lambda: next(call)).code(), grpc.StatusCode.CANCELLED)


def metadata(client):
    sent = ((ECHO_HEADER, "hello"), (ECHO_TRAILER, b"\xab\x00\xff"))
    _, call = client.unary.with_call(client.Request(), metadata=sent, timeout=10)
    expect(dict(call.initial_metadata())[ECHO_HEADER], "hello")
    expect(dict(call.trailing_metadata())[ECHO_TRAILER], b"\xab\x00\xff")


def rich_error(client):
    refused = client.Request(response_status={"code": 3, "message": "no ☺"})
    error = error_of(lambda: client.unary(refused, timeout=10))
    expect((error.code(), error.details()), (grpc.StatusCode.INVALID_ARGUMENT, "no ☺"))
    status = rpc_status.from_call(error)
    expect((status.code, status.message), (3, "no ☺"))
    bad = error_details_pb2.BadRequest()
    expect([detail.Unpack(bad) for detail in status.details], [True])
    violations = [(violation.field, violation.description) for violation in bad.field_violations]
    expect(violations, [("response_status.code", "asks for a refusal")])


if __name__ == "__main__":
    _, image, port, case = sys.argv
    globals()[case](Client(image, port))
