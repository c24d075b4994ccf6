"""Where to compute, and with which precision."""

import os

import torch

from siamese_mnist.errors import InputError


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
