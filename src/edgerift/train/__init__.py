"""Training: the supervised loop for originals, quantization-aware training and clones.

`fit` is what a user calls, `run` the loop with its hooks, `TrainRecipe` the step as the store keeps it. The same seed
gives the same weights, also when a run was killed and resumes from its checkpoint.
"""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.train._adversarial import adversarial_loss as adversarial_loss
    from edgerift.train._adversarial import in_evaluation as in_evaluation
    from edgerift.train._adversarial import moved_images as moved_images
    from edgerift.train._adversarial import signed_noise as signed_noise
    from edgerift.train._adversary import ADVERSARIES as ADVERSARIES
    from edgerift.train._adversary import Adversary as Adversary
    from edgerift.train._adversary import adversaries as adversaries
    from edgerift.train._adversary import adversary as adversary
    from edgerift.train._augment import augment as augment
    from edgerift.train._device import choose_device as choose_device
    from edgerift.train._device import exact_float32 as exact_float32
    from edgerift.train._device import repeatable as repeatable
    from edgerift.train._history import Epoch as Epoch
    from edgerift.train._history import History as History
    from edgerift.train._history import read_history as read_history
    from edgerift.train._loop import OnEpoch as OnEpoch
    from edgerift.train._loop import OnStep as OnStep
    from edgerift.train._loop import Trained as Trained
    from edgerift.train._loop import fit as fit
    from edgerift.train._loop import run as run
    from edgerift.train._loss import Loss as Loss
    from edgerift.train._memory import forgotten_sources as forgotten_sources
    from edgerift.train._memory import keep_freed_memory as keep_freed_memory
    from edgerift.train._plot import plot_history as plot_history
    from edgerift.train._precision import Precision as Precision
    from edgerift.train._precision import bfloat16_is_fast as bfloat16_is_fast
    from edgerift.train._precision import fastest_precision as fastest_precision
    from edgerift.train._random import derived_seed as derived_seed
    from edgerift.train._random import seeded_layers as seeded_layers
    from edgerift.train._recipe import TrainRecipe as TrainRecipe
    from edgerift.train._schedule import learning_rate as learning_rate
    from edgerift.train._sealed import checkpoint_errors as checkpoint_errors
    from edgerift.train._sealed import read_sealed as read_sealed
    from edgerift.train._sealed import write_sealed as write_sealed
    from edgerift.train._settings import TrainSettings as TrainSettings
else:
    __getattr__, __dir__, __all__ = exported(__name__)
