"""How the images of a batch lie in memory: channels-last, as the networks compute and differentiate."""

from __future__ import annotations

import torch
from torch import Tensor


def for_networks(images: Tensor, device: torch.device) -> Tensor:
    """Bring images `[B,C,H,W]` to a device in the layout that the networks compute and differentiate in."""
    return images.to(device).contiguous(memory_format=torch.channels_last)


def rows_of(values: Tensor, rows: Tensor) -> Tensor:
    """Pick rows; images `[B,C,H,W]` stay channels-last, which index_select does not look after."""
    rows = rows.to(values.device)
    if values.dim() != 4:
        return values.index_select(0, rows)
    return values.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)
