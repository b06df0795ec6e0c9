"""An audit whose steps run on processes, one of which is killed."""

import signal

import pytest
from tiny_study import kill_workers, leftovers

from edgerift.audit import AuditRecipe, run_audit
from edgerift.evade import preset
from edgerift.run import Place, Processes
from edgerift.steps import Store


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL")
def test_an_audit_whose_worker_is_killed_is_the_one_of_one_process(small_pair, tmp_path):
    attacks = {"default": preset("default", 16, 6).replace(stop="never")}
    recipe = AuditRecipe(
        pair=small_pair.settings(), images=small_pair.images, attacks=attacks, main="default", count=260, draw=1
    )
    whole = run_audit(recipe, tmp_path / "whole", Store(tmp_path / "alone"))
    shared = Store(tmp_path / "shared")
    killed = kill_workers(shared.root, ["evade-shard", "audit"])
    place = Place(store=shared.root, threads=1)
    found = run_audit(recipe.replace(shard=128), tmp_path / "cut", shared, workers=lambda _: Processes(place, 2))
    assert killed == ["evade-shard", "audit"]
    assert found.replace(times=whole.times) == whole
    assert len(list(shared.root.glob("evade-shard-*"))) == 3
    assert leftovers(shared.root) == []
    pictures = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*.png")]
    assert pictures
    assert all((tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in pictures)
