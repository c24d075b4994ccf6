"""The page: match a drawing, compare two, teach a symbol; and the same for programs."""

import html
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import matplotlib
import torch
from torch import Tensor

from siamese_mnist.drawing import prepare_parts
from siamese_mnist.errors import InputError
from siamese_mnist.images import open_image
from siamese_mnist.matching import Match, Matcher, Symbol, compare
from siamese_mnist.page.markup import PANELS, data_url, describe
from siamese_mnist.page.sketchpad import prepare_sketch, sketchpad
from siamese_mnist.sources import DIGIT_NAMES

matplotlib.use("Agg")  # Otherwise Gradio looks for a display at the first drawing, which takes a second.
MOST_SYMBOLS, MOST_EXAMPLES, LONGEST_NAME = 8, 5, 20  # For each visitor.
MOST_FILES = 100  # In a call of /match_many.
LIVE = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}


@contextmanager
def _errors_for_clients() -> Iterator[None]:
    try:
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


def _upload(label: str, file_count: str = "single") -> gr.File:
    """A hidden input for files of programs. A bare path, which is the caller's, is refused in a line, never opened."""
    file = gr.File(visible=False, label=label, file_count=file_count)

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


class Visitor(NamedTuple):
    """What belongs to one visitor: which images are the references, and the symbols taught."""

    references: Tensor
    symbols: dict[str, Symbol]


class Page:
    """The handlers of the page, and the page itself."""

    def __init__(self, matcher: Matcher, weights: str) -> None:
        self.matcher, self.model, self.weights = matcher, matcher.model, weights
        self.newcomer = Visitor(matcher.sample(torch.Generator().manual_seed(0)), {})
        self.kind = "digit" if set(matcher.names) <= set(DIGIT_NAMES) else "symbol"

    def show_match(self, drawing: Any, visitor: Visitor) -> str:
        """Returns the panel of a drawing's scores."""
        try:
            images = prepare_sketch(drawing)
            if images is None:
                return self._panel(visitor, f"Draw a {self.kind}: see here which it resembles")
            found = self._match(images, visitor)
        except InputError as error:
            return self._panel(visitor, str(error))
        return self._panel(visitor, describe(found), found, images[:1])

    def _match(self, images: Tensor, visitor: Visitor) -> Match:
        found = self.matcher.match(self.model.encode_all(images[:1]), visitor.references, visitor.symbols)
        if found.winner not in visitor.symbols:  # which may well be made of several parts
            self.matcher.refuse_several(images[1:], visitor.references)
        return found

    def _verify(self, left: Tensor, right: Tensor) -> tuple[float, float]:
        for images in (left, right):
            self.matcher.refuse_several(images[1:], self.newcomer.references)
        return compare(self.model, left[:1], right[:1])

    def renew(self, drawing: Any, visitor: Visitor) -> tuple[Visitor, str]:
        """Draws new references, and scores the drawing against them."""
        visitor = visitor._replace(references=self.matcher.sample())
        return visitor, self.show_match(drawing, visitor)

    def show_verdict(self, left: Any, right: Any) -> str:
        """Returns the panel of the verdict on two drawings."""
        sentence, compared, threshold = f"Draw a {self.kind} on each side", None, self.model.threshold
        try:
            a, b = prepare_sketch(left), prepare_sketch(right)
            if a is not None and b is not None:
                compared = self._verify(a, b)
                sentence = f"1: the same {self.kind}" if compared[0] >= threshold else f"0: different {self.kind}s"
        except InputError as error:
            sentence = str(error)
        return str(PANELS.verify_panel(sentence, compared, threshold))

    def random_image(self) -> str:
        """Returns one of the images that references are drawn from, as a sketchpad's value."""
        return data_url(self.matcher.digits[int(torch.randint(len(self.matcher.digits), ()))][0])

    def teach(self, drawing: Any, name: Any, visitor: Visitor) -> tuple[Visitor, Any, str, str]:
        """Adds an example of a symbol; returns the visitor, the pad's next value, the list of symbols, the panel."""
        name, pad = " ".join(str(name or "").split()), ""
        try:
            images = prepare_sketch(drawing)
            visitor = self._learn(None if images is None else images[:1], name, visitor)
            sentence = f"Learned “{name}”. Draw it again: is it known?"
        except InputError as error:
            sentence, pad = str(error), gr.skip()
        return visitor, pad, str(PANELS.symbol_list(visitor.symbols)), self._panel(visitor, sentence)

    def _learn(self, image: Tensor | None, name: str, visitor: Visitor) -> Visitor:
        known = visitor.symbols.get(name)
        if image is None:
            raise InputError("draw an example first")
        if not 1 <= len(name) <= LONGEST_NAME:
            raise InputError(f"give it a name of 1 to {LONGEST_NAME} characters")
        if name in self.matcher.names:
            raise InputError(f"{name} is known already: give it another name")
        if known is None and len(visitor.symbols) == MOST_SYMBOLS:
            raise InputError(f"no more than {MOST_SYMBOLS} symbols can be taught: forget them to start anew")
        if known is not None and len(known.images) == MOST_EXAMPLES:
            raise InputError(f"no more than {MOST_EXAMPLES} examples are taken: draw it now, and see it matched")
        images = image if known is None else torch.cat([known.images, image])
        return visitor._replace(symbols={**visitor.symbols, name: Symbol(images, self.model.encode_all(images))})

    def forget(self, drawing: Any, visitor: Visitor) -> tuple[Visitor, str, str]:
        """Forgets all symbols."""
        visitor = visitor._replace(symbols={})
        return visitor, str(PANELS.symbol_list({})), self.show_match(drawing, visitor)

    def match_file(self, image: str | None) -> dict[str, Any]:
        """Matches an image file: the class that wins, or null; its similarity to each class; what the network saw."""
        with _errors_for_clients():
            images = prepare_parts(open_image(image))
            found = self._match(images, self.newcomer)
            return {"winner": found.winner, "scores": found.scores, "prepared": data_url(images[:1])}

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
            images = (prepare_parts(open_image(image)) for image in (image_a, image_b))
            (similarity, distance), at = self._verify(*images), self.model.threshold
            return {"same": int(similarity >= at), "similarity": similarity, "distance": distance, "threshold": at}

    def _panel(self, visitor: Visitor, sentence: str, *scored: Any) -> str:
        shown = dict(zip(self.matcher.names, self.matcher.digits.images[visitor.references[:, 0]]))
        shown |= {name: symbol.images[0] for name, symbol in visitor.symbols.items()}
        return str(PANELS.match_panel(sentence, shown, visitor.references.shape[1], *scored))

    def serve(self, host: str = "127.0.0.1", port: int | None = None, share: bool = False) -> tuple[gr.Blocks, str]:
        """Serves the page in the background; returns the app, to be closed, and its address. OSError if it cannot."""
        app = self.build()
        theme = gr.themes.Default(primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["monospace"])
        look = {"theme": theme, "css_paths": Path(__file__).with_name("page.css"), "footer_links": ["api"]}
        rest = {"prevent_thread_lock": True, "quiet": True, "enable_monitoring": False, "ssr_mode": False, **look}
        with _reached_without_proxy(host, share):
            _, local, public = app.launch(server_name=host, server_port=port, share=share, max_file_size="20mb", **rest)
        return app, public or local

    def build(self) -> gr.Blocks:
        """The page as a Gradio app, not launched yet."""
        with gr.Blocks(title="Siamese MNIST", analytics_enabled=False, delete_cache=(3600, 3600)) as app:
            visitor = gr.State(self.newcomer, time_to_live=3600)
            title = f"<h1>Which {self.kind} does it resemble?</h1>"
            gr.HTML(f"{title}<p>Draw one: a siamese network compares it with real ones.</p>", elem_classes="about")
            with gr.Tab(f"Match a {self.kind}"):
                match_pad, match_panel = self._build_match(visitor)
            with gr.Tab("Same or different?"):
                self._build_verify()
            with gr.Tab("Teach a symbol"):
                for lesson in self._build_teach(visitor):
                    lesson.then(self.show_match, [match_pad, visitor], match_panel, **LIVE)
            gr.HTML(f'<p class="weights">{html.escape(self.weights)}</p>')
            files = [_upload(label) for label in ("image", "image_a", "image_b")]
            answers = [gr.JSON(visible=False, label=label) for label in ("match", "verdict", "matches")]
            gr.Button(visible=False).click(self.match_file, files[0], answers[0], api_name="match")
            gr.Button(visible=False).click(self.verify_files, files[1:], answers[1], api_name="verify")
            many = _upload("images", "multiple")
            gr.Button(visible=False).click(self.match_files, many, answers[2], api_name="match_many")
        return app

    def _build_match(self, visitor: gr.State) -> tuple[gr.HTML, gr.HTML]:
        with gr.Row(elem_classes="columns"):
            pad = sketchpad(f"Your {self.kind}", f"Draw a {self.kind} here", elem_id="match-pad")
            with gr.Column():
                panel = gr.HTML(self.show_match(None, self.newcomer), elem_id="match-panel", apply_default_css=False)
                renew = gr.Button("New references", elem_id="renew")
        pad.input(self.show_match, [pad, visitor], panel, **LIVE)
        renew.click(self.renew, [pad, visitor], [visitor, panel], **LIVE)
        return pad, panel

    def _build_verify(self) -> None:
        pads, buttons = [], []
        with gr.Row(elem_classes="pads"):
            for name in ("left", "right"):
                with gr.Column():
                    pads.append(sketchpad(f"The {name} {self.kind}", "Draw here", elem_id=f"{name}-pad"))
                    buttons.append(gr.Button(f"Random {self.kind}", elem_id=f"{name}-random"))
        panel = gr.HTML(self.show_verdict(None, None), elem_id="verify-panel", apply_default_css=False)
        for pad, button in zip(pads, buttons):
            pad.input(self.show_verdict, pads, panel, **LIVE)
            button.click(self.random_image, None, pad, **LIVE).then(self.show_verdict, pads, panel, **LIVE)

    def _build_teach(self, visitor: gr.State) -> list[gr.events.Dependency]:
        with gr.Row(elem_classes="columns"):
            pad = sketchpad("Your symbol", "Draw anything: a star, a letter", elem_id="teach-pad")
            with gr.Column():
                with gr.Row(elem_classes="lesson"):
                    name = gr.Textbox(label="Its name", max_length=LONGEST_NAME, elem_id="teach-name", scale=3)
                    teach = gr.Button("Teach", variant="primary", elem_id="teach", min_width=60)
                    forget = gr.Button("Forget all", elem_id="forget", min_width=60)
                taught = gr.HTML(str(PANELS.symbol_list({})), elem_id="taught", apply_default_css=False)
                start = self._panel(self.newcomer, "Draw a symbol, name it, teach it; then draw it again")
                panel = gr.HTML(start, elem_id="teach-panel", apply_default_css=False)
        pad.input(self.show_match, [pad, visitor], panel, **LIVE)
        asked, shown = [pad, name, visitor], [visitor, pad, taught, panel]
        lesson = gr.on([teach.click, name.submit], self.teach, asked, shown, **LIVE)
        return [lesson, forget.click(self.forget, [pad, visitor], [visitor, taught, panel], **LIVE)]
