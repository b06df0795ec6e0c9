"""From a program to its deployment: differentiable twin, builds for each runtime, and their differences."""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.deploy.builds._build import build as build
    from edgerift.deploy.builds._build import open_build as open_build
    from edgerift.deploy.builds._departure import Fidelity as Fidelity
    from edgerift.deploy.builds._departure import leaves_program as leaves_program
    from edgerift.deploy.builds._described_tflite import DescribedTflite as DescribedTflite
    from edgerift.deploy.builds._described_tflite import describe_tflite as describe_tflite
    from edgerift.deploy.builds._digest import artefact_digest as artefact_digest
    from edgerift.deploy.builds._fidelity import fidelity as fidelity
    from edgerift.deploy.builds._fidelity import module_logits as module_logits
    from edgerift.deploy.builds._fidelity import twin_scores as twin_scores
    from edgerift.deploy.builds._guarded import GuardFile as GuardFile
    from edgerift.deploy.builds._guarded import guard_path as guard_path
    from edgerift.deploy.builds._guarded import read_guard as read_guard
    from edgerift.deploy.builds._guarded import ship_guard as ship_guard
    from edgerift.deploy.builds._guarded import write_guard as write_guard
    from edgerift.deploy.builds._inspection import Inspection as Inspection
    from edgerift.deploy.builds._inspection import inspect_build as inspect_build
    from edgerift.deploy.builds._names import KernelsName as KernelsName
    from edgerift.deploy.builds._names import RuntimeName as RuntimeName
    from edgerift.deploy.builds._opened import OpenedBuild as OpenedBuild
    from edgerift.deploy.builds._own_twin import OwnTwin as OwnTwin
    from edgerift.deploy.builds._own_twin import own_twin as own_twin
    from edgerift.deploy.builds._own_twin import why_no_twin as why_no_twin
    from edgerift.deploy.builds._recipe import BuildRecipe as BuildRecipe
    from edgerift.deploy.builds._recipe import GivenBuild as GivenBuild
    from edgerift.deploy.builds._recipe import GivenProgram as GivenProgram
    from edgerift.deploy.builds._recipe import given_build as given_build
    from edgerift.deploy.builds._recipe import given_program as given_program
    from edgerift.deploy.builds._recipe import opened_build as opened_build
    from edgerift.deploy.builds._runtime import RUNTIMES as RUNTIMES
    from edgerift.deploy.builds._runtime import Build as Build
    from edgerift.deploy.builds._runtime import Engine as Engine
    from edgerift.deploy.builds._runtime import Fingerprint as Fingerprint
    from edgerift.deploy.builds._runtime import Runtime as Runtime
    from edgerift.deploy.builds._runtime import default_runtime as default_runtime
    from edgerift.deploy.builds._runtime import find_runtime as find_runtime
    from edgerift.deploy.builds._runtime import runtimes_for as runtimes_for
    from edgerift.deploy.builds._runtime import suffixes as suffixes
    from edgerift.deploy.builds._runtime import with_kernels as with_kernels
    from edgerift.deploy.builds._stored import runtime_of_suffix as runtime_of_suffix
    from edgerift.deploy.builds._stored import stored_layers as stored_layers
    from edgerift.deploy.builds._stored import written_by as written_by
    from edgerift.deploy.program._codes import code_checksums as code_checksums
    from edgerift.deploy.program._codes import weight_codes as weight_codes
    from edgerift.deploy.program._float_logits import float_logits as float_logits
    from edgerift.deploy.program._integer_layers import IntegerLayers as IntegerLayers
    from edgerift.deploy.program._integer_layers import integer_layers as integer_layers
    from edgerift.deploy.program._operators import is_allowed as is_allowed
    from edgerift.deploy.program._operators import is_moving as is_moving
    from edgerift.deploy.program._operators import multiplies as multiplies
    from edgerift.deploy.program._operators import operator_name as operator_name
    from edgerift.deploy.program._program import Operation as Operation
    from edgerift.deploy.program._program import Program as Program
    from edgerift.deploy.program._program import Provenance as Provenance
    from edgerift.deploy.program._program import from_graph as from_graph
    from edgerift.deploy.program._quiet import quiet as quiet
    from edgerift.deploy.program._regions import reads_integers as reads_integers
    from edgerift.deploy.program._stored_layers import StoredLayer as StoredLayer
    from edgerift.deploy.program._target import WHOLE_WEIGHTS as WHOLE_WEIGHTS
    from edgerift.deploy.program._target import Target as Target
    from edgerift.deploy.twins._arithmetics import ARITHMETICS as ARITHMETICS
    from edgerift.deploy.twins._coded import CodedTwin as CodedTwin
    from edgerift.deploy.twins._coded import coded_twin as coded_twin
    from edgerift.deploy.twins._features import feature_module as feature_module
    from edgerift.deploy.twins._folding import folded as folded
    from edgerift.deploy.twins._normalised_layer import Normalisation as Normalisation
    from edgerift.deploy.twins._reduced import Reduced as Reduced
    from edgerift.deploy.twins._reduced import reduced as reduced
    from edgerift.deploy.twins._restored import layers as layers
    from edgerift.deploy.twins._restored import restored_twin as restored_twin
    from edgerift.deploy.twins._restored import unrounded_twin as unrounded_twin
    from edgerift.deploy.twins._trainable import FloatWeight as FloatWeight
    from edgerift.deploy.twins._trainable import TrainableTwin as TrainableTwin
    from edgerift.deploy.twins._trainable import trainable_twin as trainable_twin
    from edgerift.deploy.twins._twin import Twin as Twin
    from edgerift.deploy.twins._twin import twin as twin
    from edgerift.deploy.twins.onnx._module import OnnxModule as OnnxModule
    from edgerift.deploy.twins.onnx._module import onnx_module as onnx_module
    from edgerift.deploy.twins.tflite._module import TfliteModule as TfliteModule
    from edgerift.deploy.twins.tflite._module import tflite_module as tflite_module
else:
    __getattr__, __dir__, __all__ = exported(__name__)
