"""The optimizers: what Muon makes of a gradient, what it leaves to AdamW, and that a state goes on where it stopped."""

from copy import deepcopy

import pytest
import torch

from siamese_mnist import SiameseNetwork
from siamese_mnist.losses import bce
from siamese_mnist.optimizer import LARGEST, RATIO, AdamW, Muon, even_out
from siamese_mnist.registry import OPTIMIZERS


def train_a_step(model, optimizer, digits):
    loss = bce(model, model.encode(digits.images), digits.labels, 0.0)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("shape", [(24, 9), (48, 216), (7, 7)])
def test_singular_values_come_near_to_each_other_and_vectors_stay(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape, dtype=torch.double) @ torch.diag(torch.logspace(0, -1, shape[1], dtype=torch.double))
    left, before, right = torch.linalg.svd(matrix, full_matrices=False)
    evened = even_out(matrix)
    after = left.T @ evened @ right.T
    size = max(1, shape[0] / shape[1]) ** 0.5
    assert before.max() / before.min() > 4
    assert 0.6 * size < after.diagonal().min() < after.diagonal().max() < 1.25 * size
    assert (after - torch.diag(after.diagonal())).abs().max() < 1e-6
    assert torch.equal(even_out(torch.zeros(shape)), torch.zeros(shape))


def test_muon_takes_the_encoder_s_matrices_and_adamw_the_rest(train_digits):
    torch.manual_seed(0)
    model = SiameseNetwork()
    optimizer = Muon(model, 0.001, weight_decay=0.0)
    before = [weight.detach().clone() for weight in model.parameters()]
    train_a_step(model, optimizer, train_digits.at_most(4))
    matrices = {id(weight) for weight in optimizer.param_groups[1]["params"]}
    assert len(matrices) == 4
    for (name, weight), old in zip(model.named_parameters(), before):
        own = name.startswith("encoder") and weight.ndim > 1 and weight.numel() <= LARGEST
        assert (id(weight) in matrices) == own, name
        step = (weight.detach() - old).flatten(1) if own else (weight.detach() - old).flatten()
        if own:
            size = max(1, len(step) / step.shape[1]) ** 0.5
            assert 0.6 < torch.linalg.svdvals(step)[:5].min() / (RATIO * 0.001 * size) < 1.25, name
        elif step.any():  # Adam's first step is as long as the learning rate, where there is a gradient.
            assert step.abs().max() == pytest.approx(0.001, rel=0.01), name


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_goes_on_bit_for_bit(name, train_digits):
    some = train_digits.at_most(4)
    torch.manual_seed(0)
    model, other = SiameseNetwork(), SiameseNetwork()
    optimizer = OPTIMIZERS[name].build(model, 0.002, 0.05)
    for _ in range(2):
        train_a_step(model, optimizer, some)
    other.load_state_dict(model.state_dict())
    resumed = OPTIMIZERS[name].build(other, 0.002, 0.05)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    losses = [[train_a_step(*each, some) for _ in range(2)] for each in ((model, optimizer), (other, resumed))]
    assert losses[0] == losses[1]
    assert all(map(torch.equal, model.parameters(), other.parameters()))


def test_adamw_is_torch_s_own(train_digits):
    some = train_digits.at_most(4)
    torch.manual_seed(0)
    model, other = SiameseNetwork("conv2"), SiameseNetwork("conv2")
    other.load_state_dict(model.state_dict())
    optimizers = AdamW(model, 0.01, 0.05), torch.optim.AdamW(other.parameters(), 0.01, weight_decay=0.05)
    for _ in range(3):
        for each in zip((model, other), optimizers):
            train_a_step(*each, some)
    assert all(map(torch.equal, model.parameters(), other.parameters()))
