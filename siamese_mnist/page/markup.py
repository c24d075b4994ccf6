"""What the page shows, as HTML: scores as text and as bars, in a live region that screen readers follow."""

import html
from collections.abc import Mapping

import numpy as np
from PIL import Image
from torch import Tensor

from siamese_mnist.matching import Match, Symbol
from siamese_mnist.page.sketchpad import data_url

TICK = '<span class="tick" role="img" aria-label="winner">✓</span>'


def picture(image: Tensor) -> Image.Image:
    """An image (…, 28, 28), uint8 or float in [0, 1], as a greyscale picture."""
    pixels = image.squeeze().cpu().numpy()
    return Image.fromarray(pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8))


def match_panel(
    sentence: str, shown: Mapping[str, Tensor], references: int, match: Match | None = None, seen: Tensor | None = None
) -> str:
    """The sentence, a card for each name in `shown` with its image and score, and the image that the network saw."""
    blank = '<span class="blank" aria-hidden="true"></span>'
    drawing = blank if seen is None else _image(seen, "Your drawing as the network sees it")
    return f"""{_sentence(sentence)}
<ol class="cards">{"".join(_card(name, image, match) for name, image in shown.items())}</ol>
<div class="seen">{drawing}<span>What the network sees: your drawing, cropped, centred, its stroke brought to MNIST's
width. A bar is the similarity to {references} images of a class, one of which is shown.</span></div>"""


def describe(match: Match) -> str:
    """One sentence, such as "Looks like a 7 (0.98); next 1 (0.21)"."""
    first, second = sorted(match.scores, key=match.scores.__getitem__, reverse=True)[:2]
    if match.winner is None:
        kind = "digit" if all(map(_is_digit, match.scores)) else "symbol here"
        return f"Not like any {kind}; nearest is {first} ({match.scores[first]:.2f})"
    winner = f"{'an' if first == '8' else 'a'} {first}" if _is_digit(first) else f"“{first}”"
    return f"Looks like {winner} ({match.scores[first]:.2f}); next {second} ({match.scores[second]:.2f})"


def verify_panel(sentence: str, compared: tuple[float, float] | None, threshold: float) -> str:
    """The verdict, and similarity and distance as numbers and on a bar with the threshold marked."""
    bar, numbers = "", "similarity –, distance –"
    if compared:
        similarity, distance = compared
        kind = "same" if similarity >= threshold else "other"
        bar = f'<span class="fill {kind}" style="width:{100 * similarity:.1f}%"></span>'
        numbers = f"similarity {similarity:.2f}, distance {distance:.2f}"
    return f"""{_sentence(sentence)}
<div class="verdict" aria-hidden="true">{bar}<span class="mark" style="left:{100 * threshold:.1f}%"
><span>threshold {threshold:.2f}</span></span></div>
<p class="numbers">{numbers}; from {threshold:.2f} on the verdict is 1</p>"""


def symbol_list(symbols: Mapping[str, Symbol]) -> str:
    """The taught symbols with their examples."""
    if not symbols:
        return '<p class="taught">Nothing taught yet. One example is enough; up to five make it surer.</p>'
    images = {name: "".join(_image(image, "") for image in symbol.images) for name, symbol in symbols.items()}
    items = "".join(f"<li><strong>{html.escape(name)}</strong>{shown}</li>" for name, shown in images.items())
    return f'<ul class="taught">{items}</ul>'


def _sentence(text: str) -> str:
    return f'<p class="sentence" role="status" aria-live="polite">{html.escape(text[:1].upper() + text[1:])}</p>'


def _is_digit(name: str) -> bool:
    return len(name) == 1 and name.isdigit()


def _card(name: str, image: Tensor, match: Match | None) -> str:
    label, won = html.escape(name), match is not None and match.winner == name
    score, text = (match.scores[name], f"{match.scores[name]:.2f}") if match else (0, "–")
    return (
        f'<li class="card{" winner" if won else ""}">{_image(image, f"reference {label}")}'
        f'<strong title="{label}">{label}{TICK if won else ""}</strong>'
        f'<span class="bar" aria-hidden="true"><span style="width:{100 * score:.1f}%"></span></span>'
        f'<span class="score">{text}</span></li>'
    )


def _image(image: Tensor, alt: str) -> str:
    return f'<img src="{data_url(picture(image))}" width="28" height="28" alt="{alt}">'
