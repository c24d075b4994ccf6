"""Visitors of a page in a process of its own: what they ask by its API and its script, and what the process takes."""

import base64
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
API = "/gradio_api"


class Visitor(httpx.Client):
    """Someone at an address of his own; the page is on loopback, which has many."""

    def __init__(self, url: str, number: int = 1) -> None:
        super().__init__(base_url=url, transport=httpx.HTTPTransport(local_address=f"127.0.0.{number}"), timeout=60)

    def upload(self, content: bytes) -> str:
        """Where a file lies on the server."""
        return self.post(f"{API}/upload", files={"files": ("image", content)}).raise_for_status().json()[0]

    def call(self, name: str, *data: Any) -> Any:
        """What the API answers; a string says why it does not."""
        event = self.post(f"{API}/call/{name}", json={"data": data})
        if event.status_code != 200:
            return event.text
        told = self.get(f"{API}/call/{name}/{event.json()['event_id']}").text
        kind, answer = re.search(r"event: (complete|error)\ndata: (.*)", told).groups()
        answer = json.loads(answer)
        return answer[0] if kind == "complete" else str((answer or {}).get("error"))

    def match(self, content: bytes) -> Any:
        """Uploads an image and matches it."""
        sent = self.post(f"{API}/upload", files={"files": ("image", content)})
        return self.call("match", as_file(sent.json()[0])) if sent.status_code == 200 else sent.text

    def ask(self, name: str, question: Any) -> dict[str, Any]:
        """What the page's script is answered."""
        config = self.get("/config").json() if not hasattr(self, "page") else None
        if config:
            self.page = next(one["id"] for one in config["components"] if one["props"].get("elem_id") == "siamese")
        body = {"data": question, "fn_name": name, "component_id": self.page, "session_hash": f"visitor{id(self)}"}
        return self.post(f"{API}/component_server", json=body).raise_for_status().json()


class Server:
    """demo.py, and what it takes."""

    def __init__(self, process: subprocess.Popen, url: str, folder: Path) -> None:
        self.process, self.url, self.folder = process, url, folder

    @property
    def complaints(self) -> str:
        """What it printed of errors."""
        return (self.folder / "log").read_text()

    @property
    def memory(self) -> int:
        """Megabytes that it has now."""
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) // 1024

    @property
    def peak(self) -> int:
        """Megabytes that it had at most."""
        return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1]) // 1024

    @property
    def descriptors(self) -> int:
        """Files and connections that it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """The page of the released weights; its uploads and its log are in the folder."""
    command = [sys.executable, str(REPOSITORY / "demo.py"), str(REPOSITORY / "weights")]
    environment = {**os.environ, "GRADIO_TEMP_DIR": str(folder)}
    with (
        open(folder / "log", "w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process,
    ):
        url = next(found[1] for line in process.stdout if (found := re.search(r"the page is at (\S+)", line)))
        try:
            Visitor(url).ask("open", {})  # The map is there.
            yield Server(process, url, folder)
        finally:
            process.terminate()
            process.wait(20)


def as_file(path: str) -> dict[str, Any]:
    """A file of the server, as its API takes it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def as_bytes(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """An image as the content of a file."""
    image.save(file := io.BytesIO(), format, **options)
    return file.getvalue()


def as_url(content: bytes) -> str:
    """A PNG as the page's script sends it."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def seconds_of(call: Any, *arguments: Any) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began
