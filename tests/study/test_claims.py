"""What a claim is judged by: differences of the same seed, their interval, and the claim's side of its bound."""

from types import SimpleNamespace

import pytest

from edgerift.study import claims
from edgerift.study._claims import _claim
from edgerift.study._claims_diva import EVASION
from edgerift.study._claims_divqat import THEFT
from edgerift.study._stated import Stated


def stated(**changes):
    return Stated("name", "It rises.", "+1", "more", lambda cell: cell, **changes)


@pytest.mark.parametrize(
    ("values", "changes", "verdict"),
    [
        ([2.0, 2.1, 1.9], {}, "held"),
        ([1.0, 1.1, 0.9], {}, "held"),
        ([0.3, 0.31, 0.29], {}, "no effect"),
        ([0.1, -0.1, 0.05], {}, "no effect"),
        ([0.3, 0.31, 0.29], {"unit": "nats"}, "held"),
        ([0.3, 0.31, 0.29], {"bound": 0.1}, "held"),
        ([-1.0, -1.1, -0.9], {}, "did not hold"),
        ([1.0, -1.0, 1.0], {}, "not resolved"),
        ([5.0], {}, "not resolved"),
        ([None, None], {}, "not measured"),
        ([1.0, 1.1, 0.9], {"bound": 3.7, "side": "below"}, "held"),
        ([1.0, 1.1, 0.9], {"bound": 3.7}, "did not hold"),
        ([4.0, 4.1, 3.9], {"bound": 3.7, "side": "below"}, "did not hold"),
        ([-1.0, -1.1, -0.9], {"side": "below"}, "held"),
    ],
)
def test_verdicts(values, changes, verdict):
    claim = _claim(stated(**changes), [("here", value) for value in values])
    assert claim.verdict == verdict
    assert claim.findings == () or claim.findings[0].verdict == verdict


def test_places_are_judged_alone_and_together():
    claim = _claim(stated(), [("a", 1.0), ("b", -4.0), ("a", 1.2), ("b", None), ("a", 0.8)])
    assert {found.where: found.difference.values for found in claim.findings} == {"a": (1.0, 1.2, 0.8), "b": (-4.0,)}
    assert claim.together is not None
    assert claim.together.difference.count == 4
    assert claim.together.difference.value == pytest.approx(-0.25)
    assert [found.verdict for found in claim.findings] == ["held", "not resolved"]


def rate(value):
    return SimpleNamespace(value=value)


def pair(seed, adaptation, *, build=0.8, attacks=(), embeddings=()):
    report = SimpleNamespace(
        original_accuracy=rate(0.8),
        build_accuracy=rate(build),
        attacks={name: SimpleNamespace(evasive=rate(value)) for name, value in dict(attacks).items()},
        embeddings=embeddings,
    )
    return SimpleNamespace(data="cifar10", original="ResNet", seed=seed, adaptation=adaptation, report=report)


def result(paper, pairs=(), thefts=(), data_free=()):
    plan = SimpleNamespace(targets=("mobile", "server"))
    study = SimpleNamespace(paper=paper, originals={"ResNet": None}, theft=plan)
    return SimpleNamespace(study=study, pairs=pairs, thefts=thefts, data_free=data_free)


def found_in(result):
    judged = {claim.name: claim for claim in claims(result)}
    return {
        name: [] if claim.together is None else list(claim.together.difference.values) for name, claim in judged.items()
    }


def test_the_first_papers_claims_compare_what_belongs_together():
    cells = [
        pair(0, "qat", build=0.83, attacks={"pgd": 0.1, "diva": 0.4, "default": 0.9}),
        pair(1, "qat", build=0.81, attacks={"pgd": 0.2, "diva": 0.3, "default": 0.8}),
        pair(1, "finetune", build=0.82, attacks={"diva": 0.05}),
        pair(0, "finetune", build=0.84, attacks={"diva": 0.1}),
        pair(0, "ptq", build=0.7, attacks={"pgd": 0.5, "diva": 0.1}),
    ]
    values = found_in(result("diva", cells))
    assert values["adapted-accuracy"] == pytest.approx([3, 1])
    assert sorted(values["finetuned-accuracy"]) == pytest.approx([2, 4])
    assert values["diva-over-control"] == pytest.approx([30, 25])
    assert values["diva-over-pgd-qat"] == pytest.approx([30, 10])
    assert values["diva-over-pgd-ptq"] == pytest.approx([-40])
    assert values["default-over-diva-qat"] == pytest.approx([50, 50])
    assert values["default-over-diva-ptq"] == []


def test_features_that_move_are_compared_point_by_point():
    points = [(0.0, 0.0), (0.0, 3.0), (0.0, 0.0), (4.0, 0.0), (0.0, 1.0), (0.0, 2.0), (2.0, 0.0), (1.0, 0.0)]
    models, conditions = ["original", "original", "build", "build"] * 2, ["clean", "attacked"] * 4
    part = SimpleNamespace(method="pca", points=points, model=models, condition=conditions)
    # The original's features move by 3 and 1, the build's by 4 and 1.
    values = found_in(result("diva", [pair(0, "qat", embeddings=(part,))]))
    assert values["features-move"] == pytest.approx([100 * (2.5 / 2 - 1)])


def theft(target, **errors):
    victims = {
        name.replace("_", "+"): SimpleNamespace(
            adversary_error=SimpleNamespace(soft=rate(soft), hard=rate(hard)),
            defender_error=rate(own),
            l1=rate(0.1),
        )
        for name, (own, soft, hard) in errors.items()
    }
    points = [SimpleNamespace(divergence=value, adversary_error=rate(value / 10)) for value in (0.5, 0.7, 2.5)]
    hardening = SimpleNamespace(victim=victims, noise=SimpleNamespace(test=rate(0.08)), alphas=points)
    return SimpleNamespace(data="svhn", original="ResNet", seed=0, target=target, hardening=hardening)


def test_the_second_papers_claims_compare_what_belongs_together():
    defended = {"rs": (0.1, 0.33, 0.4), "divqat_rs": (0.1, 0.4, 0.4)}
    phone = theft("mobile", qat=(0.1, 0.3, 0.4), divqat=(0.12, 0.35, 0.39), **defended)
    server = theft("server", qat=(0.1, 0.3, 0.4), divqat=(0.1, 0.5, 0.4))
    values = found_in(result("divqat", thefts=(phone, server)))
    assert values["divqat-soft"] == pytest.approx([5])
    assert values["divqat-hard"] == pytest.approx([-1])
    assert values["divqat-cost"] == pytest.approx([2])
    assert values["divqat-moves"] == pytest.approx([0.02])
    assert values["joint-rs"] == pytest.approx([7])
    assert values["server"] == pytest.approx([20])
    assert values["mobile"] == pytest.approx([5])
    assert values["alpha-divergence"] == pytest.approx([2.0])
    assert values["alpha-error"] == pytest.approx([20])
    assert values["dcp-soft"] == []


def test_a_study_of_ones_own_has_no_claims():
    assert claims(result(None)) == ()


def test_names_are_told_apart():
    names = [claim.name for claim in (*EVASION, *THEFT)]
    assert len(set(names)) == len(names)
