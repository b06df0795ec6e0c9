"""From a program to what runs: the differentiable twin, the builds on three runtimes, and how far they differ."""

from edgerift.deploy._build import RUNTIMES as RUNTIMES
from edgerift.deploy._build import Build as Build
from edgerift.deploy._build import Fingerprint as Fingerprint
from edgerift.deploy._build import Runtime as Runtime
from edgerift.deploy._build import build as build
from edgerift.deploy._build import find_runtime as find_runtime
from edgerift.deploy._build import open_build as open_build
from edgerift.deploy._fidelity import Fidelity as Fidelity
from edgerift.deploy._fidelity import fidelity as fidelity
from edgerift.deploy._fidelity import twin_scores as twin_scores
from edgerift.deploy._program import Operation as Operation
from edgerift.deploy._program import Program as Program
from edgerift.deploy._program import Provenance as Provenance
from edgerift.deploy._program import Target as Target
from edgerift.deploy._program import from_graph as from_graph
from edgerift.deploy._recipe import BuildRecipe as BuildRecipe
from edgerift.deploy._trainable import FloatWeight as FloatWeight
from edgerift.deploy._trainable import TrainableTwin as TrainableTwin
from edgerift.deploy._trainable import trainable_twin as trainable_twin
from edgerift.deploy._twin import Arithmetic as Arithmetic
from edgerift.deploy._twin import Twin as Twin
from edgerift.deploy._twin import twin as twin
