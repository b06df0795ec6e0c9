"""What a search may change of an image, and a random change of the same kind."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Final, final

import torch
from torch import Tensor

from edgerift.differ._settings import DifferSettings

#: Keeps the normalisation of a gradient that is 0 finite, as DeepXplore does.
_SMALL: Final = 1e-5


def generators(images: Tensor, seed: int) -> list[torch.Generator]:
    """Make a source of random numbers for each uint8 image, by its bytes and the seed alone."""
    found = []
    for image in images:
        content = image.contiguous().numpy().tobytes() + f"{seed}".encode()
        digest = hashlib.blake2b(content, digest_size=7).digest()
        found.append(torch.Generator().manual_seed(int.from_bytes(digest, "big")))
    return found


class Constraint(ABC):
    """The images of one batch, uint8 `[N,C,H,W]`, and where they may go: positions are float32 grey levels."""

    def __init__(self, settings: DifferSettings, images: Tensor) -> None:
        """Draw what is fixed for an image."""
        self.settings, self.clean = settings, images.float()
        self.draws = generators(images, settings.seed)

    @abstractmethod
    def moved(self, position: Tensor, gradient: Tensor) -> Tensor:
        """Move positions up a gradient `[N,C,H,W]` by one step."""

    @abstractmethod
    def drawn(self, position: Tensor) -> Tensor:
        """Draw positions of the same kind without a gradient."""

    def keep(self, rows: Tensor) -> None:
        """Keep some of the images."""
        self.clean = self.clean[rows]
        self.draws = [self.draws[row] for row in rows.tolist()]


@final
class _Box(Constraint):
    def moved(self, position: Tensor, gradient: Tensor) -> Tensor:
        return self._inside(position + self.settings.step * _scaled(gradient))

    def drawn(self, position: Tensor) -> Tensor:
        shares = torch.stack(
            [torch.rand(one.shape, generator=draw) for one, draw in zip(position, self.draws, strict=True)]
        )
        return self._inside(self.clean + ((2 * self.settings.epsilon + 1) * shares).floor() - self.settings.epsilon)

    def _inside(self, position: Tensor) -> Tensor:
        epsilon = self.settings.epsilon
        return position.clamp(self.clean - epsilon, self.clean + epsilon).clamp(0, 255)


@final
class _Light(Constraint):
    def __init__(self, settings: DifferSettings, images: Tensor) -> None:
        super().__init__(settings, images)
        self._shift = torch.zeros(len(images))

    def moved(self, position: Tensor, gradient: Tensor) -> Tensor:
        self._shift = self._shift + self.settings.step * gradient.mean((1, 2, 3)).sign()
        return self._lit()

    def drawn(self, position: Tensor) -> Tensor:
        epsilon = self.settings.epsilon
        self._shift = torch.cat(
            [torch.randint(-epsilon, epsilon + 1, (1,), generator=draw).float() for draw in self.draws]
        )
        return self._lit()

    def keep(self, rows: Tensor) -> None:
        super().keep(rows)
        self._shift = self._shift[rows]

    def _lit(self) -> Tensor:
        self._shift = self._shift.clamp(-self.settings.epsilon, self.settings.epsilon)
        return (self.clean + self._shift[:, None, None, None]).clamp(0, 255)


@final
class _Occlusion(Constraint):
    def __init__(self, settings: DifferSettings, images: Tensor) -> None:
        super().__init__(settings, images)
        self._mask = torch.stack([_square(image, settings.rectangle, draw) for image, draw in self._pairs()])

    def _pairs(self) -> list[tuple[Tensor, torch.Generator]]:
        return list(zip(self.clean, self.draws, strict=True))

    def moved(self, position: Tensor, gradient: Tensor) -> Tensor:
        # The whole gradient is normalised before it is cut to the rectangle.
        return (position + self.settings.step * _scaled(gradient) * self._mask).clamp(0, 255)

    def drawn(self, position: Tensor) -> Tensor:
        anything = torch.stack(
            [torch.randint(0, 256, image.shape, generator=draw).float() for image, draw in self._pairs()]
        )
        return torch.where(self._mask, anything, self.clean)

    def keep(self, rows: Tensor) -> None:
        super().keep(rows)
        self._mask = self._mask[rows]


@final
class _Blackout(Constraint):
    def moved(self, position: Tensor, gradient: Tensor) -> Tensor:
        moved = position.clone()
        for row, (image, draw) in enumerate(zip(self.clean, self.draws, strict=True)):
            for _ in range(self.settings.squares):
                mask = _square(image, self.settings.square, draw)
                if float(gradient[row][mask].mean()) < 0:
                    moved[row][mask] = position[row][mask] - self.settings.step
        return moved.clamp(0, 255)

    def drawn(self, position: Tensor) -> Tensor:
        """Darken squares by a random amount of at most what all the steps could."""
        moved = self.clean.clone()
        most = max(1, round(self.settings.step * self.settings.steps))
        for row, draw in enumerate(self.draws):
            for _ in range(self.settings.squares):
                mask = _square(moved[row], self.settings.square, draw)
                moved[row][mask] -= float(torch.randint(1, most + 1, (1,), generator=draw))
        return moved.clamp(0, 255)


_KINDS: Final[dict[str, type[Constraint]]] = {
    "box": _Box,
    "light": _Light,
    "occlusion": _Occlusion,
    "blackout": _Blackout,
}


def constraint(settings: DifferSettings, images: Tensor) -> Constraint:
    """Make the constraint that the settings name, for uint8 images `[N,C,H,W]`."""
    return _KINDS[settings.constraint](settings, images)


def _scaled(gradient: Tensor) -> Tensor:
    return gradient / (gradient.square().mean((1, 2, 3), keepdim=True).sqrt() + _SMALL)


def _square(image: Tensor, side: int, draw: torch.Generator) -> Tensor:
    """Mark a square of an image `[C,H,W]` at a random place, bool of its shape; at most the whole image."""
    _, height, width = image.shape
    tall, wide = min(side, height), min(side, width)
    top = int(torch.randint(height - tall + 1, (1,), generator=draw))
    left = int(torch.randint(width - wide + 1, (1,), generator=draw))
    mask = torch.zeros(image.shape, dtype=torch.bool)
    mask[:, top : top + tall, left : left + wide] = True
    return mask
