"""What a claim is judged by: differences of the same seed, their interval, and the claim's side of its bound."""

import math
from types import SimpleNamespace

import pytest

from edgerift.facts import Fact, Facts, claims
from edgerift.facts import readings as of
from edgerift.facts._claims import _claim
from edgerift.facts._claims_diva import EVASION, NETWORKS, ROBUST
from edgerift.facts._claims_divqat import THEFT
from edgerift.facts._stated import Stated


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


def test_places_are_judged_alone_and_together_by_their_means():
    claim = _claim(stated(), [("a", 1.0), ("b", -4.0), ("a", 1.2), ("b", None), ("a", 0.8)])
    assert {found.where: found.difference.values for found in claim.findings} == {"a": (1.0, 1.2, 0.8), "b": (-4.0,)}
    assert claim.together is not None
    # The three seeds of one place are one value, as the single seed of the other is.
    assert claim.together.difference.values == pytest.approx((1.0, -4.0))
    assert claim.together.difference.value == pytest.approx(-1.5)
    # Two values have one degree of freedom: t is 12.706, and s / sqrt(2) half of what lies between them.
    assert claim.together.difference.high == pytest.approx(-1.5 + 12.706205 * 2.5)
    assert [found.verdict for found in claim.findings] == ["held", "not resolved"]
    assert claim.held_in == 1


def test_many_seeds_do_not_make_up_for_places_that_differ():
    # Eighteen values whose own interval would be far from zero; their six means reach to both of its sides.
    effects = {"a": 53.0, "b": 62.0, "c": 72.0, "d": 1.0, "e": 9.0, "f": 0.0}
    claim = _claim(stated(), [(place, effect + seed) for place, effect in effects.items() for seed in (-0.5, 0, 0.5)])
    assert claim.verdict == "not resolved"
    assert claim.together.difference.count == 6
    spread = math.sqrt(sum((effect - 197 / 6) ** 2 for effect in effects.values()) / 5 / 6)
    assert claim.together.difference.low == pytest.approx(197 / 6 - 2.570582 * spread, rel=1e-5)
    assert claim.held_in == 4


def test_a_place_alone_has_its_own_interval_over_seeds():
    claim = _claim(stated(), [("a", 1.0), ("a", 1.2), ("a", 0.8)])
    assert claim.together.difference == claim.findings[0].difference
    assert (claim.together.where, claim.findings[0].where) == ("all", "a")
    assert (claim.verdict, claim.held_in) == ("held", 1)


MODELS = {"ResNet": "resnet8", "DenseNet": "densenet_tiny", "MobileNet": "mobilenet_tiny", "Robust": "resnet8"}


def rate(reading, value, **place):
    return Fact(reading, value, low=value - 0.1, high=value + 0.1, **place)


def pair(seed, adaptation, *, build=0.8, attacks=(), data="cifar10", original="ResNet"):
    place = {"data": data, "original": original, "seed": seed}
    return [
        rate(of.ORIGINAL_ACCURACY, 0.8, **place, victim="original"),
        rate(of.ADAPTED_ACCURACY, build, **place, victim=adaptation),
        *(rate(of.EVASIVE, value, **place, victim=adaptation, attack=name) for name, value in dict(attacks).items()),
    ]


def result(paper, cells=(), targets=("mobile", "server")):
    plan = SimpleNamespace(targets=targets)
    known = MODELS if paper == "diva" else ("ResNet",)
    originals = {name: SimpleNamespace(model=MODELS[name]) for name in known}
    study = SimpleNamespace(paper=paper, originals=originals, theft=plan, is_robust=lambda data, name: "Robust" in name)
    document = SimpleNamespace(study=study, pairs=(), thefts=(), data_free=())
    return Facts(document, [fact for cell in cells for fact in cell])


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


def network(original, build, diva, seed=0, data="cifar10"):
    return pair(seed, "qat", build=build, attacks={"diva": diva}, data=data, original=original)


def test_resnet_is_better_than_the_best_other_network_of_its_data_set_and_seed():
    cells = [
        network("ResNet", 0.90, 0.50),
        network("DenseNet", 0.88, 0.10),
        network("MobileNet", 0.70, 0.60),
        network("ResNet", 0.80, 0.50, seed=1),
        network("DenseNet", 0.70, 0.20, seed=1),
        network("MobileNet", 0.79, 0.10, seed=1),
        network("ResNet", 0.97, 0.03, data="mnist"),
        network("MobileNet", 0.99, 0.01, data="mnist"),
    ]
    judged = {claim.name: claim for claim in claims(result("diva", cells))}
    found = {place.where: place.difference.values for place in judged["resnet-accuracy"].findings}
    assert found == {"cifar10": pytest.approx((2, 1)), "mnist": pytest.approx((-2,))}
    found = {place.where: place.difference.values for place in judged["resnet-evaded"].findings}
    assert found == {"cifar10": pytest.approx((-10, 30)), "mnist": pytest.approx((2,))}


@pytest.mark.parametrize(
    "cells",
    [
        [network("ResNet", 0.9, 0.5)],
        [network("DenseNet", 0.9, 0.5), network("MobileNet", 0.9, 0.5)],
        [network("ResNet", 0.9, 0.5), network("DenseNet", 0.8, 0.5), pair(0, "ptq", original="MobileNet")],
    ],
    ids=["no other", "no ResNet", "a network without its build"],
)
def test_networks_are_compared_only_when_all_are_there(cells):
    values = found_in(result("diva", cells))
    assert (values["resnet-accuracy"], values["resnet-evaded"]) == ([], [])


def test_a_robust_original_is_compared_with_the_same_network_and_has_no_part_in_other_claims():
    cells = [
        network("ResNet", 0.90, 0.50),
        network("Robust", 0.95, 0.10),
        network("DenseNet", 0.88, 0.70),
        network("ResNet", 0.90, 0.40, seed=1),
        network("Robust", 0.95, 0.30, seed=1),
        pair(0, "finetune", attacks={"diva": 0.05}),
        pair(0, "finetune", attacks={"diva": 0.99}, original="Robust"),
    ]
    judged = {claim.name: claim for claim in claims(result("diva", cells))}
    found = {place.where: place.difference.values for place in judged["robust-diva"].findings}
    assert found == {"cifar10": pytest.approx((40, 10))}
    assert judged["robust-default"].together is None
    found = {place.where: place.difference.values for place in judged["diva-over-control"].findings}
    assert found == {"cifar10, ResNet": pytest.approx((45,))}
    found = {place.where: place.difference.values for place in judged["resnet-accuracy"].findings}
    assert found["cifar10"][0] == pytest.approx(2)


def test_an_original_may_be_robust_on_one_data_set_alone():
    cells = [network("ResNet", 0.9, 0.5), network("ResNet", 0.9, 0.7, data="mnist")]
    found = result(
        "diva",
        [*cells, pair(0, "finetune", attacks={"diva": 0.2}), pair(0, "finetune", attacks={"diva": 0.1}, data="mnist")],
    )
    found.result.study.is_robust = lambda data, name: data == "mnist"
    judged = {claim.name: claim for claim in claims(found)}
    assert [place.where for place in judged["diva-over-control"].findings] == ["cifar10, ResNet"]


def test_what_compression_costs_stands_beside_what_it_opens():
    cells = [
        pair(0, "prune", build=0.5, attacks={"diva": 0.9}),
        pair(0, "finetune", build=0.81, attacks={"diva": 0.4}),
        pair(1, "prune", build=0.7, attacks={"diva": 0.8}),
        pair(1, "finetune", build=0.83, attacks={"diva": 0.4}),
        # Without its control this one is in no difference, and so in no mean.
        pair(2, "prune", build=0.2, attacks={"diva": 0.8}),
    ]
    notes = {claim.name: claim.note for claim in claims(result("diva", cells))}
    assert notes["pruned-over-control"] == (
        "Accuracy lost against the original, on average: pruned 20.0 points (at most 30.0), float control −2.0 points "
        "(at most −1.0)."
    )
    assert notes["distilled-over-control"] == notes["diva-over-control"] == ""


def test_features_that_move_are_compared_point_by_point():
    points = [(0.0, 0.0), (0.0, 3.0), (0.0, 0.0), (4.0, 0.0), (0.0, 1.0), (0.0, 2.0), (2.0, 0.0), (1.0, 0.0)]
    models, conditions = ["original", "original", "build", "build"] * 2, ["clean", "attacked"] * 4
    part = SimpleNamespace(method="pca", points=points, model=models, condition=conditions)
    # The original's features move by 3 and 1, the build's by 4 and 1.
    place = {"data": "cifar10", "original": "ResNet", "seed": 0, "victim": "qat"}
    values = found_in(result("diva", [of.EMBEDDING.facts(part, place)]))
    assert values["features-move"] == pytest.approx([100 * (2.5 / 2 - 1)])


def theft(target, students=(), data="svhn", seed=0, **errors):
    place = {"data": data, "original": "ResNet", "seed": seed, "target": target}
    facts = [rate(of.NOISE, 0.08, **place, victim="qat"), rate(of.CHANCE, 0.9, **place, victim="qat")]
    for name, (own, soft, hard) in errors.items():
        victim = {**place, "victim": name.replace("_", "+")}
        facts += [rate(of.DEFENDER_ERROR, own, **victim), rate(of.L1, 0.1, **victim)]
        for labels, value in (("soft", soft), ("hard", hard)):
            facts.append(rate(of.CLONE_ERROR, value, **victim, labels=labels, student="resnet8"))
    # Not in the order of alpha.
    for alpha in (5.0, 1.0, 2.0):
        point = {**place, "victim": "divqat", "labels": "soft", "student": "resnet8", "at": alpha}
        facts += [
            rate(of.ALPHA_KL, alpha / 2, **point),
            rate(of.ALPHA_ERROR, alpha / 10, **point),
            rate(of.ALPHA_DEFENDER, alpha / 20, **point),
            rate(of.ALPHA_DISAGREEMENT, 0.6 - alpha / 10, **point),
        ]
    for victim, name, error, disagreement, labels in students:
        clone = {**place, "victim": victim, "student": name, "labels": labels}
        facts += [rate(of.STUDENT_ERROR, error, **clone), rate(of.STUDENT_DISAGREEMENT, disagreement, **clone)]
    return facts


def over_alpha(seed, data="svhn", **owner_errors):
    place = {"data": data, "original": "ResNet", "seed": seed, "target": "mobile"}
    point = {**place, "victim": "divqat", "labels": "soft", "student": "resnet8"}
    facts = [Fact(of.NOISE, 0.08, **place, victim="qat"), Fact(of.CHANCE, 0.9, **place, victim="qat")]
    for alpha, error in zip((0.25, 0.5, 1.0), owner_errors.values(), strict=True):
        facts += [
            Fact(of.ALPHA_DEFENDER, error, low=error - 0.01, high=error + 0.01, **point, at=alpha),
            Fact(of.ALPHA_ERROR, alpha * (1 + (seed - 1) / 1000), **point, at=alpha),
            Fact(of.ALPHA_KL, alpha, **point, at=alpha),
        ]
    return facts


@pytest.mark.parametrize(
    ("errors", "value", "verdict", "left_out"),
    [
        ((0.1, 0.2, 0.3), 75, "held", ""),
        ((0.1, 0.2, 0.97), 25, "held", "divqat of ResNet at alpha 1 on svhn (3 seeds; error 97.0 %; guessing 90.0 %)"),
        # Its interval reaches 90 %.
        ((0.1, 0.2, 0.895), 25, "held", "divqat of ResNet at alpha 1 on svhn (3 seeds; error 89.5 %; guessing 90.0 %)"),
        ((0.1, 0.2, 0.885), 75, "held", ""),
        (
            (0.97, 0.2, 0.1), 50, "held",
            "divqat of ResNet at alpha 0.25 on svhn (3 seeds; error 97.0 %; guessing 90.0 %)",
        ),
        ((0.1, 0.97, 0.1), 75, "held", ""),
        (
            (0.1, 0.95, 0.97), None, "no verdict: the victim has collapsed",
            "divqat of ResNet at alpha 0.5 on svhn (3 seeds; error 95.0 %; guessing 90.0 %); "
            "divqat of ResNet at alpha 1 on svhn (3 seeds; error 97.0 %; guessing 90.0 %)",
        ),
    ],
)  # fmt: skip
def test_a_model_that_guesses_is_no_evidence(errors, value, verdict, left_out):
    cells = [over_alpha(seed, a=errors[0], b=errors[1], c=errors[2]) for seed in range(3)]
    claim = {one.name: one for one in claims(result("divqat", cells))}["alpha-error"]
    assert claim.verdict == verdict
    assert claim.together is None if value is None else claim.together.difference.value == pytest.approx(value)
    assert claim.note == (f"Left out, at or under guessing: {left_out}." if left_out else "")
    assert claim.collapsed == bool(left_out)


@pytest.mark.parametrize(
    ("attacked", "verdict"), [((0.4, 0.4, 0.4), "not resolved"), ((0.4, 0.41, 0.39), "held"), ((0.4,), "not resolved")]
)
def test_seeds_that_agree_exactly_resolve_nothing(attacked, verdict):
    """One image of few in each seed gives the same share: no spread, and so no interval."""
    cells = [pair(seed, "qat", build=0.1, attacks={"diva": own, "pgd": 0.1}) for seed, own in enumerate(attacked)]
    claim = {one.name: one for one in claims(result("diva", cells))}["diva-over-pgd-qat"]
    assert claim.verdict == verdict
    assert claim.together.difference.value == pytest.approx(30)


def test_whatever_is_measured_of_a_collapsed_victim_or_build_is_left_out():
    thefts = [theft("mobile", seed=seed, qat=(0.1, 0.3, 0.4), divqat=(0.1, 0.5, 0.5)) for seed in (0, 1)]
    thefts.append(theft("mobile", seed=2, qat=(0.1, 0.3, 0.4), divqat=(0.85, 0.9, 0.9)))
    found = {claim.name: claim for claim in claims(result("divqat", thefts))}
    assert found["divqat-soft"].together.difference.values == pytest.approx((20, 20))
    assert found["divqat-soft"].verdict == found["divqat-soft"].findings[0].verdict == "not resolved"
    assert found["divqat-soft"].note.endswith("for some of the seeds alone, nothing is resolved.")
    assert "divqat of ResNet on svhn (one seed; error 85.0 %; guessing 90.0 %)" in found["divqat-soft"].note
    chance = Fact(of.ORIGINAL_CHANCE, 0.9, data="cifar10", original="ResNet", seed=0, victim="original")
    cell = [*pair(0, "qat", build=0.19, attacks={"diva": 0.4, "pgd": 0.1}), chance]
    judged = {claim.name: claim for claim in claims(result("diva", [cell]))}
    assert judged["diva-over-pgd-qat"].verdict == "no verdict: the victim has collapsed"
    assert judged["diva-over-pgd-ptq"].verdict == "not measured"


@pytest.mark.parametrize(
    ("dead", "verdict"), [((), "held"), ((0,), "not resolved"), ((0, 2), "not resolved"), ((0, 1, 2), "held")]
)
def test_the_seeds_that_are_left_of_a_collapse_resolve_nothing(dead, verdict):
    """An alpha at which the models of all seeds collapse is out of the comparison; of some seeds, it is none."""
    cells = [over_alpha(seed, a=0.1, b=0.2, c=0.97 if seed in dead else 0.3) for seed in range(3)]
    claim = {one.name: one for one in claims(result("divqat", cells))}["alpha-error"]
    assert claim.verdict == verdict
    assert [one.verdict for one in claim.findings] == [verdict]
    assert claim.collapsed == bool(dead)
    assert ("nothing is resolved" in claim.note) == (verdict == "not resolved")


@pytest.mark.parametrize(
    ("diverged", "verdict"), [((), "held"), ((0,), "not resolved"), ((0, 2), "not resolved"), ((0, 1, 2), "held")]
)
def test_seeds_with_other_ranges_of_alpha_resolve_nothing(diverged, verdict):
    """Where training diverged at the greatest alpha of some of the seeds alone, their ends are not the same."""
    cells = []
    for seed in range(3):
        points = over_alpha(seed, a=0.1, b=0.2, c=0.3)
        if seed in diverged:
            place = {"data": "svhn", "original": "ResNet", "seed": seed, "target": "mobile", "victim": "divqat"}
            points = [point for point in points if point.over != 1.0]
            points.append(Fact(of.ALPHA_DIVERGED, 1.0, **place, at=1.0))
        cells.append(points)
    claim = {one.name: one for one in claims(result("divqat", cells))}["alpha-error"]
    assert claim.verdict == verdict
    assert [one.verdict for one in claim.findings] == [verdict]
    assert ("nothing is resolved" in claim.note) == (verdict == "not resolved")
    assert ("Left out, as training diverged there: alpha 1 on svhn." in claim.note) == bool(diverged)
    # What is not over alpha is not about it.
    assert all("diverged" not in one.note for one in claims(result("divqat", cells)) if one.name == "divqat-soft")


def test_where_divergence_leaves_one_alpha_the_other_places_decide_nothing():
    place = {"data": "svhn", "original": "ResNet", "target": "mobile", "victim": "divqat"}
    cells = [over_alpha(seed, "gtsrb", a=0.1, b=0.2, c=0.3) for seed in range(3)]
    for seed in range(3):
        points = [point for point in over_alpha(seed, a=0.1, b=0.2, c=0.3) if point.over not in (0.5, 1.0)]
        lost = [Fact(of.ALPHA_DIVERGED, alpha, **place, seed=seed, at=alpha) for alpha in (0.5, 1.0)]
        cells.append([*points, *lost])
    claim = {one.name: one for one in claims(result("divqat", cells))}["alpha-error"]
    assert (claim.verdict, [one.where for one in claim.findings]) == ("not resolved", ["gtsrb"])
    assert "alpha 0.5 on svhn; alpha 1 on svhn." in claim.note


def test_a_seed_whose_compared_models_both_collapse_is_left_out_with_a_word():
    """As where no strength is allowed, and the defended victim is the plain one."""
    thefts = [theft("mobile", seed=seed, qat=(0.1, 0.3 + seed / 100, 0.4), divqat=(0.1, 0.5, 0.5)) for seed in (0, 1)]
    thefts.append(theft("mobile", seed=2, qat=(0.9, 0.9, 0.9), divqat=(0.9, 0.9, 0.9)))
    claim = {one.name: one for one in claims(result("divqat", thefts))}["divqat-soft"]
    assert len(claim.together.difference.values) == 2
    assert claim.verdict == "not resolved"
    assert "qat of ResNet on svhn (one seed" in claim.note
    assert "divqat of ResNet on svhn (one seed" in claim.note


def test_a_seed_without_any_healthy_alpha_leaves_the_others_unresolved():
    cells = [over_alpha(seed, a=dead, b=dead, c=dead) for seed, dead in ((0, 0.97), (1, 0.1), (2, 0.1))]
    cells[1:] = [over_alpha(seed, a=0.1, b=0.2, c=0.3) for seed in (1, 2)]
    claim = {one.name: one for one in claims(result("divqat", cells))}["alpha-error"]
    assert (len(claim.together.difference.values), claim.verdict) == (2, "not resolved")


def test_a_collapse_for_some_seeds_of_one_place_leaves_the_whole_unresolved():
    cells = [
        over_alpha(seed, data, a=0.1, b=0.2, c=0.97 if (data, seed) == ("cifar10", 1) else 0.3)
        for data in ("svhn", "gtsrb", "cifar10")
        for seed in range(3)
    ]
    claim = {one.name: one for one in claims(result("divqat", cells))}["alpha-error"]
    verdicts = {one.where: one.verdict for one in claim.findings}
    assert verdicts == {"svhn": "held", "gtsrb": "held", "cifar10": "not resolved"}
    assert claim.verdict == "not resolved"


def student(victim, name, error, disagreement, labels="soft"):
    return victim, name, error, disagreement, labels


def test_clones_of_other_networks_count_alike():
    students = [
        student("qat", "lenet", 0.40, 0.50),
        student("qat", "mobilenet_tiny", 0.30, 0.40),
        student("divqat", "lenet", 0.42, 0.57),
        student("divqat", "mobilenet_tiny", 0.38, 0.41),
        student("divqat", "mobilenet_tiny", 0.99, 0.99, "hard"),
        student("divqat", "densenet_tiny", 0.99, 0.99),
    ]
    values = found_in(result("divqat", [theft("mobile", students, divqat=(0.1, 0.2, 0.2))]))
    assert values["clones-error"] == pytest.approx([5])
    assert values["clones-disagreement"] == pytest.approx([4])
    # MobileNet errs 38 %, the others 42, 99 and, being the attack's own, 20.
    assert values["clones-light"] == pytest.approx([38 - (42 + 99 + 20) / 3])
    values = found_in(result("divqat", [theft("mobile", divqat=(0.1, 0.2, 0.2))]))
    assert (values["clones-error"], values["clones-light"]) == ([], [])


def test_the_second_papers_claims_compare_what_belongs_together():
    defended = {"rs": (0.1, 0.33, 0.4), "divqat_rs": (0.1, 0.4, 0.4)}
    phone = theft("mobile", qat=(0.1, 0.3, 0.4), divqat=(0.12, 0.35, 0.39), **defended)
    server = theft("server", qat=(0.1, 0.3, 0.4), divqat=(0.1, 0.5, 0.4))
    values = found_in(result("divqat", [phone, server]))
    assert values["divqat-soft"] == pytest.approx([5])
    assert values["divqat-hard"] == pytest.approx([-1])
    assert values["divqat-cost"] == pytest.approx([2])
    assert values["divqat-moves"] == pytest.approx([0.02])
    assert values["joint-rs"] == pytest.approx([7])
    assert values["server"] == pytest.approx([20])
    assert values["mobile"] == pytest.approx([5])
    assert values["alpha-divergence"] == pytest.approx([2.0])
    assert values["alpha-error"] == pytest.approx([40])
    assert values["alpha-cost"] == pytest.approx([20])
    assert values["alpha-disagreement"] == pytest.approx([-40])
    assert values["dcp-soft"] == []


def test_each_target_has_its_claim_whichever_comes_first():
    names = {"mobile": "mobile", "qnnpack": "mobile", "server": "server", "fbgemm": "server"}
    for targets in (("mobile", "server"), ("server", "mobile"), ("fbgemm", "qnnpack"), ("qnnpack", "server")):
        cells = [
            theft(target, qat=(0.1, 0.3, 0.4), divqat=(0.1, 0.5 if names[target] == "server" else 0.35, 0.4))
            for target in targets
        ]
        values = found_in(result("divqat", cells, targets=targets))
        assert (values["server"], values["mobile"]) == (pytest.approx([20]), pytest.approx([5]))
        assert values["divqat-soft"] == values[names[targets[0]]]


def test_of_two_targets_that_stand_for_one_the_first_is_judged():
    errors = {"fbgemm": 0.4, "server": 0.6}
    cells = [theft(target, qat=(0.1, 0.3, 0.4), divqat=(0.1, error, 0.4)) for target, error in errors.items()]
    values = found_in(result("divqat", cells, targets=tuple(errors)))
    assert (values["server"], values["mobile"]) == (pytest.approx([10]), [])


def test_what_two_victims_cost_their_owner_is_told_beside_their_difference():
    thefts = [
        theft(
            "mobile", data="cifar10", seed=seed, qat=(0.1, 0.3, 0.4), held=(own, 0.6, 0.4), smoothing=(0.11, 0.5, 0.4)
        )
        for seed, own in enumerate((0.12, 0.14))
    ]
    found = {claim.name: claim for claim in claims(result("divqat", thefts))}
    assert found["held-smoothing"].note == (
        "The two need not cost the same: held moves the answers by an l1 of 0.10 and adds 3.0 points to its owner's "
        "error; smoothing moves the answers by an l1 of 0.10 and adds 1.0 points to its owner's error."
    )
    alone = [theft("mobile", held=(0.1, 0.6, 0.4), smoothing=(0.1, 0.5, 0.4)), theft("mobile", qat=(0.1, 0.3, 0.4))]
    notes = [{claim.name: claim.note for claim in claims(result("divqat", [one]))} for one in alone]
    assert [one["held-smoothing"] for one in notes] == [
        "The two need not cost the same: held moves the answers by an l1 of 0.10; smoothing moves the answers by an l1 "
        "of 0.10.",
        "",
    ]


@pytest.mark.parametrize(
    ("errors", "told"),
    [
        ((0.3, 0.4, 0.5), None),
        # The means are 70 %, and Student's t for three values is 4.303 standard errors wide.
        ((0.6, 0.7, 0.8), "svhn (error 70.0 %, interval to 94.8 %; chance 90.0 %)"),
        ((0.69, 0.7, 0.71), None),
        ((0.88,), "svhn (error 88.0 %, interval to 98.0 %; chance 90.0 %)"),
        ((0.5,), None),
    ],
)
def test_thieves_who_may_have_learnt_nothing_are_named(errors, told):
    thefts = [theft("mobile", seed=seed, qat=(0.1, one, 0.4), rs=(0.1, 0.9, 0.4)) for seed, one in enumerate(errors)]
    thefts += [theft("mobile", data="cifar10", qat=(0.1, 0.3, 0.4), rs=(0.1, 0.6, 0.4))]
    notes = {claim.name: claim.note for claim in claims(result("divqat", thefts))}
    expected = f"Attackers with soft labels may be at chance even on the plain mobile build on {told}: what"
    assert notes["rs-soft"].startswith(expected) if told else notes["rs-soft"] == ""
    assert notes["divqat-soft"] == notes["divqat-hard"] == notes["server"] == "", "nothing was compared"


def test_a_study_of_ones_own_has_no_claims():
    assert claims(result(None)) == ()


def test_names_are_told_apart():
    names = [claim.name for claim in (*EVASION, *NETWORKS, *ROBUST, *THEFT)]
    assert len(set(names)) == len(names)
