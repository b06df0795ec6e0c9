"""The oracle: a victim as an attacker sees it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, TypeAlias, final

import numpy as np
import torch
from torch import Tensor, nn

from edgerift.defend import Defence, checked_chain
from edgerift.errors import BudgetError, InputError, ModelError
from edgerift.extract._ledger import Ledger, image_keys
from edgerift.extract._posteriors import PART, AnyVictim, answering, identity_of, reading
from edgerift.extract._stream import Stream
from edgerift.measure import array_of, images_of
from edgerift.steps import Progress, silent

Pixels: TypeAlias = Literal["whole", "float"]


class Lookup(NamedTuple):
    """What an oracle's ledger says of images by their keys: which of them are new.

    `new` lists where one stands that is not paid for, each once, at its first place; `spent` is how many the ledger had
    then.
    """

    keys: list[bytes]
    new: list[int]
    spent: int


@final
class Oracle:
    """The only way from an attack to a victim: uint8 images in, posterior probabilities out, each image paid for.

    The victim is a build, a :class:`RemoteVictim`, a float model, or any function from uint8 images `[N,C,H,W]` to
    logits or probabilities `[N,K]`, a tensor or an array; which of the two, :class:`~edgerift.measure.Logits` tells.
    Its answers are softmax(logits), or the probabilities, then changed by the `defence`s in their order; an output mode
    (top-k, rounded, the label alone) is the last of them. `budget` is the number of different images that will ever be
    answered. An image that was paid for is answered again from the ledger at no cost, so the same image always has the
    same answer. With a `ledger` path every answer is on disk before it is handed out, and an attack that was killed
    goes on without paying twice. The answers are in memory as well; with `in_memory` false a ledger's are read from its
    file, and memory does not grow with them. No attribute leads to the model. Safe to ask from several threads.

    An attack that generates its images asks with :meth:`stream`: each image is paid for, known or not, and the ledger
    (`LEDGER.stream` beside the other) has their counts and checksums alone, or their answers too with `keep`.
    `pixels="float"` lets it query float images as they are, as the published attacks do against a float model;
    what ships takes whole grey levels.

    Raises :class:`~edgerift.errors.InputError` for a budget below 1, or float images for a victim that takes uint8
    alone, and :class:`~edgerift.errors.StoreError` for a ledger that is damaged, in use, or of another victim or other
    defences.
    """

    __slots__ = ("__weakref__", "_answer", "_answer_floats", "_budget", "_ledger", "_lock", "_stream")

    def __init__(
        self,
        victim: AnyVictim,
        *,
        budget: int,
        defence: Defence | Sequence[Defence] = (),
        ledger: Path | str | None = None,
        pixels: Pixels = "whole",
        keep: bool = False,
        in_memory: bool = True,
    ) -> None:
        """Put a victim behind a budget."""
        if budget < 1:
            raise InputError(f"a budget of {budget} images; at least 1 is needed")
        if pixels == "float" and not isinstance(victim, nn.Module):
            raise InputError("this victim accepts uint8 images only; leave out pixels='float', or give a float model")
        defences = checked_chain(defence)
        self._budget = budget
        self._lock = threading.RLock()
        path, identity = None if ledger is None else Path(ledger), identity_of(victim, defences)
        self._ledger = Ledger(path, identity, in_memory=in_memory)
        try:
            streamed = None if path is None else path.with_name(path.name + ".stream")
            self._stream = Stream(streamed, f"{identity} {pixels}", keep=keep)
        except BaseException:
            self._ledger.close()
            raise
        self._answer = answering(reading(victim), defences)
        self._answer_floats = None if pixels == "whole" else answering(reading(victim, floats=True), defences)

    @property
    def budget(self) -> int:
        """How many different images will ever be answered."""
        return self._budget

    @property
    def spent(self) -> int:
        """How many images were paid for."""
        return len(self._ledger) + self._stream.paid

    @property
    def pixels(self) -> Pixels:
        """Whether generated images are rounded to whole grey levels or answered as they are."""
        return "whole" if self._answer_floats is None else "float"

    @property
    def streamable(self) -> int:
        """How many generated images the budget is enough for, those that were paid for included; never negative."""
        return max(0, self._budget - len(self._ledger))

    @property
    def streamed(self) -> int:
        """How many generated images the attack has queried, from its beginning."""
        return self._stream.asked

    @property
    def remaining(self) -> int:
        """How many more images can be paid for; never negative."""
        return max(0, self._budget - self.spent)

    def ask(self, images: Tensor, progress: Progress = silent) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with posterior probabilities float32 `[N,K]`.

        Raises :class:`~edgerift.errors.BudgetError` when not all images that are new can be paid for; then none of
        them is.
        """
        images = images_of(images)
        _require_images(images, torch.uint8, "uint8 images [N,C,H,W] of 1 or 3 channels")
        return self.answer(images, self.look_up(image_keys(images)), progress)

    def look_up(self, keys: list[bytes]) -> Lookup:
        """Find out which images are paid for, the first step of :meth:`ask`; it costs nothing. See `image_keys`."""
        with self._lock:
            return Lookup(keys, self._ledger.missing(keys), len(self._ledger))

    def answer(self, images: Tensor, found: Lookup, progress: Progress = silent) -> Tensor:
        """Answer images that were looked up, the second step of :meth:`ask`, which pays for those that are new."""
        keys, new, spent = found
        with self._lock:
            if spent != len(self._ledger):  # Somebody has paid meanwhile.
                new = self._ledger.missing(keys)
            if len(new) > self.remaining:
                raise BudgetError(
                    f"{len(new)} new images cost more than the {self.remaining} left of a budget of "
                    f"{self._budget}; query fewer"
                )
            answered = []
            with self._ledger.appending():
                for start in range(0, len(new), PART):
                    part = new[start : start + PART]
                    answered.append(self._answer(_chosen(images, part)))
                    self._ledger.append([keys[place] for place in part], answered[-1])
                    progress("query the victim", part[-1] + 1, len(images))
            return _joined(answered) if len(new) == len(keys) else self._ledger.answers(keys)

    def affordable(self, keys: Sequence[bytes]) -> int:
        """Tell how many images, from the first on, the rest of the budget is enough for; see `image_keys`."""
        with self._lock:
            new = self._ledger.missing(keys)
            return len(keys) if len(new) <= self.remaining else new[self.remaining]

    def stream(self, images: Tensor) -> Tensor:
        """Answer generated images float32 `[N,C,H,W]` in [0, 1] with posterior probabilities float32 `[N,K]`.

        The images are rounded to whole grey levels unless the oracle takes floats. Answers lie on the images' device.
        Raises :class:`~edgerift.errors.BudgetError` when not all can be paid for, and
        :class:`~edgerift.errors.ModelError` when not all pixels are finite; then none of them is paid for.
        """
        images = images_of(images)
        _require_images(images, torch.float32, "generated images as float32 [N,C,H,W] of 1 or 3 channels")
        answer = self._answer if self._answer_floats is None else self._answer_floats
        asked = to_whole(images) if self._answer_floats is None else finite(images.detach())
        with self._lock:
            known = self._stream.paid_before(asked)
            if known is None:
                if len(asked) > self.remaining:
                    raise BudgetError(
                        f"{len(asked)} images cost more than the {self.remaining} left of a budget of {self._budget}"
                    )
                known = torch.cat([answer(part) for part in asked.split(PART)])
                self._stream.append(asked, known)
        return known.to(images.device)

    def settle(self) -> None:
        """Tell that the attack will never go back behind here: what was answered to :meth:`stream` may be dropped."""
        with self._lock:
            self._stream.settle()

    def seek(self, streamed: int) -> None:
        """Go on behind the first `streamed` generated images, as an attack does that was killed; see :attr:`streamed`.

        What was paid for behind them is answered from the ledger. Raises :class:`~edgerift.errors.StoreError` when the
        ledger does not have so many.
        """
        with self._lock:
            self._stream.seek(streamed)

    def close(self) -> None:
        """Let go of the ledger's files."""
        self._ledger.close()
        self._stream.close()

    def __enter__(self) -> Oracle:
        """Use the oracle in a `with` block, which closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the ledger's file."""
        self.close()


def _require_images(images: Tensor, kind: torch.dtype, needed: str) -> None:
    if images.dtype != kind or images.ndim != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        given = f"{str(images.dtype).removeprefix('torch.')} {list(images.shape)}"
        raise InputError(f"an oracle needs {needed}, at least one; got {given}")


def to_whole(images: Tensor) -> Tensor:
    """Round images float32 in [0, 1] to whole grey levels, uint8; raises `ModelError` for what is not finite."""
    return finite(images.detach()).mul(255).round_().clamp_(0, 255).to(torch.uint8)


def finite(images: Tensor) -> Tensor:
    """Give generated images back, or raise `ModelError`: rounded, a NaN is black, and a broken attack a defence."""
    if not bool(images.isfinite().all()):
        raise ModelError("the generated images are not finite; use a lower learning rate")
    return images


def _chosen(images: Tensor, places: list[int]) -> Tensor:
    # Mostly all images are new, and then they need no copying.
    if len(places) == len(images):
        return images
    if places[-1] - places[0] + 1 == len(places):
        return images[places[0] : places[-1] + 1]
    return images[torch.tensor(places)]


def _joined(answers: list[Tensor]) -> Tensor:
    """Join what was handed to the ledger, as it would give it back."""
    # NumPy lets no other thread run meanwhile, which would take longer than the copy.
    rows = [np.array(array_of(part), np.float32) for part in answers]
    return torch.from_numpy(rows[0] if len(rows) == 1 else np.concatenate(rows))
