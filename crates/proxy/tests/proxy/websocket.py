"""A WebSocket server that echoes, and a client for it.

websocket.py serve FILE   writes its port into FILE and serves until it is killed
websocket.py talk URL     exchanges messages and prints what came of them
"""

import asyncio
import sys

import websockets

LIMIT = 2 * 1024 * 1024


async def echo(socket, path=None):
    async for message in socket:
        await socket.send(message)


async def serve(file):
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=LIMIT) as server:
        port = server.sockets[0].getsockname()[1]
        with open(file, "w") as out:
            out.write(f"{port}\n")
        await asyncio.Future()


async def talk(url):
    async with websockets.connect(url, max_size=LIMIT) as socket:
        large = bytes(1024 * 1024)
        await socket.send(large)
        echoed = await socket.recv()
        assert echoed == large
        count = 0
        for number in range(100):
            await socket.send(str(number))
            assert await socket.recv() == str(number)
            count += 1
        await socket.close()
        print(f"{len(echoed)} bytes, {count} messages, closed {socket.close_code}")


if __name__ == "__main__":
    asyncio.run({"serve": serve, "talk": talk}[sys.argv[1]](sys.argv[2]))
