"""Numbers that must not be computed in half precision."""
import torch
from torch import Tensor


def widen(x: Tensor) -> Tensor:
    """Convert half precision to float32; float32 and float64 are returned unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
