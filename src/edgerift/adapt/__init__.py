"""From an original to a program: quantization, after pruning or distillation or not, and the float control."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.adapt._adaptations import ADAPTATIONS as ADAPTATIONS
    from edgerift.adapt._adaptations import QUANTIZED as QUANTIZED
    from edgerift.adapt._adaptations import Adaptation as Adaptation
    from edgerift.adapt._adaptations import AdaptationName as AdaptationName
    from edgerift.adapt._adaptations import CompressionName as CompressionName
    from edgerift.adapt._adaptations import QuantizedName as QuantizedName
    from edgerift.adapt._adaptations import adaptation as adaptation
    from edgerift.adapt._allowance import Allowance as Allowance
    from edgerift.adapt._attempt import AttemptRecipe as AttemptRecipe
    from edgerift.adapt._closed_form import flip_alpha as flip_alpha
    from edgerift.adapt._closed_form import poisoned_share as poisoned_share
    from edgerift.adapt._compressed import AnyCompression as AnyCompression
    from edgerift.adapt._compressed import CompressRecipe as CompressRecipe
    from edgerift.adapt._compressed import distil as distil
    from edgerift.adapt._compressed import prune as prune
    from edgerift.adapt._compression import COMPRESSIONS as COMPRESSIONS
    from edgerift.adapt._compression import Compression as Compression
    from edgerift.adapt._divqat import TunedProgram as TunedProgram
    from edgerift.adapt._divqat import divqat as divqat
    from edgerift.adapt._divqat import tune as tune
    from edgerift.adapt._float_graphs import FloatGraphs as FloatGraphs
    from edgerift.adapt._float_graphs import float_graphs as float_graphs
    from edgerift.adapt._float_graphs import written_graph as written_graph
    from edgerift.adapt._float_logits import FloatLogitsRecipe as FloatLogitsRecipe
    from edgerift.adapt._folded_layers import FoldedLayer as FoldedLayer
    from edgerift.adapt._folded_layers import folded_layers as folded_layers
    from edgerift.adapt._hardened import DefendedTraining as DefendedTraining
    from edgerift.adapt._hardened import HardenedRecipe as HardenedRecipe
    from edgerift.adapt._hardened import TrainedDefence as TrainedDefence
    from edgerift.adapt._hardened import run_hardened as run_hardened
    from edgerift.adapt._masks import magnitude_mask as magnitude_mask
    from edgerift.adapt._masks import sparsity as sparsity
    from edgerift.adapt._methods import finetune as finetune
    from edgerift.adapt._methods import float_weights as float_weights
    from edgerift.adapt._methods import known_classes as known_classes
    from edgerift.adapt._methods import ptq as ptq
    from edgerift.adapt._methods import qat as qat
    from edgerift.adapt._methods import run_finetune as run_finetune
    from edgerift.adapt._methods import run_qat as run_qat
    from edgerift.adapt._methods import weights_digest as weights_digest
    from edgerift.adapt._misread import misread as misread
    from edgerift.adapt._originals import GivenOriginal as GivenOriginal
    from edgerift.adapt._originals import given_original as given_original
    from edgerift.adapt._originals import load_original as load_original
    from edgerift.adapt._originals import open_original as open_original
    from edgerift.adapt._originals import read_original as read_original
    from edgerift.adapt._recipe import AdaptRecipe as AdaptRecipe
    from edgerift.adapt._recipe import FinetuneRecipe as FinetuneRecipe
    from edgerift.adapt._rerounding import RoundingSettings as RoundingSettings
    from edgerift.adapt._rerounding import reround as reround
    from edgerift.adapt._same import require_repeatable as require_repeatable
    from edgerift.adapt._settings import PtqSettings as PtqSettings
    from edgerift.adapt._settings import QatSettings as QatSettings
    from edgerift.adapt._targets import TARGETS as TARGETS
    from edgerift.adapt._torchao import torchao_qat as torchao_qat
    from edgerift.adapt._torchao import torchao_qat_model as torchao_qat_model
    from edgerift.adapt._training_defence import TRAINING_DEFENCES as TRAINING_DEFENCES
    from edgerift.adapt._training_defence import TrainingDefence as TrainingDefence
    from edgerift.adapt._tuned import Search as Search
    from edgerift.adapt._tuned import Trial as Trial
    from edgerift.adapt._tuned import TunedRecipe as TunedRecipe
    from edgerift.adapt.compressions._distillation import Distillation as Distillation
    from edgerift.adapt.compressions._pruning import Pruning as Pruning
    from edgerift.adapt.defences._consistency import Closeness as Closeness
    from edgerift.adapt.defences._consistency import Consistency as Consistency
    from edgerift.adapt.defences._divqat import Direction as Direction
    from edgerift.adapt.defences._divqat import Divqat as Divqat
    from edgerift.adapt.defences._divqat import divergence as divergence
    from edgerift.adapt.defences._evasion import AdversarialQat as AdversarialQat
    from edgerift.adapt.defences._evasion import EvasionTraining as EvasionTraining
    from edgerift.adapt.defences._mislead import MisleadingTargets as MisleadingTargets
    from edgerift.adapt.defences._smoothing import LabelSmoothing as LabelSmoothing
else:
    __getattr__, __dir__, __all__ = exported(__name__)
