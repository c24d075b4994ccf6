import itertools
import math
from types import SimpleNamespace

import pytest
import torch

from siamese_mnist import SiameseNetwork, losses
from siamese_mnist.registry import LOSSES


@pytest.fixture(params=[torch.float32, torch.float64])
def batch(request, train_digits):
    """Embeddings (12, 5) and labels of real digits: three classes, unevenly."""
    index = torch.cat([torch.where(train_digits.labels == label)[0][:n] for label, n in ((1, 3), (4, 2), (7, 7))])
    torch.manual_seed(1)
    embeddings = (
        train_digits.images[index].flatten(1).to(request.param) / 255 @ torch.randn(784, 5, dtype=request.param)
    )
    return (embeddings / 5).requires_grad_(), train_digits.labels[index]


def enumerate_pairs(labels):
    for i in range(len(labels)):
        for j in range(i):
            yield i, j, bool(labels[i] == labels[j])


def test_match_is_the_mean_over_ordered_positive_pairs_against_all_negatives_of_the_anchor(batch):
    embeddings, labels = batch
    model = SimpleNamespace(raw_scores=lambda a, b: a @ b.T)
    terms, scores = [], (embeddings @ embeddings.T).tolist()
    for i, j in itertools.permutations(range(len(labels)), 2):
        if labels[i] == labels[j]:
            negatives = [scores[i][k] for k in range(len(labels)) if labels[k] != labels[i]]
            terms.append(math.log1p(sum(math.exp(each - scores[i][j]) for each in negatives)))
    assert losses.match(model, embeddings, labels).item() == pytest.approx(sum(terms) / len(terms), rel=1e-4)


def test_what_symbols_add_weighs_them_apart_from_the_digits(batch):
    embeddings, labels = batch
    model = SimpleNamespace(raw_scores=lambda a, b: a @ b.T)
    symbols, own = -embeddings[2:8], torch.tensor([0, 0, 1, 1, 2, 2])
    joined, theirs = torch.cat([embeddings, symbols]), torch.cat([labels, own])
    unlike = sum(math.log1p(math.exp(each)) for each in (embeddings @ symbols.T).flatten().tolist())
    expected = 0.7 * losses.match(model, embeddings, labels) + losses.match(model, symbols, own)
    expected = expected + losses.SYMBOLS_BCE * losses.bce(model, symbols, own, 0.0)
    expected = expected.item() + losses.UNLIKE * unlike / (len(embeddings) * len(symbols))
    found = losses.compare_symbols(model, joined, theirs, len(embeddings), 0.7)
    assert found.item() == pytest.approx(expected, rel=1e-4)


def mean_of_kinds(values):
    kinds = [[value for same, value in values if same == kind] for kind in (True, False)]
    return sum(sum(kind) / len(kind) for kind in kinds) / 2


def tolerance(dtype):
    return 1e-5 if dtype == torch.float32 else 1e-12


class Scores:
    """A network whose head's scores are given."""

    def __init__(self, logits):
        self.logits = logits

    def raw_scores(self, a, b):
        assert a is b
        return self.logits


def bce(logits, labels):
    return losses.bce(Scores(logits), torch.zeros(len(labels), 2), labels, margin=1.0)


def contrastive(embeddings, labels, margin=1.0):
    return losses.contrastive(None, embeddings, labels, margin)


def test_bce_equals_the_enumerated_pairs(batch):
    embeddings, labels = batch
    logits = embeddings @ embeddings.T
    values = []
    for i, j, same in enumerate_pairs(labels):
        probability = 1 / (1 + math.exp(-logits[i, j].item()))
        values.append((same, -math.log(probability if same else 1 - probability)))
    assert bce(logits, labels).item() == pytest.approx(mean_of_kinds(values), rel=tolerance(logits.dtype))


@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
def test_contrastive_equals_the_enumerated_pairs(batch, margin):
    embeddings, labels = batch
    values = []
    for i, j, same in enumerate_pairs(labels):
        distance = math.dist(embeddings[i].tolist(), embeddings[j].tolist())
        values.append((same, distance**2 / 2 if same else max(0, margin - distance) ** 2 / 2))
    found = contrastive(embeddings, labels, margin).item()
    assert found == pytest.approx(mean_of_kinds(values), rel=tolerance(embeddings.dtype))


def test_contrastive_pulls_the_same_together_and_pushes_different_apart():
    embeddings = torch.tensor([[0.0, 0.0], [0.6, 0.0], [0.0, 0.4]], requires_grad=True)
    contrastive(embeddings, torch.tensor([1, 1, 2]), margin=1.0).backward()
    moved = (embeddings - 0.1 * embeddings.grad).detach()
    assert math.dist(moved[0], moved[1]) < 0.6
    assert math.dist(moved[0], moved[2]) > 0.4


def test_bce_is_low_for_right_and_high_for_wrong_scores():
    labels = torch.tensor([1, 1, 2, 2])
    right = torch.where(labels[:, None] == labels, 5.0, -5.0)
    assert bce(right, labels) < 0.01
    assert bce(-right, labels) > 4.9


def test_rare_positives_weigh_as_much_as_all_negatives():
    labels = torch.tensor([0, 0, *range(1, 40)])
    always_different = torch.full((41, 41), -5.0)
    assert bce(always_different, labels) > 2.4


def test_both_is_the_sum(batch):
    embeddings, labels = batch
    model = Scores(embeddings @ embeddings.T)
    one, other = (loss(model, embeddings, labels, 1.7) for loss in (losses.bce, losses.contrastive))
    assert losses.both(model, embeddings, labels, 1.7) == one + other
    for name in ("bce", "contrastive", "both"):
        assert LOSSES[name].function is getattr(losses, name)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_trains_the_head_if_it_says_so(name, train_digits):
    torch.manual_seed(0)
    network, loss = SiameseNetwork("conv2", "mlp"), LOSSES[name]
    loss.function(network, network.encode(train_digits.images[::200]), train_digits.labels[::200], 2.0).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.encoder.parameters())
    assert all((parameter.grad is not None) == loss.trains_head for parameter in network.head.parameters())


def test_no_nan_gradient_at_distance_zero():
    embeddings = torch.ones(4, 3, requires_grad=True)
    contrastive(embeddings, torch.tensor([0, 0, 1, 1])).backward()
    assert embeddings.grad.isfinite().all()


def test_distance_head_trains_through_equal_images(train_digits):
    network = SiameseNetwork("conv2", "distance")
    images = train_digits.images[[0, 0, 500, 500]]
    embeddings = network.encode(images)
    losses.bce(network, embeddings, torch.tensor([0, 0, 1, 1]), margin=1.0).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("labels", [[3, 3, 3], [1, 2, 3]])
@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_one_kind_of_pair_is_refused(name, labels):
    with pytest.raises(ValueError, match="pair"):
        LOSSES[name].function(Scores(torch.zeros(3, 3)), torch.zeros(3, 2), torch.tensor(labels), 1.0)
