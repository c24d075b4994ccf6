"""The page as a Gradio app, and the same for programs."""

import atexit
import gc
import html
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from jinja2 import Environment
from starlette.middleware import Middleware
from torch import Tensor

from siamese_mnist.drawing import prepare_parts
from siamese_mnist.errors import InputError
from siamese_mnist.images import open_image
from siamese_mnist.listing import DIGIT_NAMES
from siamese_mnist.matching import Match, Matcher, compare
from siamese_mnist.page.answers import LONGEST_NAME, MOST_EXAMPLES, MOST_SYMBOLS, Answers
from siamese_mnist.page.guard import Guard
from siamese_mnist.page.pictures import data_url

os.environ.setdefault("MPLBACKEND", "Agg")  # Otherwise Gradio looks for a display at the first call, for a second.
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))  # Else each call is summed up in pandas.
os.environ.setdefault("GRADIO_RUN_HISTORY", "False")  # As an argument, older versions do not take it.
FOLDER = Path(__file__).parent
SCRIPTS = ("pad.js", "views.js", "page.js", "teach.js")
STYLES = ("page.css", "pad.css", "views.css", "tabs.css")
MOST_FILES = 100  # In a call of /match_many.
PREFIX = "siamese-mnist-"
CALLS = ("match", "verify", "match_many")
SESSIONS = 500  # Of visitors; of each, Gradio keeps a copy of its settings.


@contextmanager
def _errors_for_clients() -> Iterator[None]:
    try:
        with torch.no_grad():  # See answers.py.
            yield
    except InputError as error:
        raise gr.Error(str(error), print_exception=False) from error


@contextmanager
def _reached_without_proxy(host: str, share: bool) -> Iterator[None]:
    """While the page asks for its own address, no proxy is asked; one for the downloads of `share` is kept."""
    before = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
    kept = before["no_proxy"] or before["NO_PROXY"]
    own = ",".join(filter(None, (kept, "localhost", "127.0.0.1", host))) if share else "*"
    os.environ.update(dict.fromkeys(before, own))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _paths(payload: Any) -> str | list[str] | None:
    """Where the files of a call lie. Gradio's own way leaves an empty file behind at each call."""
    if payload is None or hasattr(payload, "path"):
        return payload and payload.path
    return [file.path for file in payload]


def _upload(label: str, file_count: str = "single") -> gr.File:
    """A hidden input for files of programs. A bare path, which is the caller's, is refused in a line, never opened."""
    file = gr.File(visible=False, label=label, file_count=file_count)
    file.preprocess = _paths

    class Upload(file.data_model):  # Gradio's own refusal is {"error": null}, and a traceback in the terminal.
        @classmethod
        def model_validate(cls, value: Any, **kwargs: Any) -> Any:
            try:
                return super().model_validate(value, **kwargs)
            except ValueError as error:
                way_out = "wrap it in handle_file(…)" if file_count == "single" else "pass [handle_file(…), …]"
                raise gr.Error(f"{label}: no uploaded file; {way_out}", print_exception=False) from error

    Upload.__name__ = file.data_model.__name__
    file.data_model = Upload
    return file


def _make_upload_folder() -> Path:
    """A folder of this server's own for what is uploaded to it, which goes when the process ends."""
    before = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
    place = before.parent if before.name.startswith(PREFIX) else before  # One page after another.
    place.mkdir(parents=True, exist_ok=True)
    os.environ["GRADIO_TEMP_DIR"] = folder = tempfile.mkdtemp(prefix=PREFIX, dir=place)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


class Page:
    """The page, and what programs ask it."""

    def __init__(self, matcher: Matcher, weights: str) -> None:
        self.matcher, self.model, self.weights = matcher, matcher.model, weights
        self.references = matcher.sample(torch.Generator().manual_seed(0))
        self.answers = Answers(matcher)
        self.one_at_a_time = threading.Lock()

    def match_file(self, image: str | None) -> dict[str, Any]:
        """Matches an image file: the class that wins, or null; its similarity to each class; what the network saw."""
        with _errors_for_clients():
            images = self._read(image)
            found = self._match(images)
            return {"winner": found.winner, "scores": found.scores, "prepared": data_url(images[:1])}

    def _read(self, image: str | None) -> Tensor:
        with self.one_at_a_time:  # A large image takes 300 MB.
            return prepare_parts(open_image(image))

    def _match(self, images: Tensor) -> Match:
        found = self.matcher.match(self.model.encode_all(images[:1]), self.references, {})
        self.matcher.refuse_several(images[1:], self.references)
        return found

    def match_files(self, images: list[str] | None) -> list[dict[str, Any]]:
        """Matches image files, in their order: each as `match_file` does, or {"error": why it cannot be}."""
        if not 1 <= len(images or ()) <= MOST_FILES:
            raise gr.Error(f"{len(images or ())} files; 1 to {MOST_FILES} are taken in a call", print_exception=False)
        answers = []
        for image in images or ():
            try:
                answers.append(self.match_file(image))
            except gr.Error as error:
                answers.append({"error": error.message})
        return answers

    def verify_files(self, image_a: str | None, image_b: str | None) -> dict[str, Any]:
        """Compares two image files: same (1 or 0), their similarity, their distance, and the threshold."""
        with _errors_for_clients():
            both = [self._read(image) for image in (image_a, image_b)]
            for images in both:
                self.matcher.refuse_several(images[1:], self.references)
            (similarity, distance), at = compare(self.model, *(images[:1] for images in both)), self.model.threshold
            return {"same": int(similarity >= at), "similarity": similarity, "distance": distance, "threshold": at}

    def serve(self, host: str = "127.0.0.1", port: int | None = None, share: bool = False) -> tuple[gr.Blocks, str]:
        """Serves the page in the background; returns the app, to be closed, and its address. OSError if it cannot."""
        guard = Guard(CALLS, _make_upload_folder())  # Gradio's components ask for it as they are made.
        app = self.build()
        theme = gr.themes.Default(primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["monospace"])
        look = {"theme": theme, "css_paths": [FOLDER / name for name in STYLES], "footer_links": ["api"]}
        rest = {"prevent_thread_lock": True, "quiet": True, "enable_monitoring": False, "ssr_mode": False, **look}
        rest |= {"app_kwargs": {"middleware": [Middleware(guard.wrap)]}, "state_session_capacity": SESSIONS}
        rest |= {"max_file_size": "20mb", "server_name": host, "server_port": port, "share": share}
        with _reached_without_proxy(host, share):
            _, local, public = app.launch(**rest)
        guard.watch(app)
        gc.freeze()  # Else all visitors wait, now and then, while what stays for good is searched for garbage.
        return app, public or local

    def build(self) -> gr.Blocks:
        """The page as a Gradio app, not launched yet: one component of its own, and what programs call."""
        with gr.Blocks(title="Siamese MNIST", analytics_enabled=False) as app:
            gr.HTML(
                html.escape(self.weights),
                elem_id="siamese",
                html_template=self._render(),
                js_on_load="".join((FOLDER / name).read_text("utf-8") for name in SCRIPTS),
                apply_default_css=False,
                server_functions=self.answers.functions,
            )
            files = [_upload(label) for label in ("image", "image_a", "image_b")]
            answers = [gr.JSON(visible=False, label=label) for label in ("match", "verdict", "matches")]
            gr.Button(visible=False).click(self.match_file, files[0], answers[0], api_name="match")
            gr.Button(visible=False).click(self.verify_files, files[1:], answers[1], api_name="verify")
            many = _upload("images", "multiple")
            gr.Button(visible=False).click(self.match_files, many, answers[2], api_name="match_many")
        return app

    def _render(self) -> str:
        names, most = self.matcher.names, [MOST_SYMBOLS, MOST_EXAMPLES, LONGEST_NAME]
        kind = "digit" if {*names} <= {*DIGIT_NAMES} else "symbol"
        template = Environment(autoescape=True).from_string((FOLDER / "page.html").read_text("utf-8"))
        dimensions = self.matcher.embeddings.shape[1]
        return template.render(kind=kind, classes=len(names), dimensions=dimensions, most=most)
