"""The figures of an evaluation, from what was measured to the files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from siamese_mnist.data import Digits
from siamese_mnist.evaluation import Measured
from siamese_mnist.model import SiameseNetwork, pairwise_distance
from siamese_mnist.pairs import PairedDataset
from siamese_mnist.pictures import PAIRS_IN_A_ROW, ShownPair, draw_matches, draw_pairs
from siamese_mnist.plots import plot_digit_pairs, plot_embedding_map, plot_reliability, plot_roc

QUERIES = 10
MAPPED_IMAGES = 1000


@torch.inference_mode()
def draw_figures(
    model: SiameseNetwork,
    digits: Digits,
    embeddings: Tensor,
    network: Measured,
    baselines: dict[str, Measured],
    n_pairs: int,
    seed: int,
    out: Path,
) -> None:
    """Writes Siamese_test, match, roc, reliability, digit_pairs and embedding_map (.png) of embeddings (N, D)."""
    names = [digits.class_names[label] for label in digits.classes]
    labels = torch.searchsorted(torch.tensor(digits.classes), digits.labels).numpy()
    pairs = PairedDataset(digits, n_pairs, seed)
    random_pairs = [pairs.indices(index)[:2] for index in range(n_pairs)]
    sections = (
        (f"{n_pairs} random pairs, half of the same class, half of different ones", random_pairs),
        (
            "The worst misses, each image once: the same class, called different",
            _worst_pairs(network.worst[1], model.threshold, same=True),
        ),
        (
            "The worst false alarms, each image once: different classes, called the same",
            _worst_pairs(network.worst[0], model.threshold, same=False),
        ),
    )
    shown = [(title, [_show(model, digits, embeddings, *pair) for pair in part]) for title, part in sections]
    curves = {
        "this network": network,
        "pixel cosine": baselines["pixel_cosine"],
        "untrained network": baselines["untrained"],
    }
    figures: dict[str, Callable[[Path], None]] = {
        "Siamese_test": lambda path: draw_pairs(shown, model.threshold, path),
        "match": lambda path: _draw_match(model, digits, embeddings, labels, names, seed, path),
        "roc": lambda path: plot_roc(curves, network.operating_point, model.threshold, path),
        "reliability": lambda path: plot_reliability(network.spread, path),
        "digit_pairs": lambda path: plot_digit_pairs(network.said_same.numpy(), labels, names, path),
        "embedding_map": lambda path: _draw_map(digits, embeddings, labels, names, seed, path),
    }
    for name, draw in tqdm(figures.items(), desc="figures", unit="figure", leave=False):
        draw(out / f"{name}.png")


def _worst_pairs(worst: tuple[Tensor, Tensor], threshold: float, same: bool) -> list[tuple[int, int]]:
    """The most wrong pairs of one kind, no image in two of them."""
    log_odds, partner = worst
    at = torch.tensor(threshold).logit(eps=1e-12).item()
    pairs: list[tuple[int, int]] = []
    for image in log_odds.argsort().tolist():
        wrong = log_odds[image] < at if same else -log_odds[image] >= at
        other = int(partner[image])
        if wrong and not {image, other} & {index for pair in pairs for index in pair}:
            pairs.append((image, other))
        if not wrong or len(pairs) == PAIRS_IN_A_ROW:
            break
    return pairs


def _show(model: SiameseNetwork, digits: Digits, embeddings: Tensor, a: int, b: int) -> ShownPair:
    similarity = model.similarity(embeddings[a, None], embeddings[b, None]).item()
    return ShownPair(
        images=(digits.images[a, 0].numpy(), digits.images[b, 0].numpy()),
        names=(digits.class_names[digits.labels[a]], digits.class_names[digits.labels[b]]),
        same=bool(digits.labels[a] == digits.labels[b]),
        distance=pairwise_distance(embeddings[a, None], embeddings[b, None]).item(),
        similarity=similarity,
        verdict=int(similarity >= model.threshold),
    )


def _draw_match(
    model: SiameseNetwork,
    digits: Digits,
    embeddings: Tensor,
    labels: np.ndarray,
    names: list[str],
    seed: int,
    path: Path,
) -> None:
    """A query of each class (ten at most), each against a reference of every class that it is not itself."""
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in range(len(names))]
    classes = np.sort(random.permutation(len(names))[:QUERIES])
    queries = np.array([random.choice(members[label]) for label in classes])
    references = np.array([[random.choice(own[own != query]) for own in members] for query in queries])
    scores = [
        model.similarity(embeddings[query, None], embeddings[row])[0].cpu().numpy()
        for query, row in zip(queries, references)
    ]
    images = digits.images[:, 0].numpy()
    draw_matches(
        images[queries], [names[label] for label in classes], images[references], names, np.stack(scores), path
    )


def _draw_map(digits: Digits, embeddings: Tensor, labels: np.ndarray, names: list[str], seed: int, path: Path) -> None:
    sample = np.random.default_rng(seed).permutation(len(digits))[:MAPPED_IMAGES]
    points = _flatten(embeddings[sample].cpu().numpy())
    plot_embedding_map(points, labels[sample], digits.images[sample, 0].numpy(), names, path)


def _flatten(embeddings: np.ndarray) -> np.ndarray:
    """Points (N, 2) with the neighbours of the embeddings (N, D). t-SNE: van der Maaten and Hinton 2008."""
    from sklearn.manifold import TSNE  # imports take seconds and 100 MB

    if len(embeddings) < 8:  # t-SNE needs more images than neighbours
        return embeddings[:, :2]
    neighbours = min(30, len(embeddings) / 4)
    return TSNE(perplexity=neighbours, init="pca", random_state=0).fit_transform(embeddings)
