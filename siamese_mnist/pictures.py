"""Figures made of digits: pairs with their verdicts, and queries matched against references."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from siamese_mnist.plots import BLUE, GREY, ORANGE, save

PAIRS_IN_A_ROW = 6
TITLE_WIDTH = 8.6  # inches


@dataclass
class ShownPair:
    """Two uint8 images (28, 28), the names of their classes, and what the network says of them."""

    images: tuple[np.ndarray, np.ndarray]
    names: tuple[str, str]
    same: bool
    distance: float
    similarity: float
    verdict: int


def draw_pairs(sections: Sequence[tuple[str, Sequence[ShownPair]]], threshold: float, path: Path) -> None:
    """Sections of pairs, each with a heading. A wrong verdict has a thick dashed frame, a cross and the word WRONG."""
    sections = [(title, pairs) for title, pairs in sections if pairs]
    rows = [-(-len(pairs) // PAIRS_IN_A_ROW) for _, pairs in sections]
    heights = [1.95 * count + 0.4 for count in rows]
    figure = plt.figure(figsize=(13, sum(heights) + 0.4), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.09)
    figure.suptitle(f"Verdict 1 (the same) from similarity {threshold:.2f} on, else 0", weight="bold", size=14)
    parts = np.atleast_1d(figure.subfigures(len(rows), 1, height_ratios=heights))
    for part, count, (title, pairs) in zip(parts, rows, sections):
        part.suptitle(title, x=0.01, ha="left", size=13)
        grid = part.subplots(count, PAIRS_IN_A_ROW, squeeze=False).ravel()
        for axes, pair in zip(grid, pairs):
            _draw_pair(axes, pair)
        for axes in grid[len(pairs) :]:
            axes.set_axis_off()
    save(figure, path)


def _draw_pair(axes: Axes, pair: ShownPair) -> None:
    gap = np.full((28, 2), 128, np.uint8)
    axes.imshow(np.concatenate([pair.images[0], gap, pair.images[1]], 1), cmap="gray", vmin=0, vmax=255)
    right = pair.verdict == pair.same
    axes.set(xticks=[], yticks=[])
    _frame(axes, right, thin=1)
    axes.set_title(f"{pair.names[0][:12]} | {pair.names[1][:12]}", size=13, pad=5)
    verdict = f"verdict {pair.verdict}  {'✓ right' if right else '✗ WRONG'}"
    measured = f"distance {pair.distance:.2f}\nsimilarity {pair.similarity:.3f}"
    axes.set_xlabel(f"{measured}\n{verdict}", size=11, weight="normal" if right else "bold")


def _frame(axes: Axes, right: bool, thin: float) -> None:
    """A thin solid frame for right, a thick dashed one for wrong: told apart without colour."""
    axes.spines[:].set(visible=True, color=BLUE if right else ORANGE, linewidth=thin if right else 4)
    axes.spines[:].set(linestyle="-" if right else (0, (2, 1)), capstyle="butt")


def draw_matches(
    queries: np.ndarray,
    query_names: Sequence[str],
    references: np.ndarray,
    names: Sequence[str],
    scores: np.ndarray,
    path: Path,
) -> None:
    """Queries (Q, 28, 28) in rows, against one reference (Q, C, 28, 28) of each class, with similarities (Q, C).

    The best is framed and marked; a wrong one has a dashed frame, a cross and the word WRONG.
    """
    rows, columns = scores.shape
    wide, high = 1.02 * (columns + 1.6), 1.33 * rows + 0.7
    size = (max(wide, TITLE_WIDTH), high)
    edges = {"left": 0.1 / size[0], "right": (wide - 0.3) / size[0], "bottom": 0.3 / high, "top": 1 - 0.75 / high}
    figure, grid = plt.subplots(rows, columns + 1, figsize=size, squeeze=False, gridspec_kw={**edges, "hspace": 0.3})
    figure.suptitle("Queries against one random reference of every class: similarity, the best framed", weight="bold")
    for row in range(rows):
        best = int(scores[row].argmax())
        right = names[best] == query_names[row]
        for column, (axes, image) in enumerate(zip(grid[row], [queries[row], *references[row]])):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=column == 0, color=GREY)
            if column == 0:
                axes.set_xlabel(f"query: {query_names[row][:8]}", size=10, weight="bold")
            elif column == best + 1:
                _frame(axes, right, thin=4)
                axes.set_xlabel(f"{scores[row, best]:.3f} {'✓' if right else '✗ WRONG'}", size=10, weight="bold")
            else:
                axes.set_xlabel(f"{scores[row, column - 1]:.3f}", size=10)
            if row == 0:
                axes.set_title("query" if column == 0 else names[column - 1][:8], size=11)
    save(figure, path)
