"""What stands behind an oracle: a victim's posterior probabilities, and the name of whose answers they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from edgerift import zoo
from edgerift.adapt import weights_digest
from edgerift.defend import Defence, defended
from edgerift.deploy import Build
from edgerift.errors import ModelError
from edgerift.extract._remote import RemoteVictim
from edgerift.images import in_channels, shape_of, to_float
from edgerift.measure import MODULE_CALL, Logits, Predict, array_of, images_of
from edgerift.train import exact_float32

#: This many images are answered, written to the ledger, and only then handed out.
PART: Final = 1024
_BATCH: Final = 256

AnyVictim: TypeAlias = Build | RemoteVictim | nn.Module | Predict
Answer: TypeAlias = Callable[[Tensor], Tensor]


def posteriors(victim: AnyVictim, images: Tensor, *, floats: bool = False) -> Tensor:
    """Ask a victim of one's own about uint8 images `[N,C,H,W]`, without a budget: softmax(logits), float32 `[N,K]`.

    They are queried in the same parts as :class:`Oracle` takes. A module may be queried with float32 images in
    [0, 1] with `floats`. Raises :class:`~edgerift.errors.ModelError` for what the victim raises, or an answer that is
    not one row of finite numbers for each image.
    """
    logits = reading(victim, floats=floats)
    return torch.cat([_posteriors(logits, part) for part in images_of(images).split(PART)])


def answering(victim: Logits | RemoteVictim, defences: tuple[Defence, ...]) -> Answer:
    """Make what answers images with posteriors that the defences have changed; no attribute of it is the victim."""

    def answer(images: Tensor) -> Tensor:
        answers = _posteriors(victim, images)
        # A softmax of several classes is on the simplex; what comes from elsewhere is checked, and so is each defence.
        is_checked = not defences and isinstance(victim, Logits) and answers.shape[1] > 1
        return answers if is_checked else defended(answers, defences, images)

    return answer


def _posteriors(victim: Logits | RemoteVictim, images: Tensor) -> Tensor:
    with torch.no_grad():
        answers = victim.posteriors(images)
    if not np.isfinite(array_of(answers)).all():
        raise ModelError(
            f"the victim answered {len(images)} images with values that are not finite; needed: finite logits "
            "[N, classes]"
        )
    return answers


def reading(victim: AnyVictim, *, floats: bool = False) -> Logits | RemoteVictim:
    """Read a victim's answers, to float32 images in [0, 1] with `floats`, else to uint8 images."""
    if isinstance(victim, RemoteVictim):
        return victim
    if not isinstance(victim, nn.Module):
        return Logits(victim if callable(victim) else victim.predict, "the victim", asks_more=False)
    module = zoo.frozen_copy(victim)
    device = next((tensor.device for tensor in chain(module.parameters(), module.buffers())), torch.device("cpu"))

    def predict(images: Tensor) -> Tensor:
        # Small differences of the answers are to be the victim's own.
        with exact_float32():
            asked = in_channels(images.to(device), zoo.channels_of(module, shape_of(images)))
            return torch.cat([module(part if floats else to_float(part)) for part in asked.split(_BATCH)])

    return Logits(predict, "the victim", MODULE_CALL, asks_more=False)


def identity_of(victim: AnyVictim, defences: tuple[Defence, ...]) -> str:
    """Name whose answers a ledger holds: the victim's content and the defences; a bare function has no content."""
    if isinstance(victim, nn.Module):
        content = weights_digest(victim)
    elif callable(victim):
        content = ""
    else:
        content = victim.fingerprint().model_dump_json()
    changes = [_as_in_ledgers(defence.model_dump(mode="json")) for defence in defences]
    return hashlib.sha256(json.dumps([content, changes], sort_keys=True).encode()).hexdigest()[:32]


def _as_in_ledgers(described: dict[str, Any]) -> dict[str, Any]:
    """Name a defence's kind as the ledgers that people have do, which stay theirs."""
    return {"name" if field == "type" else field: value for field, value in described.items()}
