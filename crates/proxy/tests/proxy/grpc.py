"""gRPC's own server and client, with messages that are plain bytes.

grpc.py serve FILE     writes its port into FILE and serves until it is killed
grpc.py call ADDRESS   makes calls of every kind and prints what came of them
"""

import sys
import threading
from concurrent import futures

# This file has the package's name.
sys.path.pop(0)
import grpc  # noqa: E402

cancelled = threading.Event()


def unary(request, context):
    if request == b"who?":
        context.abort(grpc.StatusCode.NOT_FOUND, "nobody here")
    if request == b"sleep":
        context.add_callback(cancelled.set)
        cancelled.wait(30)
    if request == b"cancelled?":
        return b"yes" if cancelled.wait(10) else b"no"
    return request


def server_stream(request, context):
    for number in range(100):
        yield request + str(number).encode()


def client_stream(requests, context):
    return str(sum(1 for _ in requests)).encode()


def both_ways(requests, context):
    yield from requests


def serve(file):
    server = grpc.server(futures.ThreadPoolExecutor(8))
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
        "BothWays": grpc.stream_stream_rpc_method_handler(both_ways),
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("test.Echo", handlers)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with open(file, "w") as out:
        out.write(f"{port}\n")
    server.wait_for_termination()


def call(address):
    channel = grpc.insecure_channel(address)
    unary = channel.unary_unary("/test.Echo/Unary")
    print("unary", unary(b"hello", timeout=10))

    stream = channel.unary_stream("/test.Echo/ServerStream")
    print("server stream", sum(1 for _ in stream(b"x", timeout=10)))

    stream = channel.stream_unary("/test.Echo/ClientStream")
    print("client stream", stream(iter([b"x"] * 100), timeout=10).decode())

    # Each message waits for the answer to the one before: nothing may be held back on the way.
    turn = threading.Semaphore(1)

    def messages():
        for number in range(100):
            turn.acquire()
            yield str(number).encode()

    count = 0
    for answer in channel.stream_stream("/test.Echo/BothWays")(messages(), timeout=10):
        assert answer == str(count).encode()
        count += 1
        turn.release()
    print("both ways", count)

    print("large", len(unary(b"x" * 4_000_000, timeout=10)))

    failed("own error", lambda: unary(b"who?", timeout=10), details=True)
    failed("deadline", lambda: unary(b"sleep", timeout=0.5))
    if unary(b"cancelled?", timeout=10) == b"yes":
        print("cancelled upstream")
    gone = channel.unary_unary("/test.Gone/Unary")
    failed("no endpoints", lambda: gone(b"hello", timeout=10))


def failed(what, make, details=False):
    try:
        make()
    except grpc.RpcError as error:
        print(what, error.code(), *([error.details()] if details else []))


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](sys.argv[2])
