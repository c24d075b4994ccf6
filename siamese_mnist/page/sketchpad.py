"""The canvas to draw on, a Gradio component: it scores at pen-up, where gr.Sketchpad takes a second."""

import base64
import io
from pathlib import Path
from typing import Any

import gradio as gr
from torch import Tensor

from siamese_mnist.drawing import prepare_parts
from siamese_mnist.errors import InputError
from siamese_mnist.images import open_image
from siamese_mnist.page.markup import PANELS, PREFIX

LONGEST_URL = 4_000_000  # In characters.


# No subclass of gr.HTML: Gradio writes a stub file beside the source of each.
def sketchpad(label: str, hint: str, elem_id: str) -> gr.HTML:
    """A canvas of 280 × 280; its value is a PNG data URL, "" while it is blank, and `input` comes at each pen-up."""
    style, script = (Path(__file__).with_suffix(suffix).read_text() for suffix in (".css", ".js"))
    template = str(PANELS.sketchpad(label, hint, size=280, brush=16))
    parts = {"html_template": template, "css_template": style, "js_on_load": script, "apply_default_css": False}
    return gr.HTML(value="", label=label, elem_id=elem_id, **parts)


def prepare_sketch(value: Any) -> Tensor | None:
    """A sketchpad's value as `prepare_parts` makes it, None while it is blank. InputError if it is no drawing."""
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not value.startswith(PREFIX) or len(value) > LONGEST_URL:
        raise InputError(f"a drawing is a PNG data URL of at most {LONGEST_URL:,} characters")
    try:
        content = base64.b64decode(value.removeprefix(PREFIX), validate=True)
    except ValueError as error:
        raise InputError(f"the drawing is not in base 64 ({error})") from error
    return prepare_parts(open_image(io.BytesIO(content)))
