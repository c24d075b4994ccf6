import math

import pytest
import torch

from siamese_mnist import SiameseNetwork, losses


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


def mean_of_kinds(values):
    kinds = [[value for same, value in values if same == kind] for kind in (True, False)]
    return sum(sum(kind) / len(kind) for kind in kinds) / 2


def tolerance(dtype):
    return 1e-5 if dtype == torch.float32 else 1e-12


def test_bce_equals_the_enumerated_pairs(batch):
    embeddings, labels = batch
    logits = embeddings @ embeddings.T
    values = []
    for i, j, same in enumerate_pairs(labels):
        probability = 1 / (1 + math.exp(-logits[i, j].item()))
        values.append((same, -math.log(probability if same else 1 - probability)))
    assert losses.bce(logits, labels).item() == pytest.approx(mean_of_kinds(values), rel=tolerance(logits.dtype))


@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
def test_contrastive_equals_the_enumerated_pairs(batch, margin):
    embeddings, labels = batch
    values = []
    for i, j, same in enumerate_pairs(labels):
        distance = math.dist(embeddings[i].tolist(), embeddings[j].tolist())
        values.append((same, distance**2 / 2 if same else max(0, margin - distance) ** 2 / 2))
    found = losses.contrastive(embeddings, labels, margin).item()
    assert found == pytest.approx(mean_of_kinds(values), rel=tolerance(embeddings.dtype))


def test_contrastive_pulls_the_same_together_and_pushes_different_apart():
    embeddings = torch.tensor([[0.0, 0.0], [0.6, 0.0], [0.0, 0.4]], requires_grad=True)
    losses.contrastive(embeddings, torch.tensor([1, 1, 2]), margin=1.0).backward()
    moved = (embeddings - 0.1 * embeddings.grad).detach()
    assert math.dist(moved[0], moved[1]) < 0.6
    assert math.dist(moved[0], moved[2]) > 0.4


def test_bce_is_low_for_right_and_high_for_wrong_scores():
    labels = torch.tensor([1, 1, 2, 2])
    right = torch.where(labels[:, None] == labels, 5.0, -5.0)
    assert losses.bce(right, labels) < 0.01
    assert losses.bce(-right, labels) > 4.9


def test_rare_positives_weigh_as_much_as_all_negatives():
    labels = torch.tensor([0, 0, *range(1, 40)])
    always_different = torch.full((41, 41), -5.0)
    assert losses.bce(always_different, labels) > 2.4


def test_no_nan_gradient_at_distance_zero():
    embeddings = torch.ones(4, 3, requires_grad=True)
    losses.contrastive(embeddings, torch.tensor([0, 0, 1, 1])).backward()
    assert embeddings.grad.isfinite().all()


def test_distance_head_trains_through_equal_images(train_digits):
    network = SiameseNetwork("conv2", "distance")
    images = train_digits.images[[0, 0, 500, 500]]
    embeddings = network.encode(images)
    losses.bce(network.raw_scores(embeddings, embeddings), torch.tensor([0, 0, 1, 1])).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.parametrize("labels", [[3, 3, 3], [1, 2, 3]])
def test_a_batch_of_one_kind_of_pair_is_refused(labels):
    labels = torch.tensor(labels)
    with pytest.raises(ValueError, match="pair"):
        losses.bce(torch.zeros(3, 3), labels)
    with pytest.raises(ValueError, match="pair"):
        losses.contrastive(torch.zeros(3, 2), labels)
