"""One iteration of a data-free attack: the generator's steps, the clones' steps, and the rehearsal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, final

import torch
from torch import Tensor, nn

from edgerift import zoo
from edgerift.errors import ModelError
from edgerift.extract._clones import Vote, class_imbalance, disagreement
from edgerift.extract._critic import Critic, critic_loss
from edgerift.extract._data_free_settings import DataFree
from edgerift.extract._descent import learning_rate, optimizer, set_learning_rate
from edgerift.extract._differences import Estimate, estimate
from edgerift.extract._generator import Generator, squashed
from edgerift.extract._oracle import Oracle, to_whole
from edgerift.extract._ranks import Ranks
from edgerift.extract._recovery import total_loss
from edgerift.extract._replay import Replay
from edgerift.extract._state import Parts
from edgerift.images import ImageShape, in_channels, to_float
from edgerift.train import exact_float32

#: Any shape of images in colour: a clone that does not say what it takes, takes them.
_COLOUR: Final = ImageShape(3, 1, 1)


class Asked(NamedTuple):
    """A batch as the victim got it (uint8, or float32 where it takes that) and its posteriors."""

    images: Tensor
    answers: Tensor


class Networks(NamedTuple):
    """What an attack trains: the generator, the clones, and a critic where the attacker has images of its own."""

    generator: Generator
    clones: Vote
    critic: Critic | None


class Seen(NamedTuple):
    """What an iteration saw: the clones' mean loss on new images, and the share of differences that were zero."""

    clone_loss: Tensor
    zero_share: Tensor | None


@final
class Iteration:
    """The networks of an attack and what trains them; called with its number, it goes one iteration further.

    With several `ranks` each has its share of every batch, and after each iteration all have the same networks.
    """

    def __init__(
        self,
        settings: DataFree,
        victim: Oracle,
        networks: Networks,
        *,
        replay: Replay | None,
        positives: Tensor | None,
        total: int,
        classes: int,
        ranks: Ranks,
    ) -> None:
        """Put the parts together; `total` is the number of iterations that the budget is enough for."""
        self._settings, self._victim, self._total, self._classes = settings, victim, total, classes
        generator, clones, critic = networks
        self.generator, self.clones, self.replay = generator, clones, replay
        self._positives, self._critic = positives, critic
        self._ranks, self._batch_size = ranks, settings.batch_size // ranks.world_size
        self._device = next(generator.parameters()).device
        self._channels = zoo.channels_of(clones.clones[0], _COLOUR)
        self._descents = {"generator": settings.generator, "clones": settings.clone}
        self._optimizers = {
            "generator": optimizer(generator, settings.generator),
            "clones": optimizer(clones, settings.clone),
        }
        if critic is not None and settings.positives is not None:
            self._optimizers["critic"] = torch.optim.Adam(
                critic.parameters(), lr=settings.positives.learning_rate, betas=(0.0, 0.9)
            )
        self._make: Callable[[Tensor], Tensor] = torch.compile(generator) if settings.compile else generator
        self._members = [torch.compile(clone) if settings.compile else clone for clone in clones.clones]

    @property
    def parts(self) -> Parts:
        """All that changes from iteration to iteration, but the replay memory."""
        modules: dict[str, nn.Module] = {"generator": self.generator, "clones": self.clones}
        if self._critic is not None:
            modules["critic"] = self._critic
        return Parts(modules, self._optimizers)

    def __call__(self, number: int, draws: torch.Generator) -> Seen:
        """Train for one iteration, all that is drawn coming from `draws`."""
        for name, descent in self._descents.items():
            set_learning_rate(self._optimizers[name], learning_rate(descent, number, self._total))
        settings = self._settings
        if self._critic is not None:
            self._train_critic(draws)
        zero_shares = []
        reused: Asked | None = None
        for _ in range(settings.generator_steps):
            points = self._points(draws)
            with exact_float32():
                found = self._train_generator(points, draws)
            if found is not None:
                zero_shares.append(found.zero_share)
                if settings.reuse and found.answers is not None:
                    reused = Asked(self._as_asked(squashed(points.detach())), found.answers)
        losses = []
        for step in range(settings.clone_steps):
            batch = reused if step == 0 and reused is not None else self._ask(draws)
            losses.append(self._train_clones(batch))
            self._remember(batch, is_last=step == settings.clone_steps - 1)
        self._rehearse(draws)
        seen = Seen(torch.stack(losses).mean(), torch.stack(zero_shares).mean() if zero_shares else None)
        self._ranks.average_statistics((self.generator, self.clones))
        self._ranks.average([value for value in seen if value is not None])
        return seen

    def _points(self, draws: torch.Generator) -> Tensor:
        settings = self._settings
        latent = torch.randn(self._batch_size, settings.latent, generator=draws, device=self._device)
        with self._autocast():
            return self._make(latent).float()

    def _images(self, points: Tensor, draws: torch.Generator) -> Tensor:
        images, every = squashed(points), self._settings.grey
        if every is None:
            return images
        channel = torch.randint(3, (1,), generator=draws, device=self._device)
        if images.shape[1] == 1:
            return images
        is_grey = (torch.arange(len(images), device=self._device) % every == 0).view(-1, 1, 1, 1)
        return torch.where(is_grey, images.index_select(1, channel), images)

    def _train_generator(self, points: Tensor, draws: torch.Generator) -> Estimate | None:
        settings = self._settings
        self.clones.eval().requires_grad_(False)
        found, extra = None, None
        if settings.differences is not None:
            found = estimate(self._stream, self._voted, points, settings.loss, settings.differences, draws)
            # Uphill: the generator looks for images on which the clone is wrong. What ranks find is averaged later.
            divisor = 1 / self._ranks.world_size if settings.summed else self._batch_size
            gradient = -found.gradient / divisor
        else:
            gradient = None
            logits = self._logits_of_each(self._images(points, draws))
            extra = -disagreement(logits).mean() + settings.diversity * class_imbalance(logits)
        if self._critic is not None and settings.positives is not None:
            drawn = -settings.positives.weight * self._critic(squashed(points)).mean()
            extra = drawn if extra is None else extra + drawn
        optimizer = self._optimizers["generator"]
        optimizer.zero_grad(set_to_none=True)
        if gradient is not None:
            loss = (points * gradient).sum()
            extra = loss if extra is None else loss + extra
        assert extra is not None
        extra.backward()
        self._ranks.average_gradients(self.generator)
        optimizer.step()
        self.clones.train().requires_grad_(True)
        return found

    def _ask(self, draws: torch.Generator) -> Asked:
        self.generator.train(self._settings.generator_mode != "eval")
        with torch.no_grad():
            asked = self._as_asked(self._images(self._points(draws), draws))
        self.generator.train()
        return Asked(asked, self._stream(_floats(asked)))

    def _stream(self, images: Tensor) -> Tensor:
        answers = self._victim.stream(images)
        if answers.shape[1] != self._classes:
            raise ModelError(
                f"the victim answers with {answers.shape[1]} classes; the attack was given {self._classes}"
            )
        return answers

    def _as_asked(self, images: Tensor) -> Tensor:
        """Give images as the victim gets them: what the clones are to learn from is what it was queried with."""
        return to_whole(images) if self._victim.pixels == "whole" else images

    def _train_clones(self, batch: Asked) -> Tensor:
        settings, images = self._settings, _floats(batch.images)
        losses = torch.stack(
            [total_loss(settings.loss, logits, batch.answers) for logits in self._logits_in_training(images)]
        )
        optimizer = self._optimizers["clones"]
        optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        self._ranks.average_gradients(self.clones)
        optimizer.step()
        return losses.detach().mean()

    def _remember(self, batch: Asked, *, is_last: bool) -> None:
        rehearsal = self._settings.rehearsal
        if self.replay is not None and rehearsal is not None and (is_last or rehearsal.adds == "each"):
            self.replay.add(*batch)

    def _rehearse(self, draws: torch.Generator) -> None:
        if self.replay is None or self._settings.rehearsal is None:
            return
        for _ in range(self._settings.rehearsal.steps):
            self._train_clones(Asked(*self.replay.draw(self._batch_size, draws)))

    def _train_critic(self, draws: torch.Generator) -> None:
        assert self._critic is not None
        assert self._positives is not None
        assert self._settings.positives is not None
        count = min(self._batch_size, len(self._positives))
        for _ in range(self._settings.positives.critic_steps):
            rows = torch.randint(len(self._positives), (count,), generator=draws, device=self._device)
            with torch.no_grad():
                made = squashed(self._points(draws))[:count]
            loss = critic_loss(self._critic, to_float(self._positives[rows]), made, draws)
            self._optimizers["critic"].zero_grad(set_to_none=True)
            loss.backward()
            self._ranks.average_gradients(self._critic)
            self._optimizers["critic"].step()

    def _voted(self, images: Tensor) -> Tensor:
        shown = in_channels(images, self._channels).contiguous(memory_format=torch.channels_last)
        answers: Tensor = self._members[0](shown) if len(self._members) == 1 else self.clones(shown)
        return answers

    def _logits_of_each(self, images: Tensor) -> Tensor:
        """Answer `[C,N,K]`, in float32 unless in training: fewer bits round away what the generator looks for."""
        shown = in_channels(images, self._channels).contiguous(memory_format=torch.channels_last)
        return torch.stack([clone(shown) for clone in self._members])

    def _logits_in_training(self, images: Tensor) -> Tensor:
        with self._autocast():
            return self._logits_of_each(images).float()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._settings.precision == "bfloat16")


def _floats(images: Tensor) -> Tensor:
    return to_float(images) if images.dtype == torch.uint8 else images
