"""One-shot classification of classes never trained on: which of k candidates, one of each class, is a query's class?

Tasks as in Lake et al. 2015 and Koch et al. 2015: of one script, all candidates by one writer, all queries by another.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from siamese_mnist.allpairs import Score
from siamese_mnist.bootstrap import interval, sample_means
from siamese_mnist.data import Digits

TASKS, MOST_WAYS = 100, 20  # Of each group; Lake et al. have 20 of 20 ways.
UNGROUPED = "all"


class Tasks(NamedTuple):
    """T tasks of one group: indices (T, W) of their candidates, and of the queries, in the same order of classes."""

    candidates: Tensor
    queries: Tensor


class Answers(NamedTuple):
    """The tasks of a group, and the log-odds (T, W, W) of each query (row) with each candidate of its task."""

    tasks: Tasks
    log_odds: Tensor

    @property
    def right(self) -> Tensor:
        """bool (T, W): is a query most like the candidate of its class? A tie is wrong."""
        own = self.log_odds.diagonal(dim1=1, dim2=2)
        others = self.log_odds.masked_fill(torch.eye(own.shape[1], dtype=torch.bool), -torch.inf)
        return own > others.amax(2)


def find_groups(digits: Digits) -> dict[str, list[Tensor]]:
    """The images (n,) of each class of each group, such as "Sanskrit" of "Sanskrit/character01", with two or more."""
    groups: dict[str, list[Tensor]] = {}
    for name, members in zip(digits.names, digits.members):
        groups.setdefault(name.rpartition("/")[0] or UNGROUPED, []).append(members)
    return {name: classes for name, classes in groups.items() if len(classes) > 1}


def draw_tasks(digits: Digits, seed: int) -> dict[str, Tasks]:
    """Draws TASKS tasks of each group, each of at most MOST_WAYS random classes, which have two images or more.

    Of every class a task takes the images of the same two ranks: where the k-th is by the k-th writer, it has two."""
    drawn = {}
    for group, classes in find_groups(digits).items():
        random, largest = np.random.default_rng(seed), max(map(len, classes))
        pairs = []
        for _ in range(TASKS):
            chosen = random.permutation(len(classes))[:MOST_WAYS]
            candidate, query = random.permutation(largest)[:2]
            pairs.append([_two_images(classes[label], int(candidate), int(query)) for label in chosen])
        drawn[group] = Tasks(*torch.tensor(pairs).unbind(2))
    return drawn


def _two_images(members: Tensor, first: int, second: int) -> tuple[int, int]:
    """The members of two ranks, which start anew beyond the last, and never the same one twice."""
    first, second = first % len(members), second % len(members)
    return int(members[first]), int(members[(second + (first == second)) % len(members)])


@torch.no_grad()
def answer(tasks: dict[str, Tasks], embeddings: Tensor, score: Score) -> dict[str, Answers]:
    """Scores the queries of each group's tasks with their candidates, from embeddings (N, D)."""
    return {
        group: Answers(own, torch.stack([score(embeddings[q], embeddings[c]).cpu() for c, q in zip(*own)]))
        for group, own in tasks.items()
    }


def measure(answers: dict[str, Answers]) -> dict[str, Any]:
    """The accuracy of each group, and `one_shot_accuracy`, their mean, whatever their sizes; nothing of no group.

    95 % intervals are of other tasks of these classes, not of other classes. `one_shot_ways` is the mean, too."""
    if not answers:
        return {}
    rates = {group: own.right.double().mean(1) for group, own in answers.items()}  # (T,) each
    queries = {group: len(own.tasks.queries.unique()) for group, own in answers.items()}
    groups = {
        group: {"ways": own.log_odds.shape[1]} | _accuracy("accuracy", rates[group], queries[group])
        for group, own in answers.items()
    }
    mean = _accuracy("one_shot_accuracy", torch.stack([*rates.values()]).mean(0), sum(queries.values()))
    ways = [own["ways"] for own in groups.values()]
    chance = sum(1 / each for each in ways) / len(ways)
    return mean | {"one_shot_ways": sum(ways) / len(ways), "one_shot_chance": chance, "one_shot": groups}


def _accuracy(name: str, by_task: Tensor, queries: int) -> dict[str, Any]:
    samples = sample_means(by_task)
    return {name: float(samples[0]), f"{name}_ci95": interval(samples, float(samples[0]), queries)}
