"""The policy: each rule below, at and above its limit, and each wrong file in one line."""

import contextlib
import os
import threading
from pathlib import Path

import pytest
from made_audit import change_evasion, made_audit, made_fleet, made_verification, theft
from scipy.stats import binomtest

from edgerift.audit import Policy, judge, read_policy
from edgerift.errors import InputError, RecipeError
from edgerift.measure import Rate, interval

NOTHING = dict.fromkeys(Policy.model_fields)
STEP = 1e-9


@pytest.fixture
def audit(tmp_path):
    return made_audit(tmp_path)


def only(**limit):
    return Policy(**{**NOTHING, **limit})


def with_main(audit, **changes):
    main = audit.evasion.attacks[audit.evasion.main_attack].replace(**changes)
    return change_evasion(audit, attacks={**audit.evasion.attacks, audit.evasion.main_attack: main})


def measured(audit):
    """What each rule is about, computed here from the audit's parts."""
    main, pair = audit.evasion.attacks[audit.evasion.main_attack], audit.pair
    return {
        "evasive": main.evasive.high,
        "clean_disagreement": pair.only_original_right.high,
        "accuracy_drop": pair.original_accuracy.value - pair.build_accuracy.value,
        "errors": 1,
        "warnings": 1,
    }


@pytest.mark.parametrize("rule", ["evasive", "clean_disagreement", "accuracy_drop"])
@pytest.mark.parametrize(("above", "holds"), [(STEP, False), (0, True), (-STEP, True)])
def test_a_share_may_be_at_most_its_limit(audit, rule, above, holds):
    (part,) = judge(audit, only(**{rule: measured(audit)[rule] - above}))
    assert (part.rule, part.holds) == (rule, holds)
    assert part.measured == measured(audit)[rule]
    assert part.limit == measured(audit)[rule] - above


@pytest.mark.parametrize("rule", ["errors", "warnings"])
@pytest.mark.parametrize(("limit", "holds"), [(0, False), (1, True), (2, True)])
def test_checks_may_speak_up_so_often(audit, rule, limit, holds):
    (part,) = judge(audit, only(**{rule: limit}))
    assert (part.rule, part.measured, part.limit, part.holds) == (rule, 1, limit, holds)


def test_notes_and_checks_that_are_fine_count_as_neither(audit):
    silent = change_evasion(audit, flags=tuple(flag for flag in audit.evasion.flags if flag.level in ("ok", "note")))
    assert [part.measured for part in judge(silent, only(errors=0, warnings=0))] == [0, 0]


@pytest.mark.parametrize(
    ("rule", "value"), [("integer_macs", 0.9987), ("attacked", 350)], ids=["integer_macs", "attacked"]
)
def test_what_has_to_be_at_least_its_limit(audit, rule, value):
    step = STEP if rule == "integer_macs" else 1
    for limit, holds in ((value - step, True), (value, True), (value + step, False)):
        (part,) = judge(audit, only(**{rule: limit}))
        assert (part.rule, part.measured, part.limit, part.holds) == (rule, value, limit, holds)


def test_the_interval_is_judged_and_not_the_rate(audit):
    few = with_main(audit, evasive=interval(Rate(0, 20)))
    (part,) = judge(few, only(evasive=0.1))
    assert part.measured == pytest.approx(1 - 0.025 ** (1 / 20))
    assert not part.holds
    (part,) = judge(with_main(audit, evasive=interval(Rate(0, 200))), only(evasive=0.1))
    assert part.holds


def test_the_rate_at_the_last_iterate_is_its_own_rule(audit):
    last = with_main(audit, evasive_last=interval(Rate(1, 350)), evasive=interval(Rate(300, 350)))
    (part,) = judge(last, only(evasive_last=0.02))
    assert part.holds
    (part,) = judge(last, only(evasive_last=0.01))
    assert not part.holds


def test_a_rate_that_was_not_measured_does_not_hold(audit):
    (part,) = judge(with_main(audit, evasive_last=None), only(evasive_last=1.0))
    assert (part.measured, part.holds) == (None, False)


def test_only_the_main_attack_is_judged(audit):
    other = audit.evasion.attacks["pgd"].replace(evasive=interval(Rate(350, 350)))
    changed = with_main(audit, evasive=interval(Rate(0, 350)))
    changed = change_evasion(changed, attacks={**changed.evasion.attacks, "pgd": other})
    assert changed.evasion.main_attack == "default"
    (part,) = judge(changed, only(evasive=0.02))
    assert part.holds


def test_a_rule_that_is_none_is_not_judged(audit):
    assert judge(audit, Policy(**NOTHING)) == ()


def test_the_default_judges_the_rate_and_the_checks(audit):
    judged = [(part.rule, part.limit) for part in judge(audit, Policy())]
    assert judged == [("evasive", 0.1), ("stolen", 0.9), ("errors", 0)]


def test_only_what_was_examined_is_judged(audit):
    everything = Policy(**dict.fromkeys(Policy.model_fields, 0))
    rules = {part.rule for part in judge(audit, everything)}
    assert rules == set(Policy.model_fields) - {"fleet_apart", "deviations", "undecided"}
    (fleet,) = judge(change_evasion(audit, fleet=made_fleet(21, 60)), only(fleet_apart=0.3))
    assert (fleet.rule, fleet.measured, fleet.holds) == ("fleet_apart", interval(Rate(21, 60)).high, False)
    evasion, theft_rules = {"evasive", "evasive_last", "forced_abstention", "attacked"}, {"stolen", "stolen_accuracy"}
    assert {part.rule for part in judge(audit.replace(evasion=None), everything)} == rules - evasion
    assert {part.rule for part in judge(audit.replace(theft=None), everything)} == rules - theft_rules


def test_a_verification_is_judged_by_its_checks(audit):
    checked = audit.replace(tampering=made_verification())
    (deviations, undecided) = judge(checked, only(deviations=0, undecided=1))
    assert (deviations.measured, deviations.holds) == (1, False)
    assert (undecided.measured, undecided.holds) == (0, True)  # The verdict is certain without them.
    unknown = audit.replace(tampering=made_verification("unknown"))
    assert [(part.measured, part.holds) for part in judge(unknown, only(deviations=0, undecided=0))] == [
        (0, True),
        (1, False),
    ]
    assert ("deviations", 0) in [(part.rule, part.limit) for part in judge(checked, Policy())]


def test_rules_name_the_entries_of_catalogues(audit):
    named = {part.rule: part.maps_to for part in judge(audit, Policy(accuracy_drop=0.1))}
    assert "MITRE ATLAS AML.T0043" in named["evasive"]
    assert "OWASP ML05:2023" in named["stolen"]
    assert named["errors"] == named["accuracy_drop"] == ()
    assert "maps_to" not in judge(audit, Policy())[-1].model_dump(mode="json")


def with_thieves(audit, strongest, **thieves):
    return audit.replace(theft=audit.theft.replace(thieves=thieves, strongest=strongest))


def test_the_most_faithful_clone_is_judged_at_its_intervals_end(audit):
    stolen = with_thieves(audit, "hard", soft=theft(390, 0, 0), hard=theft(100, 399, 0))
    upper = binomtest(300, 400).proportion_ci(0.95, method="exact").high
    for limit, holds in ((upper - 1e-6, False), (upper + 1e-6, True)):
        (part,) = judge(stolen, only(stolen=limit))
        assert (part.rule, part.unit, part.holds) == ("stolen", "share", holds)
        assert part.measured == pytest.approx(upper, abs=1e-9)
    words = "upper confidence bound of the agreement between the build and its most faithful clone at most"
    assert part.text.startswith(words)


def test_the_best_clone_is_judged_by_its_accuracy(audit):
    """The clone that is right most often need not be the one that agrees most."""
    stolen = with_thieves(audit, "soft", soft=theft(0, 200, 0), hard=theft(399, 40, 0))
    upper = binomtest(360, 400).proportion_ci(0.95, method="exact").high
    (part,) = judge(stolen, only(stolen_accuracy=0.9))
    assert (part.measured, part.holds) == (pytest.approx(upper, abs=1e-9), False)


@pytest.mark.parametrize(("right", "rules"), [(40, 0), (47, 0), (60, 2)])
def test_what_is_stolen_of_a_build_that_guesses_is_no_evidence(audit, right, rules):
    """47 of 400 right: the interval reaches down to the tenth of the images that one class has."""
    error = interval(Rate(400 - right, 400))
    dead = theft(399, 399, 399).replace(defender_error=error)
    judged = judge(with_thieves(audit, "soft", soft=dead), only(stolen=0.9, stolen_accuracy=0.9))
    assert [part.rule for part in judged] == ["stolen", "stolen_accuracy"]
    assert sum(part.holds for part in judged) == rules
    for part in judged:
        assert (part.measured is None) == (not rules)
        assert ("no verdict: the build is not clearly better" in part.text) == (not rules)


def test_checks_of_the_theft_count_too(audit):
    (flag,) = audit.theft.flags
    warned = audit.replace(evasion=None, theft=audit.theft.replace(flags=(flag.replace(level="warning"),)))
    assert [part.measured for part in judge(warned, only(errors=0, warnings=0))] == [0, 1]


def test_a_file_sets_what_it_names_and_leaves_the_rest(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("# for release 3\nevasive: 0.25\nwarnings: 2\nerrors: null\ninteger_macs: 1\n")
    assert read_policy(path) == Policy(evasive=0.25, warnings=2, errors=None, integer_macs=1.0)
    path.write_text("{}")
    assert read_policy(path) == Policy()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("evasve: 0.1", ":1: unknown field 'evasve'; did you mean 'evasive'? Known: accuracy_drop"),
        ("evasive: 1.5", ":1: evasive is 1.5; it must be less than or equal to 1"),
        ("evasive: -0.1", ":1: evasive is -0.1; it must be greater than or equal to 0"),
        ("evasive: true", ":1: evasive is True; it must be a valid number"),
        ("evasive: yes", ":1: evasive is 'yes'; it must be a valid number"),
        ("evasive: '0.1'", ":1: evasive is '0.1'; it must be a valid number"),
        ("evasive: 10%", ":1: evasive is '10%'; it must be a valid number"),
        ("evasive: .nan", ":1: evasive is '.nan'; it must be a valid number"),
        ("evasive: 1:30", ":1: evasive is '1:30'; it must be a valid number"),
        ("errors: 0.5", ":1: errors is 0.5; it must be a valid integer"),
        ("errors: true", ":1: errors is True; it must be a valid integer"),
        ("# two\nattacked: -1", ":2: attacked is -1; it must be greater than or equal to 0"),
        ("evasive: 2026-02-30", ":1: evasive is '2026-02-30'; it must be a valid number"),
        (f"errors: {'9' * 5000}", f":1: '{'9' * 39}…' is no int that can be read"),
        (
            f"errors: 0x{'f' * 5000}",
            ":1: errors is a value of type int that is too large to show; it must be",
        ),
        (f"evasive: {'[' * 3000}", "nested too deeply"),
        ("evasive: &a 0.1\nerrors: *a", ":1: this value is used again through an alias"),
        ('evasive: "\\UFFFFFFFF"', "this is not YAML"),
        ('evasive: "\\ud800"', ":1: "),
        ("1: 2", ":1: unknown field '1'"),
        ("evasive: [", ":1: this is not YAML: while parsing"),
        ("evasive: 0.1\n---\nerrors: 0", ":2: this is not YAML: expected a single document in the stream"),
        ("!!python/object/apply:os.getcwd []", ":1: the tag !!python/object/apply:os.getcwd is not read"),
        ("evasive: !!timestamp 2026-99-99", ":1: the tag !!timestamp is not read"),
        ("", ":1: a policy is a mapping of settings; write for instance 'evasive: 0.10'"),
        ("- evasive: 0.1", ":1: a policy is a mapping of settings"),
        ("evasive: 0.1\nevasive: 0.9", ":2: 'evasive' is given twice"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(tmp_path, content, text):
    path = tmp_path / "policy.yaml"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_policy(path)
    message = str(caught.value)
    assert text in message
    assert str(path) in message
    assert "\n" not in message
    assert not isinstance(caught.value, RecipeError)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the policy .*none\.yaml \(No such file or directory\)"):
        read_policy(tmp_path / "none.yaml")
    with pytest.raises(InputError, match=r"cannot read the policy .*Is a directory"):
        read_policy(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00evasive")
    with pytest.raises(InputError, match="is not text in UTF-8"):
        read_policy(tmp_path / "binary.yaml")
    with pytest.raises(InputError, match="File name too long"):
        read_policy(tmp_path / ("a" * 300))
    with pytest.raises(InputError, match=r"/dev/zero \(not a regular file\)"):
        read_policy(Path("/dev/zero"))
    (tmp_path / "large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(InputError, match="more than 1,000,000 bytes"):
        read_policy(tmp_path / "large.yaml")


def test_numbers_are_those_of_yaml_1_2(tmp_path):
    """YAML 1.1 reads 010 as 8."""
    (tmp_path / "policy.yaml").write_text("errors: 010\nattacked: 1_000\nevasive: 1e-3\n")
    assert read_policy(tmp_path / "policy.yaml") == Policy(errors=10, attacked=1000, evasive=0.001)


@pytest.mark.parametrize("content", [b"evasive: 0.25\n", b"#" * 1_000_001])
def test_a_pipe_is_read_up_to_the_bound(content):
    """As a shell gives one: --policy <(...)."""
    place, end = os.pipe()

    def write():
        with contextlib.suppress(BrokenPipeError), os.fdopen(end, "wb") as file:
            file.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    expected = contextlib.nullcontext()
    if len(content) > 1_000_000:
        expected = pytest.raises(InputError, match=r"has more than 1,000,000 bytes; give a YAML file")
    try:
        with expected:
            assert read_policy(Path(f"/dev/fd/{place}")) == Policy(evasive=0.25)
    finally:
        os.close(place)
        writer.join(10)
