"""Running sums in a fixed order, on any device."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad


def running_sums(values: Tensor) -> Tensor:
    """Returns the sums of values (…,N) up to and including each place, in log₂ N additions.

    The scan is that of Hillis & Steele 1986, "Data parallel algorithms". `torch.cumsum` of floats on a GPU adds in no
    fixed order, and is refused where results must repeat.
    """
    step = 1
    while step < values.shape[-1]:
        values = values + pad(values[..., :-step], (step, 0))
        step *= 2
    return values
