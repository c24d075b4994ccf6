"""One training by several processes, as torchrun starts them; in a single process, nothing of this does anything.

Each process, a rank, has the whole network and encodes its share of a batch; the loss is that of all of its pairs.
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from siamese_mnist.errors import InputError

Items = TypeVar("Items", Tensor, list)
PATIENCE = timedelta(minutes=30)  # The first rank evaluates and saves, while the others wait.


def world_size() -> int:
    """How many ranks there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0; the first one alone writes and prints."""
    return dist.get_rank() if world_size() > 1 else 0


@contextmanager
def ranks() -> Iterator[None]:
    """Joins the ranks that torchrun has started, if it has: NCCL on CUDA, else Gloo.

    InputError if one of the others ends before its time."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group(timeout=PATIENCE)
    try:
        with redirect_stdout(io.StringIO()) if rank() else nullcontext():
            yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        reason = str(error).splitlines()[0].split("] ")[-1]
        raise InputError(
            f"rank {rank()}: another rank ended ({reason:.60}); start anew, a training with --resume"
        ) from error
    finally:
        dist.destroy_process_group()


def by_first(call: Callable[..., Any], *args: Any) -> Any:
    """Calls it in the first rank, while the others wait, and returns in each what it returned there."""
    if world_size() == 1:
        return call(*args)
    dist.broadcast_object_list(returned := [call(*args) if rank() == 0 else None])
    return returned[0]


def share(items: Items) -> Items:
    """This rank's share: every so many-th; of a batch, where the images of a class follow each other, some of each."""
    return items[rank() :: world_size()]


def add_up(tensor: Tensor) -> Tensor:
    """The sum of the ranks' tensors, written into this one."""
    if world_size() > 1:
        dist.all_reduce(tensor)
    return tensor


def gather(embeddings: Tensor, labels: Tensor, known: int) -> tuple[Tensor, Tensor, int]:
    """The embeddings (B, D) of all ranks, with their gradients, labels (B,), and how many are no symbols; these last.

    What is of a class of its own, as symbols are, and strangers, below 0, is so beside those of other ranks, too."""
    if world_size() == 1:
        return embeddings, labels, known
    own = (labels < 0) | (torch.arange(len(labels), device=labels.device) >= known)
    labels = torch.where(own, labels * world_size() + torch.where(labels < 0, -rank(), rank()), labels)
    parts = [(_of_all(embeddings[part]), _of_all(labels[part])) for part in (slice(known), slice(known, None))]
    return *(torch.cat(each) for each in zip(*parts)), len(parts[0][1])


def _of_all(rows: Tensor) -> Tensor:
    """The rows of all ranks, of which some may have fewer, in the order of the ranks."""
    counts = torch.zeros(world_size(), dtype=torch.long, device=rows.device)
    counts[rank()] = len(rows)
    counts = _Sum.apply(counts)
    before, after = (
        rows.new_zeros(int(part.sum()), *rows.shape[1:]) for part in (counts[: rank()], counts[rank() + 1 :])
    )
    return _Sum.apply(torch.cat([before, rows, after]))


class _Sum(torch.autograd.Function):
    """The sum of a tensor of each rank; its gradient is the sum of all ranks' gradients."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:
        dist.all_reduce(total := tensor.clone(memory_format=torch.contiguous_format))
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


def average_gradients(model: nn.Module) -> None:
    """Makes the gradients of all ranks their mean: that of the loss of the whole batch, as each has all embeddings."""
    if world_size() > 1:
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        dist.all_reduce(flat := torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, mean in zip(gradients, (flat / world_size()).split([each.numel() for each in gradients])):
            gradient.copy_(mean.view_as(gradient))


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation of maps (B, C, H, W) by the statistics of all ranks' together; torch's own needs CUDA."""

    def forward(self, maps: Tensor) -> Tensor:
        if world_size() == 1 or not self.training:
            return super().forward(maps)
        wide = maps.to(self.weight.dtype)  # Sums in bfloat16, which maps may be in, would be too coarse.
        count = wide.new_tensor([maps.numel() / maps.shape[1]])
        sums = _Sum.apply(torch.cat([wide.sum((0, 2, 3)), wide.square().sum((0, 2, 3)), count]))
        count = sums[-1].detach()
        mean, square = (sums[:-1] / count).chunk(2)
        variance = square - mean.square()
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (wide * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]).to(maps.dtype)
