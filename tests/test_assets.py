"""Gradio's own files are answered from memory, all else by Gradio."""

import asyncio

import pytest

from siamese_mnist.assets import LARGEST, AssetCache


def ask(cache, path, method="GET", **headers):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path}
    scope["headers"] = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(cache(scope, None, send))
    return sent


@pytest.fixture
def asked():
    return []


@pytest.fixture
def cache(asked):
    async def app(scope, receive, send):
        asked.append(scope["path"])
        status = 404 if "none" in scope["path"] else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        body = b"x" * (LARGEST + 1 if "large" in scope["path"] else 4)
        await send({"type": "http.response.body", "body": body, "more_body": "cut" in scope["path"]})

    return AssetCache(app)


def test_a_file_is_read_once_for_each_encoding(cache, asked):
    first = ask(cache, "/assets/a.js", accept_encoding="br")
    assert ask(cache, "/assets/a.js", accept_encoding="br") == first
    assert len(asked) == 1
    ask(cache, "/assets/a.js")
    assert len(asked) == 2
    for number in range(5):  # answers are kept by what is meant, not by how it is said
        ask(cache, "/assets/a.js", accept_encoding=f"br;q=0.{number}")
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/", "GET", {}),
        ("/gradio_api/call/match", "POST", {}),
        ("/assets/a.js", "HEAD", {}),
        ("/assets/a.js", "GET", {"if_none_match": "x"}),
        ("/assets/a.js", "GET", {"range": "bytes=0-1"}),
        ("/assets/none.js", "GET", {}),
        ("/assets/cut.js", "GET", {}),
        ("/static/large.wasm", "GET", {}),
    ],
)
def test_nothing_else_is_kept(cache, asked, path, method, headers):
    for _ in range(2):
        ask(cache, path, method, **headers)
    assert asked == [path, path]
