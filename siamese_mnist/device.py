"""Where to compute, with which precision, and what decides about the last bits."""

import os
from typing import Any

import torch

from siamese_mnist.errors import InputError, note


def pick_device(name: str) -> torch.device:
    """The device for "auto" (CUDA, else MPS, else CPU), "cpu", "cuda" or "mps". InputError if it is not there."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if not available.get(name, False):
        raise InputError(f"device {name!r} is not available here; use --device auto or --device cpu")
    if name == "cuda":  # Without these, the same seed would not give the same weights.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(name)


def bf16_autocast(device: torch.device) -> torch.autocast:
    """Convolutions in bfloat16 where the hardware has it, in float32 elsewhere."""
    if device.type == "cuda":
        enabled = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        known = getattr(torch.cpu, "get_capabilities", dict)()  # Before version 2.11, torch does not tell.
        enabled = device.type == "cpu" and bool(known.get("amx_bf16") or known.get("avx512_bf16"))
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def arithmetic() -> dict[str, Any]:
    """What decides, beside the seed, about the last bits of a training: threads, vector instructions, torch."""
    cpu = torch.backends.cpu.get_cpu_capability()
    return {"threads": torch.get_num_threads(), "cpu": cpu, "torch": str(torch.__version__)}


def use_arithmetic(before: Any) -> None:
    """Takes as many threads as before, if there are so many cores; notes what makes the weights others than they would
    have become."""
    before = before if isinstance(before, dict) else {}
    threads = before.get("threads")
    if type(threads) is int and 1 <= threads <= max(torch.get_num_threads(), os.cpu_count() or 1):
        torch.set_num_threads(threads)
    others = {name: now for name, now in arithmetic().items() if before.get(name, now) != now}
    if others:
        told = ", ".join(f"{name} {now}, not {before[name]!r:.40}" for name, now in others.items())
        note(f"goes on with {told}: the weights will not be bit for bit those of an undisturbed run")
