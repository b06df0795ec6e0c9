"""What the tests of `deploy` share."""

from collections.abc import Callable

import pytest
from program_maker import ProgramMaker

from edgerift.deploy import RUNTIMES, Build, Program, Target, build, quiet


@pytest.fixture(scope="session")
def make_program() -> Callable[..., ProgramMaker]:
    """The maker's class, with the imports behind it done: torchao warns about accelerators that are not there."""
    with quiet():
        import torchao.quantization.pt2e  # noqa: F401
    return ProgramMaker


@pytest.fixture(scope="session")
def build_once(
    make_program: Callable[..., ProgramMaker], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Program, Build]]:
    """Build a made network for a runtime, once however often it is asked for: its program and its build."""
    known: dict[tuple[object, ...], tuple[Program, Build]] = {}

    def look_up(
        runtime: str, network: Callable[[ProgramMaker], str], target: Target = "mobile", *, dyadic: bool = False
    ) -> tuple[Program, Build]:
        chosen = (runtime, network, target, dyadic)
        if chosen not in known:
            maker = make_program(target, dyadic=dyadic)
            program = maker.program(network(maker))
            path = tmp_path_factory.mktemp("builds") / f"model{RUNTIMES[runtime].suffix}"
            known[chosen] = program, build(program, runtime, path)
        return known[chosen]

    return look_up
