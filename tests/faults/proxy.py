"""A proxy in front of a broker: it can be slow, and do something to the connection around one request, EndTxn."""

import asyncio
import contextlib
import math
import threading
from collections import Counter
from concurrent.futures import Future
from types import TracebackType
from typing import Literal, Self

from deploy.local.process import HOST

END_TXN = 26
"""Kafka's number of the request that commits or aborts a transaction; it follows a frame's length of four bytes."""

Fault = Literal["cut before the broker has it", "cut before the answer is back", "the answer is dropped"]
"""The broker knows nothing of the commit, or has done it and nobody hears of it: at once, or only after a timeout."""


class Proxy:
    """``with Proxy(port) as proxy: …``: what is sent to `proxy.address` goes to a port of this machine and back.

    Args:
        listen: the port for clients.
        upstream: the broker's port.
    """

    def __init__(self, listen: int, upstream: int) -> None:
        self.address = f"{HOST}:{listen}"
        self.done: Counter[Fault] = Counter()
        self.bytes_per_second = math.inf  # towards the broker, on each connection
        self._listen, self._upstream = listen, upstream
        self._next: Fault | None = None
        self._loop = asyncio.new_event_loop()
        self._listening: Future[None] = Future()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def do_next(self, fault: Fault) -> None:
        """Do this to the next EndTxn."""
        self._next = fault

    def __enter__(self) -> Self:
        self._thread.start()
        self._listening.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        try:
            server = await asyncio.start_server(self._connect, HOST, self._listen)
        except OSError as error:
            self._listening.set_exception(error)
            return
        self._listening.set_result(None)
        await self._end.wait()
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _connect(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """One client, until either side closes or the connection is cut."""
        broker, to_broker = await asyncio.open_connection(HOST, self._upstream)
        unheard: dict[bytes, Fault] = {}  # correlation id -> why the client must not hear the answer
        directions = {
            asyncio.create_task(self._requests(client, to_broker, unheard)),
            asyncio.create_task(self._answers(broker, to_client, unheard)),
        }
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            to_client.close()
            to_broker.close()

    async def _requests(
        self, client: asyncio.StreamReader, broker: asyncio.StreamWriter, unheard: dict[bytes, Fault]
    ) -> None:
        """Each is its length, then api key (2 bytes), api version (2), correlation id (4) and the rest."""
        while True:
            length, request = await read_frame(client)
            if self._next and int.from_bytes(request[:2], "big") == END_TXN:
                fault, self._next = self._next, None
                if fault == "cut before the broker has it":
                    self.done[fault] += 1
                    return
                unheard[request[4:8]] = fault
            await asyncio.sleep(len(request) / self.bytes_per_second)
            broker.write(length + request)
            await broker.drain()

    async def _answers(
        self, broker: asyncio.StreamReader, client: asyncio.StreamWriter, unheard: dict[bytes, Fault]
    ) -> None:
        """Each is its length, then the correlation id (4 bytes) and the rest."""
        while True:
            length, answer = await read_frame(broker)
            fault = unheard.pop(answer[:4], None)
            if fault:
                self.done[fault] += 1
                if fault == "cut before the answer is back":
                    return
                continue
            client.write(length + answer)
            await client.drain()


async def read_frame(stream: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The four bytes of a frame's length, and the frame."""
    length = await stream.readexactly(4)
    return length, await stream.readexactly(int.from_bytes(length, "big"))
