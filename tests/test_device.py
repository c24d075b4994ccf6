"""What decides about the last bits of a training, and what is said where it cannot be as before."""

import os
import warnings

import pytest
import torch

from siamese_mnist.device import arithmetic, use_arithmetic
from siamese_mnist.errors import InputNote


@pytest.fixture
def threads():
    """How many there are, which a test may change."""
    yield (before := torch.get_num_threads())
    torch.set_num_threads(before)


def test_as_many_threads_as_before_are_taken_without_a_word(threads):
    with warnings.catch_warnings(action="error"):
        use_arithmetic(arithmetic() | {"threads": 1})
        assert torch.get_num_threads() == 1
        for of_old in (None, {}, arithmetic()):
            use_arithmetic(of_old)


@pytest.mark.parametrize("other", [{"threads": 1000}, {"cpu": "abacus"}, {"torch": "0.1"}, {"threads": "many"}])
def test_it_is_said_what_makes_other_bits(threads, other):
    with pytest.warns(InputNote, match=rf"{next(iter(other))} .*, not .*{next(iter(other.values()))}"):
        use_arithmetic(arithmetic() | other)
    assert torch.get_num_threads() <= max(threads, os.cpu_count())
