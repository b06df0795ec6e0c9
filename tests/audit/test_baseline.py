"""An earlier audit as the bar: by McNemar's test on the same images, by Fisher's on others."""

import json

import pytest
from made_audit import ATTACKED, change_evasion, made_audit
from scipy.stats import binomtest, fisher_exact

from edgerift.audit import judge_baseline, read_audit
from edgerift.errors import InputError
from edgerift.measure import Rate, interval

#: 60 of 350 images evade.
BEFORE = range(60)


def lines(evasive, indices=range(ATTACKED)):
    return "".join(json.dumps({"index": index, "evasive": index in evasive}) + "\n" for index in indices)


def counted(audit, successes, trials=ATTACKED):
    main = audit.evasion.attacks[audit.evasion.main_attack].replace(evasive=interval(Rate(successes, trials)))
    return change_evasion(audit, attacks={**audit.evasion.attacks, audit.evasion.main_attack: main})


@pytest.fixture
def audit(tmp_path):
    return counted(made_audit(tmp_path), len(BEFORE))


@pytest.fixture
def baseline(audit, tmp_path):
    """The folder of an earlier audit, with its samples."""
    folder = tmp_path / "baseline"
    folder.mkdir()
    (folder / "audit.json").write_text(audit.model_dump_json(indent=2))
    (folder / "samples.jsonl").write_text(lines(BEFORE))
    return folder


def test_an_audit_that_was_written_without_its_making_is_read(audit, baseline):
    content = audit.model_dump(mode="json")
    del content["made"], content["pair"]["model"]
    for finding in content["evasion"]["findings"]:
        del finding["build_right_probability"]
    (baseline / "audit.json").write_text(json.dumps(content))
    old = read_audit(baseline)
    assert (old.made, old.pair.model) == (None, None)
    assert old.evasion.main == audit.evasion.main


def test_an_audit_reads_back_as_it_was_written(audit, baseline):
    assert read_audit(baseline) == audit
    assert read_audit(baseline / "audit.json") == audit


@pytest.mark.parametrize("samples", [True, False])
def test_the_same_audit_holds(audit, baseline, samples):
    if not samples:
        (baseline / "samples.jsonl").unlink()
    part = judge_baseline(audit, lines(BEFORE), baseline)
    assert (part.rule, part.measured, part.limit, part.holds) == ("baseline", 1.0, 0.05, True)


@pytest.mark.parametrize(
    ("gained", "lost", "holds"),
    [(5, 0, True), (6, 0, False), (0, 6, True), (12, 3, False), (11, 3, True), (3, 30, True)],
)
def test_the_same_images_are_compared_one_by_one(audit, baseline, gained, lost, holds):
    now = {*range(lost, len(BEFORE)), *range(100, 100 + gained)}
    part = judge_baseline(counted(audit, len(now)), lines(now), baseline)
    assert part.measured == pytest.approx(binomtest(gained, gained + lost).pvalue)
    assert part.holds == holds
    assert f"of 350 images attacked in both, {gained} evade only now and {lost} only before" in part.text


def test_a_rise_that_only_pairs_show_fails(audit, baseline):
    """6 more of 350 are nothing for Fisher's test; where no image was lost McNemar's sees them."""
    now = range(len(BEFORE) + 6)
    assert not judge_baseline(counted(audit, len(now)), lines(now), baseline).holds
    (baseline / "samples.jsonl").unlink()
    assert judge_baseline(counted(audit, len(now)), lines(now), baseline).holds


@pytest.mark.parametrize(("successes", "holds"), [(60, True), (80, True), (83, False), (200, False), (10, True)])
def test_without_samples_the_rates_are_compared(audit, baseline, successes, holds):
    (baseline / "samples.jsonl").unlink()
    part = judge_baseline(counted(audit, successes), lines(range(successes)), baseline / "audit.json")
    expected = fisher_exact([[successes, ATTACKED - successes], [60, ATTACKED - 60]]).pvalue
    assert part.measured == pytest.approx(expected)
    assert part.holds == holds
    assert f"the evasive rate was 17.1% and is {successes / ATTACKED:.1%}" in part.text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"fingerprint": "f" * 32}, "400 of 'digits' then, 400 of 'digits' now, with other content"),
        ({"classes": ("a", "b"), "name": "letters"}, "400 of 'digits' then, 400 of 'letters' now, with other classes"),
        ({"fingerprint": "f" * 32, "size": 64}, "with a size of 32 pixels instead of 64"),
        ({"fingerprint": "f" * 32, "images": 40}, "400 of 'digits' then, 40 of 'digits' now, with other content"),
    ],
)
def test_a_baseline_of_other_images_is_refused(audit, baseline, changes, text):
    other = counted(audit, 66).replace(data=audit.data.replace(**changes))
    with pytest.raises(InputError) as caught:
        judge_baseline(other, lines(range(66)), baseline)
    assert text in str(caught.value)
    assert str(caught.value).startswith("the baseline is of other test images: ")


def test_a_set_that_was_moved_is_the_same_one(audit, baseline):
    moved = audit.replace(data=audit.data.replace(name="other", source="elsewhere/other"))
    assert judge_baseline(moved, lines(BEFORE), baseline).holds


def test_images_that_only_one_audit_attacked_do_not_count(audit, baseline):
    """A better original makes more images attackable; that some of these evade is no change of the others."""
    now = {*BEFORE, *range(ATTACKED, ATTACKED + 50)}
    later = counted(audit, len(now), ATTACKED + 50)
    part = judge_baseline(later, lines(now, range(ATTACKED + 50)), baseline)
    assert (part.measured, part.holds) == (1.0, True)


@pytest.mark.parametrize("shared", [0, 5])
def test_draws_that_hardly_meet_are_compared_by_their_rates(audit, baseline, shared):
    (baseline / "samples.jsonl").write_text(lines(BEFORE, range(350, 700 - shared)) + lines([], range(shared)))
    part = judge_baseline(counted(audit, 350), lines(range(ATTACKED)), baseline)
    assert "the evasive rate was 17.1% and is 100.0%" in part.text
    assert not part.holds


def test_other_settings_cannot_be_compared(audit, baseline):
    main = audit.evasion.attacks["default"]
    changed = main.replace(attack=main.attack.replace(epsilon=4, steps=30))
    later = change_evasion(audit, attacks={**audit.evasion.attacks, "default": changed})
    with pytest.raises(InputError) as caught:
        judge_baseline(later, lines(BEFORE), baseline)
    assert str(caught.value).startswith("the baseline was attacked with other settings (epsilon, steps)")


def test_the_main_attacks_are_compared_whatever_their_names(audit, baseline):
    renamed = change_evasion(audit, main_attack="ours", attacks={"ours": audit.evasion.attacks["default"]})
    assert judge_baseline(renamed, lines(BEFORE), baseline).holds
    with pytest.raises(InputError, match="objective"):
        judge_baseline(change_evasion(audit, main_attack="pgd"), lines(BEFORE), baseline)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda folder: (folder / "audit.json").unlink(), "No such file or directory"),
        (lambda folder: (folder / "audit.json").write_text("{}"), "is no audit of this version"),
        (lambda folder: (folder / "audit.json").write_text("no"), "is no audit of this version"),
        (lambda folder: (folder / "audit.json").write_bytes(b"\xff"), "is no audit of this version"),
        (
            lambda folder: (folder / "samples.jsonl").write_text('{"index": 1'),
            "samples.jsonl of the baseline is dam",
        ),
        (
            lambda folder: (folder / "samples.jsonl").write_text('{"index": 1}'),
            "samples.jsonl of the baseline is dam",
        ),
        (lambda folder: (folder / "samples.jsonl").write_text("[1]"), "samples.jsonl of the baseline is damaged"),
        (
            lambda folder: (folder / "samples.jsonl").write_bytes(b"\xff"),
            "samples.jsonl of the baseline is damaged",
        ),
    ],
)
def test_a_damaged_baseline_is_told_in_one_line(audit, baseline, damage, text):
    damage(baseline)
    with pytest.raises(InputError) as caught:
        judge_baseline(audit, lines(BEFORE), baseline)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"version": 1, "attacks": {}},
            "is an audit of version 1, this edgerift reads version 2; audit that pair again",
        ),
        ({"version": 3}, "Audit.version is 3"),
        ({"version": "1"}, "Audit.version is '1'"),
        ({"type": "card", "version": 1}, "Audit.type is 'card'"),
    ],
)
def test_an_audit_of_another_version_is_refused(audit, baseline, changes, text):
    content = json.loads(audit.model_dump_json())
    (baseline / "audit.json").write_text(json.dumps({**content, **changes}))
    with pytest.raises(InputError) as caught:
        read_audit(baseline)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_audit_without_evasion_is_no_baseline(audit, baseline):
    (baseline / "audit.json").write_text(audit.replace(evasion=None).model_dump_json())
    with pytest.raises(InputError, match="the baseline examined no evasion"):
        judge_baseline(audit, lines(BEFORE), baseline)


def test_a_baseline_whose_grey_images_were_changed_in_colour_is_refused(audit, baseline):
    grey, colour = (audit.replace(data=audit.data.replace(grey=value)) for value in (True, False))
    with pytest.raises(InputError, match="changed grey images in colour; audit that release again"):
        judge_baseline(grey, lines(BEFORE), baseline)
    assert judge_baseline(colour, lines(BEFORE), baseline).holds
