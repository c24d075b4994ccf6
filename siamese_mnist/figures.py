"""The plots of a training and an evaluation. FIGURES lists an evaluation's, of images too."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, MaxNLocator, PercentFormatter
from tqdm import tqdm

from siamese_mnist.atlas import lay_out, spread
from siamese_mnist.evaluation import Evaluation
from siamese_mnist.galleries import draw_matches, draw_one_shot, draw_pairs
from siamese_mnist.metrics import error_rates, roc_curve, similarity_histogram
from siamese_mnist.style import BLUE, GREY, MOST_NAMED, MOST_NUMBERED, ORANGE, logarithmic, save, short_name

MOST_MAPPED = 500


def plot_curves(history: list[dict[str, float]], best: int) -> Figure:
    """Plots training loss and validation EER by epoch, and marks the best epoch (from 1)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    figure.subplots_adjust(0.08, 0.15, 0.98, 0.9, wspace=0.24)  # A layout engine would take a second every epoch.
    epochs = [row["epoch"] for row in history]
    least = min((row["val_eer"] for row in history if row["val_eer"] > 0), default=1e-3)
    errors = [max(row["val_eer"], least / 2) for row in history]  # A logarithmic axis has no place for 0.
    unit = "%" if min(row["val_eer"] for row in history) > 0 else "%; 0 is drawn at the foot"
    left.plot(epochs, [row["loss"] for row in history], color=BLUE, marker="o", markersize=3)
    right.plot(epochs, errors, color=ORANGE, marker="s", markersize=3)
    note = f"best: {history[best - 1]['val_eer']:.2%} after epoch {best}"
    right.plot(best, errors[best - 1], "*", color="black", markersize=14, label=note)
    right.legend()
    left.set(title="Training loss", xlabel="epoch", ylabel="loss")
    right.set(title="Equal error rate on validation pairs", xlabel="epoch", ylabel=f"EER ({unit})")
    for axes, factor in ((left, 1), (right, 100)):
        logarithmic(axes, factor)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    return figure


def plot_roc(evaluation: Evaluation) -> Figure:
    """Plots the ROC of the network and its baselines with the threshold, and the network's similarities."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.9), layout="constrained")
    kinds, threshold = (evaluation.positives, evaluation.negatives), evaluation.scoring.threshold
    curves = {"this network": (roc_curve(*kinds), evaluation.metrics)}
    curves |= {name.replace("_", " "): (one.roc, one.metrics) for name, one in evaluation.baselines.items() if one.roc}
    styles = ({"color": BLUE}, {"color": ORANGE, "ls": "--"}, {"color": GREY, "ls": ":"})
    for (name, (curve, measured)), style in zip(curves.items(), styles):
        left.plot(*curve, lw=2, label=f"{name}: AUC {measured['auc']:.5f}", **style)
    fewest = min(alarms[alarms > 0].min() for (alarms, _), _ in curves.values())
    edge = max(1e-6, fewest / 2)
    misses, alarms = error_rates(*kinds, evaluation.scoring.log_odds_threshold)
    note = f"threshold {threshold:.2f}: {1 - misses:.2%} at {alarms:.2%}"
    left.plot(max(alarms, edge), 1 - misses, "*", color="black", markersize=14, label=note, clip_on=False)
    left.set(title="ROC over all pairs", xscale="log", xlim=(edge, 1), ylim=(-0.02, 1.03))
    left.set(xlabel="different pairs called the same (false alarms)", ylabel="same pairs called the same (hits)")
    left.xaxis.set_major_formatter(LogFormatterSciNotation())
    shares = np.stack([similarity_histogram(kind) for kind in kinds])
    edges = np.linspace(0, 1, shares.shape[1] + 1)
    for share, name, colour, hatch in zip(shares, ("the same class", "different classes"), (ORANGE, BLUE), ("///", "")):
        right.stairs(share, edges, color=colour, fill=True, alpha=0.25, hatch=hatch)
        right.stairs(share, edges, color=colour, lw=1.8, label=f"pairs of {name}")
    right.axvline(threshold, color="black", ls="--", lw=1.2, label=f"threshold {threshold:.2f}")
    lowest = min(1e-3, shares[shares > 0].min() / 2)
    right.set(title="Similarities given to the two kinds of pair", yscale="log", xlim=(0, 1), ylim=(lowest, 1.5))
    right.set(xlabel="similarity (probability, at even odds)", ylabel="share of the kind's pairs, per 0.02")
    right.yaxis.set_major_formatter(lambda share, _: f"{share * 100:.3g}%")
    for axes in (left, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=10, ncols=2)
    return figure


def plot_reliability(evaluation: Evaluation) -> Figure:
    """Plots how often pairs of each similarity are the same, at even odds."""
    figure, axes = plt.subplots(figsize=(5.2, 4.8), layout="constrained")
    different, same = (similarity_histogram(kind, bins=10) for kind in (evaluation.negatives, evaluation.positives))
    centres = (np.arange(len(same)) + 0.5) / len(same)
    observed = np.divide(same, same + different, out=np.full(len(same), np.nan), where=same + different > 0)
    axes.plot([0, 1], [0, 1], color=GREY, ls="--", lw=1.2, label="a perfect probability")
    axes.plot(centres, observed, color=BLUE, marker="o", label="measured")
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
    for x, y, weight in zip(centres, observed, (same + different) / 2):
        if np.isfinite(y):
            place = {"xytext": (0, -7 if y > 0.1 else 7), "va": "top" if y > 0.1 else "bottom", "ha": "center"}
            axes.annotate(
                f"{weight:.2%}", (x, y), textcoords="offset points", fontsize=8, color=GREY, bbox=box, **place
            )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="similarity", ylabel="share of these pairs that are the same")
    axes.set_title("Is the similarity a probability?")
    axes.legend(title="grey: share of all pairs, at even odds", title_fontsize=9)
    return figure


def plot_digit_pairs(evaluation: Evaluation) -> Figure:
    """Draws the error rates of every two classes."""
    names, sizes = evaluation.digits.names, np.array([len(members) for members in evaluation.digits.members])
    called = np.stack([evaluation.called_same[members].sum(0) for members in evaluation.digits.members])
    errors, classes = called / np.outer(sizes, sizes), len(names)
    np.fill_diagonal(errors, 1 - called.diagonal() / (sizes * (sizes - 1)))
    side = max(6.4, 0.72 * classes + 1.6) if classes <= MOST_NUMBERED else 11
    figure, axes = plt.subplots(figsize=(side, side - 0.6), layout="constrained")
    shades = PowerNorm(0.5, vmin=0, vmax=min(1, max(errors.max() * 1.5, 1e-6)))
    cells = axes.imshow(errors, cmap="Blues", norm=shades)
    for (row, column), error in np.ndenumerate(errors):
        if classes <= MOST_NUMBERED:
            style = {
                "color": "white" if shades(error) > 0.6 else "black",
                "weight": "bold" if row == column else "normal",
            }
            axes.text(column, row, f"{error:.2%}", ha="center", va="center", size=9, in_layout=False, **style)
        if row == column:
            axes.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, lw=2, edgecolor=ORANGE))
    named = range(0, classes, 1 + classes // MOST_NAMED)
    for set_ticks in (axes.set_xticks, axes.set_yticks):
        set_ticks(named, [names[label] for label in named])
    axes.set(xlabel="class of one image", ylabel="class of the other")
    axes.set_title(
        "Which classes are confused: share of wrong verdicts\n"
        "framed: same class, called different; others: called the same"
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(False)
    if classes > MOST_NUMBERED:
        axes.tick_params(axis="x", rotation=90)
        axes.tick_params(labelsize=8)
        figure.colorbar(cells, shrink=0.6, format=PercentFormatter(1), label="share of wrong verdicts")
    return figure


def plot_embedding_map(evaluation: Evaluation) -> Figure:
    """Draws at most 500 images, the alike together, each as its class's name, and a typical one of each class."""
    sample = np.random.default_rng(evaluation.seed).permutation(len(evaluation.digits))[:MOST_MAPPED]
    digits, log_odds = evaluation.digits.select(sample), evaluation.log_odds[sample][:, sample]
    points = spread(lay_out(log_odds)).numpy()
    figure, axes = plt.subplots(figsize=(7.5, 7), layout="constrained")
    colours = plt.get_cmap("tab10" if len(digits.classes) <= 10 else "turbo", len(digits.classes))
    span = np.ptp(points, 0)
    for number, (name, members) in enumerate(zip(digits.names, digits.members)):
        own, colour = points[members.numpy()], colours(number)
        if len(digits.classes) > MOST_NUMBERED:
            axes.plot(*own.T, ".", color=colour)
        for x, y in own if len(digits.classes) <= MOST_NUMBERED else ():
            style = {"color": colour, "size": 8, "ha": "center", "va": "center", "alpha": 0.8}
            axes.text(x, y, short_name(name), in_layout=False, **style)
        (x, middle), (dx, dy) = np.median(own, 0), 0.0275 * span
        typical = members[((own - (x, middle)) ** 2).sum(1).argmin()]
        y = np.quantile(own[:, 1], 0.95) + 0.045 * span[1]  # Beside its class, not on it.
        extent, image = (x - dx, x + dx, y - dy, y + dy), 255 - digits.images[typical, 0].numpy()
        axes.imshow(image, cmap="gray", extent=extent, zorder=3, aspect="auto", vmin=0, vmax=255)
        axes.add_patch(plt.Rectangle((x - dx, y - dy), 2 * dx, 2 * dy, fill=False, edgecolor=colour, lw=2, zorder=4))
    (left, low), (right, high) = points.min(0) - 0.04 * span, points.max(0) + (0.04, 0.1) * span
    axes.set(xlim=(left, right), ylim=(low, high), xticks=[], yticks=[])
    told = (
        "name is an image, of that"
        if len(digits.classes) <= MOST_NUMBERED
        else "dot is an image, framed is a typical one of its"
    )
    axes.set_title(f"{len(points):,} images, the more alike the nearer, by t-SNE\neach {told} class")
    axes.spines[:].set_visible(False)
    return figure


FIGURES = {
    "Siamese_test": draw_pairs,
    "match": draw_matches,
    "one_shot": draw_one_shot,
    "roc": plot_roc,
    "reliability": plot_reliability,
    "digit_pairs": plot_digit_pairs,
    "embedding_map": plot_embedding_map,
}


def draw_figures(evaluation: Evaluation, out: Path) -> None:
    """Writes every figure of FIGURES as `out`/NAME.png; there is none of what was not measured."""
    for name, draw in tqdm(FIGURES.items(), desc="figures", unit="figure", leave=False, disable=None):
        if figure := draw(evaluation):
            save(figure, out / f"{name}.png")
