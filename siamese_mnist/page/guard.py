"""What stands before Gradio's server, which has no setting for it (seen with 6.31): which doors are open, how much may
come in and how long that may take, whose turn it is, and what is cleared away."""

import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import gradio as gr

Scope, Message = MutableMapping[str, Any], MutableMapping[str, Any]
Receive, Send = Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

API = "/gradio_api"
READ = re.compile(
    rf"/|/(assets|static|svelte)/.*|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json)/?"
    rf"|{API}/(info|openapi\.json|startup-events|theme\.css|app_id|queue/data|heartbeat/\w+|call/(v2/)?\w+/\w+)/?"
)
LARGEST = {f"{API}/upload": 21_000_000, f"{API}/component_server": 4_000_000}  # Bytes of a request; 0 elsewhere.
LARGEST |= dict.fromkeys((f"{API}/queue/join", f"{API}/cancel", f"{API}/reset"), 200_000)
SLOWEST = 20.0  # Seconds in which a request must be there.
AT_ONCE, WAITING = 2, 60  # Requests of a visitor that are answered at once, and that wait for it.
STREAMS = 60  # Answers that a visitor waits for at once.
IDLE = 15.0  # Seconds for which a connection may say nothing.
MOST_TOLD = 20  # Kinds of failures that are printed.
KEPT, MOST_KEPT, MOST_FILES = 600.0, 200_000_000, 1000  # Seconds, bytes in all, and files: so are uploads kept.


class Refused(Exception):
    """A request that is not passed on: its status, and why."""


class Guard:
    """Wraps the server's app. `calls` are the API's, `uploads` the folder of files that came in, which it clears."""

    def __init__(self, calls: tuple[str, ...], uploads: Path) -> None:
        self.largest = LARGEST | {f"{API}/call/{kind}{name}": 200_000 for name in calls for kind in ("", "v2/")}
        self.uploads, self.page = uploads, None
        self.waiting, self.streams = Counter[tuple[str, bool]](), Counter[str]()
        self.turns: WeakValueDictionary[tuple[str, bool], asyncio.Semaphore] = WeakValueDictionary()
        self.told: set[str] = set()
        self.silent: dict[Any, float] = {}  # Connections, and since when they say nothing.

    def watch(self, page: gr.Blocks) -> None:
        """Names the page, once it is served: its queue says who waits, its server who is connected."""
        self.page = page

    def wrap(self, app: App) -> App:
        """The app behind it."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                sweeper = asyncio.create_task(self._sweep())
                try:
                    return await app(scope, receive, send)
                finally:
                    sweeper.cancel()
            try:
                return await self._pass(app, scope, receive, send)
            except Refused as refusal:
                status, why = refusal.args
            except Exception as error:  # Gradio's on what it did not expect; uvicorn would print 50 lines of each.
                status, why = 400, "no such thing can be asked"
                told = f"{scope.get('path')}: {type(error).__name__}"
                if told not in self.told and len(self.told) < MOST_TOLD:
                    self.told.add(told)
                    print(f"refused {told}", file=sys.stderr)
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
            with suppress(RuntimeError):  # The answer has begun, or the connection is gone.
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": why.encode()})

        return guarded

    async def _pass(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise Refused(404, "no such page")
        path, visitor = scope["path"].rstrip("/") or "/", (scope.get("client") or ("",))[0]
        if scope["method"] in ("GET", "HEAD") and READ.fullmatch(path):
            with _counted(self.streams, visitor, STREAMS):
                return await app(scope, receive, send)
        if scope["method"] != "POST" or path not in self.largest:
            raise Refused(404, "no such page")
        coming, kind = _Coming(receive, self.largest[path]), (visitor, path.endswith("/upload"))
        turn = self.turns.setdefault(kind, asyncio.Semaphore(AT_ONCE))
        with _counted(self.waiting, kind, AT_ONCE + WAITING):
            if path.endswith("/upload"):
                async with turn:
                    await asyncio.to_thread(self._clear)
                    try:
                        return await app(scope, coming.receive, send)
                    except OSError as error:
                        for unfinished in self.uploads.glob("tmp*"):
                            with suppress(FileNotFoundError):
                                os.truncate(unfinished, 0)  # It may still be open.
                                unfinished.unlink()
                        raise Refused(507, f"the server cannot keep the file: {error.strerror}") from error
            self._check(body := await coming.read())
            async with turn:
                while self._queued(visitor) >= 2 * AT_ONCE:
                    await asyncio.sleep(0.01)
                whole = iter([{"type": "http.request", "body": body, "more_body": False}])

                async def replay() -> Message:
                    return next(whole, None) or await receive()

                await app(scope, replay, send)

    def _queued(self, visitor: str) -> int:
        queues = self.page._queue.event_queue_per_concurrency_id.values() if self.page else ()
        return sum(event.request.client.host == visitor for queue in queues for event in queue.queue)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(IDLE / 3)
            now, server = time.monotonic(), getattr(self.page, "server", None)
            connections = server.server_state.connections if server else ()
            silent = [each for each in connections if each.cycle is None or each.cycle.response_complete]
            self.silent = {each: self.silent.get(each, now) for each in silent}
            for each in [each for each, since in self.silent.items() if now - since > IDLE]:
                each.transport.close()
            await asyncio.to_thread(self._clear)

    def _check(self, body: bytes) -> None:
        """Refuses what is no JSON, and a file that was not uploaded: Gradio would fetch addresses."""
        try:
            left = [json.loads(body)]
        except (ValueError, RecursionError):
            raise Refused(400, "no JSON") from None
        while left:
            one = left.pop()
            if isinstance(one, dict):
                if "path" in one and not self._is_upload(str(one["path"])):
                    raise Refused(400, "no such file; upload it first")
                one = [*one.values()]
            left += one if isinstance(one, list) else []

    def _is_upload(self, name: str) -> bool:
        try:
            path = Path(name).resolve()
            return path.is_relative_to(self.uploads.resolve()) and path.is_file()
        except (OSError, ValueError):
            return False

    def _clear(self) -> None:
        """Removes uploads that are old, and the oldest ones, if all of them are too many."""
        files, total = [], 0
        for path in self.uploads.rglob("*"):
            with suppress(FileNotFoundError):  # Another thread was faster.
                if path.is_file():
                    files.append(((found := path.stat()).st_mtime, found.st_size, path))
        for number, (modified, size, path) in enumerate(sorted(files, reverse=True)):
            total += size
            if time.time() - modified > KEPT or total > MOST_KEPT or number >= MOST_FILES:
                path.unlink(missing_ok=True)
                with suppress(OSError):  # The folder holds others.
                    path.parent.rmdir()


@contextmanager
def _counted(counter: Counter[Any], key: Any, most: int) -> Iterator[None]:
    """One more while it lasts. Refused beyond so many."""
    if counter[key] >= most:
        raise Refused(429, "too many requests at once; wait for some answers")
    counter[key] += 1
    try:
        yield
    finally:
        counter[key] -= 1
        if not counter[key]:
            del counter[key]


class _Coming:
    """The body of a request, as it comes: Refused if it is too large, too slow, or cut off."""

    def __init__(self, receive: Receive, largest: int) -> None:
        self.source, self.largest, self.size = receive, largest, 0
        self.ends: float | None = time.monotonic() + SLOWEST  # None once all is there.

    async def receive(self) -> Message:
        if self.ends is None:
            return await self.source()
        try:
            message = await asyncio.wait_for(self.source(), max(0.0, self.ends - time.monotonic()))
        except TimeoutError:
            raise Refused(408, f"not there within {SLOWEST:g} seconds") from None
        if message["type"] == "http.disconnect":
            raise Refused(400, "cut off")
        self.size += len(message.get("body", b""))
        if self.size > self.largest:
            raise Refused(413, f"more than {self.largest:,} bytes")
        if not message.get("more_body"):
            self.ends = None
        return message

    async def read(self) -> bytes:
        parts = []
        while self.ends is not None:
            parts.append((await self.receive()).get("body", b""))
        return b"".join(parts)
