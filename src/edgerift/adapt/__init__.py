"""From an original to a program: post-training quantization, quantization-aware training, and the float control."""

from edgerift.adapt._methods import TARGETS as TARGETS
from edgerift.adapt._methods import finetune as finetune
from edgerift.adapt._methods import float_weights as float_weights
from edgerift.adapt._methods import ptq as ptq
from edgerift.adapt._methods import qat as qat
from edgerift.adapt._methods import run_finetune as run_finetune
from edgerift.adapt._methods import run_qat as run_qat
from edgerift.adapt._recipe import AdaptRecipe as AdaptRecipe
from edgerift.adapt._recipe import FinetuneRecipe as FinetuneRecipe
from edgerift.adapt._recipe import GivenOriginal as GivenOriginal
from edgerift.adapt._recipe import given_original as given_original
from edgerift.adapt._recipe import open_original as open_original
from edgerift.adapt._settings import PtqSettings as PtqSettings
from edgerift.adapt._settings import QatSettings as QatSettings
from edgerift.adapt._torchao import torchao_qat as torchao_qat
from edgerift.adapt._torchao import torchao_qat_model as torchao_qat_model
