"""What the tests of `deploy` share."""

from collections.abc import Callable

import pytest
from program_maker import ProgramMaker

from edgerift.deploy import quiet


@pytest.fixture(scope="session")
def make_program() -> Callable[..., ProgramMaker]:
    """The maker's class, with the imports behind it done: torchao warns about accelerators that are not there."""
    with quiet():
        import torchao.quantization.pt2e  # noqa: F401
    return ProgramMaker
