"""Attacks the page as its worst visitors would, and says what it withstood.

python -m tests.stress.page             5,000 images, 300 visitors, 1,000 addresses, five greedy minutes: half an hour
python -m tests.stress.page --share 0.01
"""

import argparse
import itertools
import random
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from tqdm import tqdm

from tests.stress.visitors import API, Server, Visitor, as_bytes, as_file, as_url, seconds_of, served
from tests.strokes import draw, place

FORMATS = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("P",),
    "BMP": ("1", "L", "RGB"),
    "TIFF": ("1", "L", "RGBA", "CMYK", "I;16", "F", "LAB"),
    "PPM": ("1", "L", "RGB"),
    "TGA": ("RGB",),
    "ICO": ("RGBA",),
    "PDF": ("RGB",),
    "JPEG2000": ("RGB",),
}
SEVEN = draw(place(7, 150, 90, 50), 14)
MOST_MEMORY = 1200  # Megabytes of the server, whatever comes.


def images(server: Server, count: int) -> dict[str, Any]:
    """Sends images of all formats and modes, most of them damaged, animated, turned or of hostile sizes."""
    numbers, visitor, slowest, answers = random.Random(0), Visitor(server.url), 0.0, {"scores": 0, "messages": 0}
    kinds = [(format, mode) for format, modes in FORMATS.items() for mode in modes]
    for number in tqdm(range(count), desc="images"):
        format, mode = kinds[number % len(kinds)]
        content = bytearray(_image(format, mode, numbers))
        for _ in range(numbers.choice((0, 1, 3, 30))):
            content[numbers.randrange(len(content))] = numbers.randrange(256)
        content = content[: numbers.choice((len(content), len(content), numbers.randrange(len(content) + 1)))]
        began = time.perf_counter()
        answer = visitor.match(bytes(content))
        slowest = max(slowest, time.perf_counter() - began)
        assert (isinstance(answer, dict) and "scores" in answer) or (isinstance(answer, str) and answer != "None"), (
            answer
        )
        answers["messages" if isinstance(answer, str) else "scores"] += 1
    assert visitor.match(as_bytes(SEVEN))["winner"] == "7"
    assert server.peak < MOST_MEMORY, server.peak
    return answers | {"slowest s": round(slowest, 2), "peak MB": server.peak}


def _image(format: str, mode: str, numbers: random.Random) -> bytes:
    size = numbers.choice([(280, 280)] * 12 + [(1, 1), (7, 9), (4096, 60), (4097, 10), (1500, 1500), (4096, 4096)])
    image = SEVEN.resize(size) if mode not in ("I;16", "LAB") else Image.new(mode, size)
    if mode not in ("I;16", "LAB"):
        image = image.convert(mode)
    options: dict[str, Any] = {}
    if format in ("GIF", "PNG", "WEBP", "TIFF") and numbers.random() < 0.2 and size == (280, 280):
        options = {"save_all": True, "append_images": [image.rotate(90)] * 3}
    if format in ("JPEG", "PNG", "WEBP") and not options:
        exif = Image.Exif()
        exif[0x0112] = numbers.randrange(10)  # turned, or nonsense
        options = {"exif": exif}
    return as_bytes(image, format, **options)


def strangers(server: Server, count: int) -> dict[str, Any]:
    """Visitors who taught a symbol of the same name, or drew, at once: each is answered by his own alone."""
    drawings = {digit: as_url(as_bytes(draw(place(digit, 150, 90, 50), 14))) for digit in (2, 7)}

    def teach(number: int) -> None:
        visitor, digit = Visitor(server.url, 1 + number % 200), (2, 7)[number % 2]
        seen = visitor.ask("match", {"drawing": drawings[digit]})["seen"]
        question = {"drawing": drawings[digit], "symbols": [{"name": "mine", "examples": [seen]}]}
        answer = visitor.ask("match", question)
        assert answer["winner"] == "mine", answer
        assert "mine" not in str(visitor.ask("match", {"drawing": drawings[digit]}))
        assert len(visitor.ask("open", {})["places"]) == len(visitor.ask("open", {})["names"]) * 20

    with ThreadPoolExecutor(8) as pool:
        list(tqdm(pool.map(teach, range(count)), desc="visitors", total=count))
    return {"visitors": count, "saw another's": 0}


def addresses(server: Server, count: int) -> dict[str, Any]:
    """Files of the server, addresses of all kinds, templates and HTML in every place that takes a name."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as bait:
        bait.settimeout(0.2)
        places = [
            "/etc/passwd",
            "../../etc/passwd",
            "file:///etc/passwd",
            "data:text/html,x",
            "\\\\host\\share",
            "/proc/self/environ",
        ]
        places += [
            f"http://127.0.0.1:{bait.getsockname()[1]}/x",
            f"HTTP:/127.0.0.1:{bait.getsockname()[1]}/x",
            "https://10.0.0.1/x",
        ]
        places += ["http://example.com/x.png", "ftp://example.com/x", "http://[::1]/", "http://169.254.169.254/latest"]
        texts = [
            "{{7*7777}}",
            "${7*7777}",
            "<img src=x onerror=alert(1)>",
            "'\"><script>alert(1)</script>",
            "{%import os%}",
        ]
        visitor, numbers = Visitor(server.url), random.Random(0)
        doors: list[Callable[[str], Any]] = [
            lambda value: visitor.call("match", as_file(value)),
            lambda value: visitor.call("match", {"path": "x", "url": value, "meta": {"_type": "gradio.FileData"}}),
            lambda value: visitor.call("match_many", [as_file(value)]),
            lambda value: visitor.call("verify", as_file(value), as_file(value)),
            lambda value: visitor.call(value, None),
            lambda value: visitor.get(f"{API}/file={value}").text,
            lambda value: visitor.get(f"{API}/proxy={value}").text,
            lambda value: visitor.get(f"/static/{value}").text,
            lambda value: visitor.get(f"/assets/%2e%2e/%2e%2e/{value}").text,
            lambda value: str(visitor.ask("match", {"drawing": value})),
            lambda value: str(
                visitor.ask("match", {"drawing": value, "symbols": [{"name": value, "examples": [value]}]})
            ),
            lambda value: (
                visitor.post(f"{API}/component_server", json={"data": value, "fn_name": value, "component_id": 1}).text
            ),
            lambda value: (
                visitor.post(f"{API}/queue/join", json={"data": [value], "fn_index": 0, "session_hash": value}).text
            ),
        ]
        tried = itertools.islice(itertools.cycle(itertools.product(doors, places + texts)), count)
        for door, value in tqdm([*tried], desc="addresses"):
            value = value.replace("/", "%2f") if numbers.random() < 0.2 else value
            answer = str(door(value))
            assert not any(secret in answer for secret in ("root:x:", "PATH=", "54439")), answer
        with suppress(TimeoutError):
            asked.append(bait.accept())
    assert not asked, asked
    return {"tried": count, "served, fetched or run": 0}


def greedy(server: Server, seconds: float) -> dict[str, Any]:
    """Half-sent bodies, dropped uploads, idle connections, huge JSON, the largest images, 20 who ask all the time."""
    where, ends = urlsplit(server.url), time.monotonic() + seconds
    before = server.memory, server.descriptors
    big = as_bytes(Image.fromarray(np.random.default_rng(0).integers(0, 255, (4096, 4096), np.uint8)))
    drawing = as_url(as_bytes(SEVEN))

    def until_end(act: Callable[[], Any]) -> None:
        while time.monotonic() < ends:
            try:
                act()
            except Exception:  # What becomes of the greedy is not the question.
                time.sleep(0.2)

    def half_sent() -> None:
        with socket.create_connection((where.hostname, where.port)) as sock:
            sock.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\nhalf")
            time.sleep(1)

    def idle() -> None:
        socks = [socket.create_connection((where.hostname, where.port)) for _ in range(200)]
        for sock in socks[::2]:
            sock.sendall(b"GET / HT")
        time.sleep(min(20, seconds))  # Longer than the page waits.
        for sock in socks:
            sock.close()

    def drop() -> None:
        Visitor(server.url, 3).upload(big)
        time.sleep(1)

    def huge() -> None:
        Visitor(server.url, 4).post(f"{API}/component_server", content=b'{"data": "' + b"x" * 60_000_000)

    def large() -> None:
        visitor = Visitor(server.url, 5)
        visitor.call("match_many", [as_file(visitor.upload(big))] * 5)

    def ask(number: int) -> Callable[[], Any]:
        visitor = Visitor(server.url, 6)
        questions = (lambda: visitor.ask("match", {"drawing": drawing}), lambda: visitor.match(as_bytes(SEVEN)))
        return lambda: (time.sleep(0.2), questions[number % 2]())

    acts = [half_sent, idle, drop, huge, *[large] * 4, *map(ask, range(20))]
    threads = [threading.Thread(target=until_end, args=(act,), daemon=True) for act in acts]
    for thread in threads:
        thread.start()
    waited, visitor = [], Visitor(server.url, 9)
    with tqdm(total=round(seconds), desc="greedy visitors") as bar:
        while time.monotonic() < ends:
            waited.append(seconds_of(visitor.ask, "match", {"drawing": drawing}))
            time.sleep(0.5)
            bar.update(round(seconds - max(0.0, ends - time.monotonic())) - bar.n)
    for thread in threads:
        thread.join(40)
    for _ in range(30):  # What the page still waits for ends by itself.
        if server.descriptors > before[1]:
            time.sleep(1)
    found = {"median s": round(statistics.median(waited), 3), "worst s": round(max(waited), 3), "peak MB": server.peak}
    return found | {"MB before, after": (before[0], server.memory), "descriptors": (before[1], server.descriptors)}


def crowd(server: Server, calls: int) -> dict[str, Any]:
    """20 clients at once, each of whom asks again once he is answered."""
    clients = [Visitor(server.url) for _ in range(20)]
    paths, waited = [client.upload(as_bytes(SEVEN)) for client in clients], []

    def ask(client: Visitor, path: str) -> None:
        for _ in range(calls):
            began = time.perf_counter()
            assert client.call("match", as_file(path))["winner"] == "7"
            waited.append(time.perf_counter() - began)

    began = time.perf_counter()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(ask, clients, paths))
    rate = 20 * calls / (time.perf_counter() - began)
    return {"calls a second": round(rate, 1), "median s": round(statistics.median(waited), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="of all that is tried")
    parser.add_argument("--only", help="one of the attacks")
    args = parser.parse_args()
    attacks = {crowd: 50, images: 5000, strangers: 300, addresses: 1000, greedy: 300}
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server:
        for attack, count in attacks.items():
            if args.only in (None, attack.__name__):
                print(attack.__name__, attack(server, max(1, round(args.share * count))), flush=True)
        assert "Traceback" not in server.complaints, server.complaints[:3000]
        print("left on the disk:", sum(path.is_file() for path in Path(folder).rglob("*")) - 1, "files")


if __name__ == "__main__":
    main()
