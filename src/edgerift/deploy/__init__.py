"""From a program to what runs: the differentiable twin, the builds on three runtimes, and how far they differ."""

from edgerift.deploy._program import Operation as Operation
from edgerift.deploy._program import Program as Program
from edgerift.deploy._program import Provenance as Provenance
from edgerift.deploy._program import Target as Target
from edgerift.deploy._program import from_graph as from_graph
from edgerift.deploy._twin import Arithmetic as Arithmetic
from edgerift.deploy._twin import Twin as Twin
from edgerift.deploy._twin import twin as twin
