"""Figures of images with the network's verdicts: pairs, matches, one-shot tasks."""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from siamese_mnist.allpairs import find_worst
from siamese_mnist.evaluation import Evaluation
from siamese_mnist.heads import pairwise_distance
from siamese_mnist.one_shot import Answers
from siamese_mnist.pairs import PairedDataset
from siamese_mnist.style import BLUE, MOST_NUMBERED, ORANGE, frame, short_name

PAIRS_IN_A_ROW, MOST_QUERIES, MOST_TASKS = 6, 10, 12
CELL, LINE = 32, 42  # Pixels from one image of 28 to the next, and to the one below.


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
    images, columns = digits.images[:, 0].numpy(), [0.0, *np.arange(1.5, len(names) + 1.5)]
    wide, high = max(0.9 * (len(names) + 1.5), 8.6), 1.15 * len(queries) + 1
    figure, axes = plt.subplots(figsize=(wide, high))
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.5 / high)
    figure.suptitle(f"Queries against one random reference of {which}: similarity, the best framed", weight="bold")
    canvas = np.full((LINE * len(queries), int(CELL * (len(names) + 1.5))), 255, np.uint8)
    for column, name in zip(columns, ["query", *names]):
        axes.text(CELL * column + 14, -3, short_name(name), ha="center", size=11)
    for line, (query, own) in enumerate(zip(queries, shown)):
        references = [random.choice(images_of[images_of != query]) for images_of in members]
        scores = evaluation.log_odds[query, references].sigmoid().numpy()
        best, top = int(scores.argmax()), LINE * line
        told = [(short_name(names[own]), True), *((f"{score:.3f}", False) for score in scores)]
        told[best + 1] = f"{scores[best]:.3f} {'✓' if best == own else '✗ WRONG'}", True
        for column, index, (text, strong) in zip(columns, [query, *references], told):
            left = int(CELL * column)
            canvas[top : top + 28, left : left + 28] = images[index]
            style = {"ha": "center", "va": "top", "size": 10, "weight": "bold" if strong else "normal"}
            axes.text(left + 13.5, top + 29, text, **style)
        _frame_on_canvas(axes, int(CELL * columns[best + 1]), top, best == own)
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=255)
    axes.set(xlim=(-1, max(canvas.shape[1], CELL * wide / 0.9)), ylim=(len(canvas), -10))
    axes.set_axis_off()
    return figure


def _frame_on_canvas(axes: Axes, left: int, top: int, right: bool) -> None:
    """Frames an image of a canvas: solid for right, dashed for wrong."""
    style = {"edgecolor": BLUE if right else ORANGE, "ls": "-" if right else (0, (2, 1)), "lw": 3}
    axes.add_patch(plt.Rectangle((left - 1, top - 1), 29, 29, fill=False, **style))


def draw_one_shot(evaluation: Evaluation) -> Figure | None:
    """Draws queries of each group, half of them wrong if so many are, beside their candidates, the most alike first.

    None if one-shot tasks were not measured."""
    if not evaluation.one_shot:
        return None
    groups = dict([*evaluation.one_shot.items()][:MOST_TASKS])
    count, ways = min(6, MOST_TASKS // len(groups)), max(own.log_odds.shape[1] for own in groups.values())
    wide, heights = max(0.6 * (ways + 1.5), 7.5), [0.8 * count + 0.55] * len(groups)
    figure = plt.figure(figsize=(wide, sum(heights) + 0.6), layout="constrained")
    told = ["Queries, each beside one candidate of every class, the most alike first: it is chosen"]
    told += ["✓, solid: the query's class; ✗, dashed: a wrong choice, as up to half of those shown are"]
    figure.suptitle("\n".join(fill(line, int(wide * 8.5)) for line in told), size=12, weight="bold")
    for axes, (group, answers) in zip(figure.subplots(len(groups), 1, squeeze=False)[:, 0], groups.items()):
        _draw_tasks(axes, evaluation, group, answers, count)
        axes.set(xlim=(-1, CELL * wide / 0.6))
    return figure


def _draw_tasks(axes: Axes, evaluation: Evaluation, group: str, answers: Answers, count: int) -> None:
    """Draws a query a line, the first in the leftmost column, with its candidates to the right of a gap."""
    images, random = evaluation.digits.images[:, 0].numpy(), np.random.default_rng(evaluation.seed)
    right = answers.right.numpy()
    wrong, others = (random.permutation(np.argwhere(kind)) for kind in (~right, right))
    shown = [*wrong[: max(count // 2, count - len(others))], *others][:count]
    (tasks, ways), high = right.shape, LINE
    canvas = np.full((high * len(shown), int(CELL * (ways + 1.5))), 255, np.uint8)
    for line, (task, query) in enumerate(shown):
        order = answers.log_odds[task, query].argsort(descending=True, stable=True).tolist()
        columns = [0.0, *np.arange(1.5, ways + 1.5)]
        indices = [answers.tasks.queries[task, query], *answers.tasks.candidates[task, order]]
        for column, index in zip(columns, indices):
            canvas[high * line : high * line + 28, int(CELL * column) :][:, :28] = images[index]
        for place in sorted({0, order.index(query)}):
            own, left, top = order[place] == query, int(CELL * (place + 1.5)), high * line
            _frame_on_canvas(axes, left, top, own)
            axes.text(left + 14, top + 29, "✓" if own else "✗", ha="center", va="top", weight="bold")
    axes.imshow(canvas, cmap="gray", vmin=0, vmax=255)
    measured = evaluation.metrics["one_shot"][group]
    low, high = measured["accuracy_ci95"]
    told = f"{group}: {measured['accuracy']:.1%} right ({low:.1%} to {high:.1%})"
    axes.set_title(f"{told} in {tasks} tasks of {ways} ways; a guess: {1 / ways:.1%}", loc="left", size=12)
    axes.set_axis_off()
