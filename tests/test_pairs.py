import numpy as np
import pytest
import torch

from siamese_mnist import Digits, InputError, PairedDataset
from siamese_mnist.pairs import BalancedBatches, pair_masks


def test_half_the_pairs_are_the_same_and_labels_tell_the_truth(train_digits):
    pairs = PairedDataset(train_digits, n_pairs=2000, seed=3)
    drawn = [pairs.indices(index) for index in range(len(pairs))]
    assert sum(same for *_, same in drawn) == 1000
    for a, b, same in drawn:
        assert a != b
        assert (train_digits.labels[a] == train_digits.labels[b]) == bool(same)


def test_a_pair_holds_the_images_of_its_indices(train_digits):
    pairs = PairedDataset(train_digits, n_pairs=20)
    for index, ((image_a, image_b), same) in enumerate(pairs):
        a, b, expected = pairs.indices(index)
        assert torch.equal(image_a, train_digits.images[a])
        assert torch.equal(image_b, train_digits.images[b])
        assert same == expected


def test_two_classes_of_two_images_are_enough_and_none_is_paired_with_itself(train_digits):
    two_each = train_digits.select(train_digits.labels < 2).at_most(2)
    assert all(a != b for a, b, _ in map(PairedDataset(two_each, 500).indices, range(500)))


def test_every_two_classes_are_equally_likely_whatever_their_size(train_digits):
    keep = torch.cat([torch.where(train_digits.labels == label)[0][: 5 + 40 * label] for label in range(10)])
    digits = train_digits.select(keep)
    pairs = PairedDataset(digits, n_pairs=18_000)
    counts = np.zeros((10, 10))
    for index in range(1, len(pairs), 2):
        a, b, _ = pairs.indices(index)
        counts[digits.labels[a], digits.labels[b]] += 1
    assert (counts.diagonal() == 0).all()
    expected = 9000 / 90
    off_diagonal = counts[~np.eye(10, dtype=bool)]
    chi_square = ((off_diagonal - expected) ** 2 / expected).sum()
    assert chi_square < 150  # 89 degrees of freedom: above 150 once in 20,000 seeds


def test_pairs_depend_on_seed_and_index_alone(train_digits):
    first, again = PairedDataset(train_digits, 100, seed=1), PairedDataset(train_digits, 50, seed=1)
    assert [first.indices(i) for i in range(50)] == [again.indices(i) for i in reversed(range(50))][::-1]
    other = PairedDataset(train_digits, 100, seed=2)
    assert sum(first.indices(i) == other.indices(i) for i in range(100)) < 5


def test_by_default_there_are_1000_pairs_of_seed_0(train_digits):
    pairs, same = PairedDataset(train_digits), PairedDataset(train_digits, n_pairs=1000, seed=0)
    assert list(map(pairs.indices, range(len(pairs)))) == list(map(same.indices, range(1000)))


def test_pairs_are_indexed_as_sequences_are(train_digits):
    pairs = PairedDataset(train_digits, n_pairs=50)
    every = list(pairs)
    for index, one in ((-1, every[49]), (-50, every[0]), (torch.tensor(7), every[7]), (np.int64(8), every[8])):
        (a, b), same = pairs[index]
        assert torch.equal(a, one[0][0])
        assert torch.equal(b, one[0][1])
        assert same == one[1]
    assert [same for _, same in pairs[2:5]] == [1, 0, 1]
    assert torch.equal(pairs[4:1:-2][1][0][0], every[2][0][0])
    for index in (50, -51):
        with pytest.raises(IndexError):
            pairs[index]


@pytest.mark.parametrize("options", [{"n_pairs": 0}, {"n_pairs": -3}, {"seed": -1}])
def test_no_pairs_are_refused(train_digits, options):
    with pytest.raises(InputError):
        PairedDataset(train_digits, **options)


def test_the_dataset_ends(train_digits):
    pairs = PairedDataset(train_digits, n_pairs=3)
    assert len(list(pairs)) == 3
    with pytest.raises(IndexError):
        pairs[3]


def test_a_class_with_one_image_or_a_single_class_is_refused(train_digits):
    with pytest.raises(InputError):
        PairedDataset(train_digits.select(train_digits.labels == 3))
    lonely = torch.cat([torch.where(train_digits.labels == 1)[0], torch.where(train_digits.labels == 2)[0][:1]])
    with pytest.raises(InputError):
        PairedDataset(train_digits.select(lonely))


def test_batches_are_balanced_and_an_epoch_sees_every_image_once(train_digits):
    batches = BalancedBatches(train_digits, batch_size=200, seed=0)
    seen = list(batches)
    assert len(seen) == len(batches) == 20
    for index in seen:
        assert train_digits.labels[index].bincount(minlength=10).tolist() == [20] * 10
    assert torch.cat(seen).sort().values.tolist() == list(range(4000))


def test_batches_of_uneven_and_many_classes_hold_no_image_twice():
    labels = torch.repeat_interleave(torch.arange(60), torch.arange(60) % 9 + 2)
    batches = BalancedBatches(
        Digits(torch.zeros(len(labels), 1, 28, 28, dtype=torch.uint8), labels, tuple(map(str, range(60)))), 64, seed=0
    )
    for index in batches:
        assert len(index.unique()) == len(index)
        counts = labels[index].bincount()
        assert (counts > 0).sum() == 16
        assert counts.max() <= 4
        assert counts[counts > 0].min() >= 2


def test_the_smallest_batch_holds_both_kinds_of_pair_and_the_smallest_epoch_is_one_batch(train_digits):
    smallest = next(iter(BalancedBatches(train_digits, batch_size=1, seed=0)))
    assert train_digits.labels[smallest].unique(return_counts=True)[1].tolist() == [2, 2]
    (only,) = BalancedBatches(train_digits.at_most(2), batch_size=200, seed=0)
    assert sorted(only.tolist()) == list(range(20))


def test_batches_differ_by_epoch_and_repeat_by_seed(train_digits):
    one, same = BalancedBatches(train_digits, 100, seed=5), BalancedBatches(train_digits, 100, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    same.epoch = 1
    assert not torch.equal(next(iter(one)), next(iter(same)))


def test_digits_keep_the_caller_s_images(train_digits):
    half = train_digits.select(train_digits.labels < 5)
    assert isinstance(half, Digits)
    assert half.classes == [0, 1, 2, 3, 4]
    assert len(half) == 2000


def test_masks_hold_each_pair_once_by_its_kind():
    labels = torch.tensor([4, 1, 4, 1, 4])
    same, different = pair_masks(labels)
    assert same.nonzero().tolist() == [[0, 2], [0, 4], [1, 3], [2, 4]]
    assert different.nonzero().tolist() == [[0, 1], [0, 3], [1, 2], [1, 4], [2, 3], [3, 4]]
