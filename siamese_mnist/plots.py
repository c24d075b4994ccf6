"""Every figure. Okabe and Ito's colours, told apart by shape and words as well."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from siamese_mnist.files import write_whole

if TYPE_CHECKING:
    from siamese_mnist.evaluation import Measured

MOST_NUMBERED, MOST_NAMED = 26, 60  # classes with a number in each cell, not a colour bar; with a name in each row
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
plt.rcParams.update({"font.size": 11, "axes.titlesize": 12, "axes.spines.top": False, "axes.spines.right": False})


def save(figure: Figure, path: Path, dpi: int = 130) -> None:
    """Writes a PNG in one step and closes the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi, format="png", facecolor="white")
    plt.close(figure)
    write_whole(path, buffer.getvalue())


def plot_curves(history: list[dict[str, float]], best: int, path: Path) -> None:
    """Training loss, and validation EER, by epoch; the best epoch (from 1) is marked."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    figure.subplots_adjust(0.08, 0.15, 0.98, 0.9, wspace=0.24)  # drawn every epoch: a layout engine takes a second
    epochs = [row["epoch"] for row in history]
    least = min((row["val_eer"] for row in history if row["val_eer"] > 0), default=1e-3)
    errors = [max(row["val_eer"], least / 2) for row in history]  # a logarithmic axis has no place for 0
    unit = "%" if min(row["val_eer"] for row in history) > 0 else "%; 0 is drawn at the foot"
    left.plot(epochs, [row["loss"] for row in history], color=BLUE, marker="o", markersize=3)
    right.plot(epochs, errors, color=ORANGE, marker="s", markersize=3)
    note = f"best: {history[best - 1]['val_eer']:.2%} after epoch {best}"
    right.plot(best, errors[best - 1], "*", color="black", markersize=14, label=note)
    right.legend(frameon=False)
    left.set(title="Training loss", xlabel="epoch", ylabel="loss (nats)", yscale="log")
    right.set(title="Equal error rate on validation pairs", xlabel="epoch", ylabel=f"EER ({unit})", yscale="log")
    for axes, factor in ((left, 1), (right, 100)):
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _, factor=factor: f"{value * factor:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.grid(alpha=0.25)
    save(figure, path, dpi=100)


def plot_roc(measured: dict[str, "Measured"], point: tuple[float, float], threshold: float, path: Path) -> None:
    """ROC of all ways to score pairs, with the threshold's (false alarms, hits); then the first one's similarities."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.9), layout="constrained")
    for (name, one), colour, style in zip(measured.items(), (BLUE, ORANGE, GREY), ("-", "--", ":")):
        alarms, misses = one.roc
        left.plot(alarms, 1 - misses, style, color=colour, lw=2, label=f"{name}: AUC {one.figures['auc']:.5f}")
    fewest = min(one.roc[0][one.roc[0] > 0].min() for one in measured.values())  # false alarms that can be seen
    edge = max(1e-6, fewest / 2)
    note = f"threshold {threshold:.2f}: {point[1]:.2%} at {point[0]:.2%}"
    left.plot(max(point[0], edge), point[1], "*", color="black", markersize=14, label=note, clip_on=False)
    left.set(title="ROC over all pairs", xscale="log", xlim=(edge, 1), ylim=(-0.02, 1.03))
    left.set(xlabel="different pairs called the same (false alarms)", ylabel="same pairs called the same (hits)")
    left.xaxis.set_major_formatter(LogFormatterSciNotation())
    network = next(iter(measured.values()))
    edges = np.linspace(0, 1, network.spread.shape[1] + 1)
    for share, name, colour, hatch in zip(network.spread, ("different", "same"), (BLUE, ORANGE), ("", "///")):
        right.stairs(share, edges, color=colour, fill=True, alpha=0.25, hatch=hatch)
        right.stairs(
            share,
            edges,
            color=colour,
            lw=1.8,
            label=f"pairs of {name} classes" if name == "different" else "pairs of the same class",
        )
    right.axvline(threshold, color="black", ls="--", lw=1.2, label=f"threshold {threshold:.2f}")
    right.set(
        title="Similarities given to the two kinds of pair",
        yscale="log",
        xlim=(0, 1),
        ylim=(min(1e-3, network.spread[network.spread > 0].min() / 2), 1.5),
        xlabel="similarity (probability, at even odds)",
    )
    right.set_ylabel("share of the kind's pairs, per 0.02")
    right.yaxis.set_major_formatter(lambda share, _: f"{share * 100:.3g}%")
    for axes in (left, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=10, frameon=False, ncols=2)
        axes.grid(alpha=0.25)
    save(figure, path)


def plot_reliability(spread: np.ndarray, path: Path) -> None:
    """How often pairs of each similarity are the same, at even odds, from shares (2, bins): different, same."""
    figure, axes = plt.subplots(figsize=(5.2, 4.8), layout="constrained")
    different, same = spread.reshape(2, -1, 5).sum(-1)
    centres = (np.arange(len(same)) + 0.5) / len(same)
    observed = np.divide(same, same + different, out=np.full(len(same), np.nan), where=same + different > 0)
    axes.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1.2, label="a perfect probability")
    axes.plot(centres, observed, color=BLUE, marker="o", label="measured")
    for x, y, weight in zip(centres, observed, (same + different) / 2):
        if np.isfinite(y):
            axes.annotate(
                f"{weight:.2%}",
                (x, y),
                (0, -7 if y > 0.1 else 7),
                textcoords="offset points",
                fontsize=8,
                color=GREY,
                ha="center",
                va="top" if y > 0.1 else "bottom",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            )
    axes.set(
        title="Is the similarity a probability?", xlabel="similarity", ylabel="share of these pairs that are the same"
    )
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, title="grey: share of all pairs, at even odds", title_fontsize=9)
    axes.grid(alpha=0.25)
    save(figure, path)


def plot_digit_pairs(said_same: np.ndarray, labels: np.ndarray, names: Sequence[str], path: Path) -> None:
    """Error rate of each two of C classes, from how many images of each class (N, C) an image was called the same."""
    classes = said_same.shape[1]
    called = np.stack([said_same[labels == label].sum(0) for label in range(classes)])
    sizes = np.bincount(labels, minlength=classes)
    errors = called / np.outer(sizes, sizes)
    np.fill_diagonal(errors, 1 - called.diagonal() / (sizes * (sizes - 1)))
    side = max(6.4, 0.72 * classes + 1.6) if classes <= MOST_NUMBERED else 11
    named = range(0, classes, 1 + classes // MOST_NAMED)
    figure, axes = plt.subplots(figsize=(side, side - 0.6), layout="constrained")
    shades = PowerNorm(0.5, vmin=0, vmax=max(errors.max() * 1.5, 1e-6))
    cells = axes.imshow(errors, cmap="Blues", norm=shades)
    for (row, column), error in np.ndenumerate(errors):
        if classes <= MOST_NUMBERED:
            colour = "white" if shades(error) > 0.6 else "black"
            weight = "bold" if row == column else "normal"
            axes.text(column, row, f"{error:.2%}", ha="center", va="center", size=9, color=colour, weight=weight)
        if row == column:
            axes.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, lw=2, edgecolor=ORANGE))
    axes.set(
        xticks=named,
        yticks=named,
        xticklabels=[names[label] for label in named],
        yticklabels=[names[label] for label in named],
        xlabel="class of one image",
        ylabel="class of the other",
    )
    axes.set_title(
        "Which classes are confused: share of wrong verdicts\n"
        "framed: same class, called different; others: called the same"
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if classes > MOST_NUMBERED:
        axes.tick_params(axis="x", rotation=90)
        figure.colorbar(cells, shrink=0.6, format=PercentFormatter(1), label="share of wrong verdicts")
    save(figure, path)


def plot_embedding_map(
    points: np.ndarray, labels: np.ndarray, images: np.ndarray, names: Sequence[str], path: Path
) -> None:
    """Points (N, 2) as their class names, in the class's colour, with a typical image (N, 28, 28) of each class."""
    figure, axes = plt.subplots(figsize=(7.5, 7), layout="constrained")
    colours = plt.get_cmap("tab10" if len(names) <= 10 else "turbo", len(names))
    for (x, y), label in zip(points, labels):
        axes.text(x, y, names[label][:8], color=colours(label), size=8, ha="center", va="center", alpha=0.8)
    span = np.ptp(points, 0)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        middle = np.median(points[own], 0)
        nearest = own[np.argmin(((points[own] - middle) ** 2).sum(1))]
        above = np.quantile(points[own, 1], 0.95) + 0.045 * span[1]  # beside its class, not on it
        _inset(axes, images[nearest], np.array([middle[0], above]), 0.055 * span, colours(label))
    axes.set(xlim=(points[:, 0].min() - 0.04 * span[0], points[:, 0].max() + 0.04 * span[0]))
    axes.set(ylim=(points[:, 1].min() - 0.04 * span[1], points[:, 1].max() + 0.1 * span[1]), xticks=[], yticks=[])
    axes.set_title(f"Embeddings of {len(points):,} images, flattened by t-SNE\neach name is an image, of that class")
    axes.spines[:].set_visible(False)
    save(figure, path)


def _inset(axes: Axes, image: np.ndarray, middle: np.ndarray, half: np.ndarray, colour: tuple[float, ...]) -> None:
    (x, y), (dx, dy) = middle, half / 2
    axes.imshow(
        255 - image, cmap="gray", extent=(x - dx, x + dx, y - dy, y + dy), zorder=3, aspect="auto", vmin=0, vmax=255
    )
    axes.add_patch(plt.Rectangle((x - dx, y - dy), 2 * dx, 2 * dy, fill=False, edgecolor=colour, lw=2, zorder=4))
