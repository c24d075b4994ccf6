"""Gradio reads and compresses some fifty small files anew for every visitor; this keeps their answers."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDERS = ("/assets/", "/static/")  # files of Gradio's own package, which do not change while it runs
LARGEST = 1_000_000  # bytes
ENCODINGS = ("br", "gzip", "zstd")


class AssetCache:
    """An ASGI application that answers a plain GET for one of Gradio's own files as it was answered before."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.answers: dict[tuple[str, ...], list[Message]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(FOLDERS):
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        if headers.keys() & {b"if-none-match", b"range"}:
            return await self.app(scope, receive, send)
        accepted = headers.get(b"accept-encoding", b"").decode("latin-1")
        key = scope["path"], *(name for name in ENCODINGS if name in accepted)
        if key not in self.answers:
            answer: list[Message] = []

            async def keep(message: Message) -> None:
                answer.append(message)
                await send(message)

            await self.app(scope, receive, keep)
            whole = answer and answer[0].get("status") == 200 and not answer[-1].get("more_body")
            if whole and sum(len(message.get("body", b"")) for message in answer) <= LARGEST:
                self.answers[key] = answer
            return
        for message in self.answers[key]:
            await send(message)
