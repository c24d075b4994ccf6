"""The optimizers: AdamW, and Muon for the matrices of an encoder."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from siamese_mnist.model import SiameseNetwork

LARGEST = 100_000  # Of matrices of more numbers, each step would take as long as a tenth of the backward pass.
RATIO, MOMENTUM = 10.0, 0.9  # The learning rate of the matrices, to that of the others.
ROUNDS, QUINTIC = 5, (3.4445, -4.7750, 2.0315)  # That many bring singular values near to 1, not to it.


def _bare(name: str) -> Callable[..., Any]:
    """A method of torch's AdamW without its decorator, which imports torch.compile, unused here, for two seconds."""
    method = getattr(torch.optim.AdamW, name)
    return getattr(method, "__wrapped__", method)


class AdamW(torch.optim.AdamW):
    """torch's own, of all parameters of a network."""

    def __init__(self, model: SiameseNetwork, lr: float, weight_decay: float) -> None:
        super().__init__(self.group(model, lr), lr, weight_decay=weight_decay)

    def group(self, model: SiameseNetwork, lr: float) -> list[dict[str, Any]]:
        """The parameters in groups, each with what is its own."""
        return [{"params": [*model.parameters()]}]

    add_param_group, zero_grad = _bare("add_param_group"), _bare("zero_grad")
    state_dict, load_state_dict = _bare("state_dict"), _bare("load_state_dict")
    step = torch.no_grad()(_bare("step"))


class Muon(AdamW):
    """AdamW, but for the encoder's matrices, a convolution being one, Muon: all directions of a step are as long.

    Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; torch's own is in bfloat16, which old CPUs lack."""

    def group(self, model: SiameseNetwork, lr: float) -> list[dict[str, Any]]:
        matrices = [weight for weight in model.encoder.parameters() if weight.ndim > 1 and weight.numel() <= LARGEST]
        own = {id(weight) for weight in matrices}
        others = [parameter for parameter in model.parameters() if id(parameter) not in own]
        return [{"params": others}, {"params": matrices, "lr": RATIO * lr}]

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        matrices = self.param_groups[1]
        for weight in matrices["params"]:
            if weight.grad is not None:
                state = self.state[weight]
                if not state:  # AdamW expects a number of steps when it loads a state.
                    state.update(step=torch.tensor(0.0), momentum=torch.zeros_like(weight))
                momentum = state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
                step = even_out(weight.grad.lerp(momentum, MOMENTUM).flatten(1)).view(weight.shape)
                weight.mul_(1 - matrices["lr"] * matrices["weight_decay"]).sub_(matrices["lr"] * step)
                weight.grad = None  # AdamW passes over it.
        super().step(closure)


def even_out(matrix: Tensor) -> Tensor:
    """A matrix (O, I) of the same singular vectors with singular values near to 1, or to √(O/I) if it is high."""
    high = len(matrix) > matrix.shape[1]
    x = (matrix.T if high else matrix) / matrix.norm().clamp(min=1e-12)
    a, b, c = QUINTIC
    for _ in range(ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T * (len(matrix) / matrix.shape[1]) ** 0.5 if high else x
