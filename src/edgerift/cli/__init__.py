"""The commands of the command line."""

from edgerift.cli._main import main as main
