"""Figures of images with the network's verdicts: pairs, matches."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from siamese_mnist.allpairs import find_worst
from siamese_mnist.evaluation import Evaluation
from siamese_mnist.heads import pairwise_distance
from siamese_mnist.pairs import PairedDataset
from siamese_mnist.style import GREY, MOST_NUMBERED, frame, short_name

PAIRS_IN_A_ROW, MOST_QUERIES = 6, 10


def draw_pairs(evaluation: Evaluation) -> Figure:
    """Draws random pairs and the worst of each kind with distance, similarity, verdict; a dashed frame is wrong."""
    scoring, digits, count = evaluation.scoring, evaluation.digits, evaluation.shown_pairs
    pairs, scored = PairedDataset(digits, count, evaluation.seed), (evaluation.log_odds, digits.labels)
    misses, alarms = (find_worst(*scored, scoring.log_odds_threshold, kind, PAIRS_IN_A_ROW) for kind in (True, False))
    random_pairs = [pairs.indices(index)[:2] for index in range(count)]
    sections = {
        f"{count} random pairs, half of the same class, half of different ones": random_pairs,
        "The worst misses, each image once: the same class, called different": misses,
        "The worst false alarms, each image once: different classes, called the same": alarms,
    }
    sections = {title: pairs for title, pairs in sections.items() if pairs}
    rows = [-(-len(pairs) // PAIRS_IN_A_ROW) for pairs in sections.values()]
    heights = [1.95 * count + 0.4 for count in rows]
    figure = plt.figure(figsize=(13, sum(heights) + 0.4), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.09)
    figure.suptitle(f"Verdict 1 (the same) from similarity {scoring.threshold:.2f} on, else 0", weight="bold", size=14)
    parts = np.atleast_1d(figure.subfigures(len(rows), 1, height_ratios=heights))
    for part, count, (title, pairs) in zip(parts, rows, sections.items()):
        part.suptitle(title, x=0.01, ha="left", size=13)
        grid = part.subplots(count, PAIRS_IN_A_ROW, squeeze=False).ravel()
        for axes, pair in zip(grid, pairs):
            _draw_pair(axes, evaluation, *pair)
        for axes in grid[len(pairs) :]:
            axes.set_axis_off()
    return figure


def _draw_pair(axes: Axes, evaluation: Evaluation, a: int, b: int) -> None:
    digits, scoring = evaluation.digits, evaluation.scoring
    images, gap = digits.images[:, 0].numpy(), np.full((28, 2), 128, np.uint8)
    axes.imshow(np.concatenate([images[a], gap, images[b]], 1), cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    similarity = evaluation.log_odds[a, b].sigmoid().item()
    distance = pairwise_distance(scoring.embeddings[[a]], scoring.embeddings[[b]]).item()
    verdict = similarity >= scoring.threshold
    right = verdict == bool(digits.labels[a] == digits.labels[b])
    frame(axes, right, thin=1)
    names = [short_name(digits.class_names[digits.labels[image]]) for image in (a, b)]
    axes.set_title(" | ".join(names), size=13, pad=5)
    told = f"verdict {int(verdict)}  {'✓ right' if right else '✗ WRONG'}"
    measured = f"distance {distance:.2f}\nsimilarity {similarity:.3f}"
    axes.set_xlabel(f"{measured}\n{told}", size=11, weight="normal" if right else "bold")


def draw_matches(evaluation: Evaluation) -> Figure:
    """Draws a query of each of at most ten classes beside a random reference of every class; frames the best."""
    digits, random = evaluation.digits, np.random.default_rng(evaluation.seed)
    names, members = digits.names, [members.numpy() for members in digits.members]
    shown = np.sort(random.permutation(len(names))[:MOST_QUERIES])
    queries, which = [random.choice(members[label]) for label in shown], "every class"
    if len(names) > MOST_NUMBERED:
        names, members = ([of_all[label] for label in shown] for of_all in (names, members))
        shown, which = np.arange(len(names)), f"each of these {len(names)} classes"
    rows, columns = len(queries), len(names)
    wide, high = 1.02 * (columns + 1.6), 1.33 * rows + 0.7
    size = (max(wide, 8.6), high)  # The title is that wide.
    edges = {"left": 0.1 / size[0], "right": (wide - 0.3) / size[0], "bottom": 0.3 / high, "top": 1 - 0.75 / high}
    figure, grid = plt.subplots(rows, columns + 1, figsize=size, squeeze=False, gridspec_kw={**edges, "hspace": 0.3})
    figure.suptitle(f"Queries against one random reference of {which}: similarity, the best framed", weight="bold")
    for axes, name in zip(grid[0], ["query", *names]):
        axes.set_title(short_name(name), size=11)
    for line, query, own in zip(grid, queries, shown):
        references = [random.choice(images[images != query]) for images in members]
        scores = evaluation.log_odds[query, references].sigmoid().numpy()
        best, right = int(scores.argmax()), int(scores.argmax()) == own
        for axes, image in zip(line, [query, *references]):
            axes.imshow(digits.images[image, 0].numpy(), cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(visible=image == query, color=GREY)
        for axes, score in zip(line[1:], scores):
            axes.set_xlabel(f"{score:.3f}", size=10)
        line[0].set_xlabel(short_name(names[own]), size=10, weight="bold")
        frame(line[best + 1], right, thin=4)
        line[best + 1].set_xlabel(f"{scores[best]:.3f} {'✓' if right else '✗ WRONG'}", size=10, weight="bold")
    return figure
