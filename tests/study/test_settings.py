"""A study's settings: what is wrong gets its line, what is right comes back from JSON, changes are laid in order."""

import json
import re
from functools import partial

import pytest
import yaml
from wrong_studies import read_text, require_told

from edgerift.adapt import QatSettings
from edgerift.errors import RecipeError
from edgerift.evade import presets
from edgerift.extract import Knockoff
from edgerift.study import Study, read_study
from edgerift.train import TrainSettings

ADAPTED = "'ptq', 'qat', 'finetune', 'distil', 'distil+ptq', 'distil+qat', 'prune', 'prune+ptq' or 'prune+qat'"
TEXT = """\
study: tiny                                             # 1
title: "A tiny study"                                   # 2
seeds: [0, 1]                                           # 3
size: 16                                                # 4
data:                                                   # 5
  digits:                                               # 6
    train: {epochs: 2}                                  # 7
    alphas: [0.5]                                       # 8
  other:                                                # 9
    source: some/folder                                 # 10
    thief: {epochs: 3}                                  # 11
originals:                                              # 12
  LeNet:                                                # 13
    model: lenet                                        # 14
  ResNet:                                               # 15
    model: resnet8                                      # 16
    train: {epochs: 4, precision: bfloat16}             # 17
train: {epochs: 1, batch_size: 64, device: cpu}         # 18
adapt: {epochs: 2}                                      # 19
evasion:                                                # 20
  adaptations: [ptq, qat]                               # 21
  target: mobile                                        # 22
  attacks:                                              # 23
    pgd: {preset: pgd, change: {stop: never}}           # 24
    diva:                                               # 25
      preset: diva-2022                                 # 26
      epsilon: 4                                        # 27
      change: {objective: {type: diva, c: 2}}           # 28
  shown: diva                                           # 29
theft:                                                  # 30
  rows: [qat, divqat]                                   # 31
  targets: [mobile, server]                             # 32
  attack: {student: lenet}                              # 33
  thief: {epochs: 5, learning_rate: 0.05, device: cpu}  # 34
  students: [resnet8]                                   # 35
profiles:                                               # 36
  as_it_is:                                             # 37
  laid:                                                 # 38
    adapt: {epochs: 0}                                  # 39
    data:                                               # 40
      digits: {train: {batch_size: 0}}                  # 41
"""

CHANGES = [
    # (what in the text, by what, the line, what is told)
    (
        "study: tiny",
        "study: Tiny Study",
        1,
        "study is 'Tiny Study'; it is not allowed: a study's name has small letters, digits and hyphens",
    ),
    ("study: tiny", "study: 3", 1, "study is 3; it must be text"),
    ("study: tiny", "stuy: tiny", 1, "unknown field 'stuy'; did you mean 'study'? Known: "),
    ("study: tiny", "x: 1", 1, "study is missing; it has no default and must be given"),
    ('"A tiny study"', r'"A tiny\nstudy"', 2, "it is one line of printable text"),
    ('"A tiny study"', r'"\e[31m"', 2, "it is one line of printable text"),
    ('"A tiny study"', '" "', 2, "it is one line of printable text"),
    ('"A tiny study"', "no", 2, None),
    ("[0, 1] ", "[0, -1] ", 3, "seeds[1] is -1; it must be greater than or equal to 0"),
    ("[0, 1] ", "[0, 0] ", 3, "seeds is [0, 0]; it is not allowed: 0 is listed twice; give each once"),
    ("[0, 1] ", "[] ", 3, "seeds is []; it must have at least 1 item"),
    ("[0, 1] ", f"[0, {2**31 - 1}] ", 3, "seeds[1] is 2147483647; it must be less than or equal to 2147483646"),
    ("[0, 1] ", "3 ", 3, "seeds is 3; it must be a list"),
    ("[0, 1] ", "[0, 1.5] ", 3, "seeds[1] is 1.5; it must be a valid integer"),
    ("size: 16", "size: 7", 4, "size is 7; it is not allowed: height and width are from 8"),
    ("size: 16", "size: 4097", 4, "size is 4097; it is not allowed: height and width are from 8 to 4096"),
    (
        "  digits:  ",
        "  dig/its:",
        6,
        "data.dig/its is 'dig/its'; it is not allowed: a name is printable, has no slashes",
    ),
    ("  digits:  ", r'  "dig\nits":', 6, "it is not allowed: a name is printable"),
    ("  digits:  ", "  .digits:", 6, "it is not allowed: a name is printable"),
    ("  digits:  ", f"  {'d' * 61}:", 6, "it is not allowed: a name is printable"),
    ("  digits:  ", "  '':", 6, "it is not allowed: a name is printable"),
    (
        "train: {epochs: 2}  ",
        "train: {epoch: 2}",
        7,
        "data.digits.train: unknown field 'epoch'; did you mean 'epochs'?",
    ),
    (
        "train: {epochs: 2}  ",
        "train: {epochs: two}",
        7,
        "data.digits.train.epochs is 'two'; it must be a valid integer",
    ),
    (
        "train: {epochs: 2}  ",
        "train: {seed: 2}",
        7,
        "data.digits.train.seed: the study's seeds are given to every step",
    ),
    ("train: {epochs: 2}  ", "train: 2", 7, "data.digits.train is 2; it must be a mapping"),
    ("train: {epochs: 2}  ", "sorce: a", 7, "data.digits: unknown field 'sorce'; did you mean 'source'?"),
    ("train: {epochs: 2}  ", "source: ''", 7, "data.digits.source is ''; it must have at least 1 character"),
    ("train: {epochs: 2}  ", "rows: [qat, qad]", 7, "data.digits.rows[1] is 'qad'; it must be "),
    ("train: {epochs: 2}  ", "rows: [qat, qat]", 7, "qat is listed twice"),
    ("train: {epochs: 2}  ", "rows: []", 7, "data.digits.rows is []; it must have at least 1 item"),
    ("train: {epochs: 2}  ", "students: []", 7, None),
    ("alphas: [0.5]", "alphas: []", 8, None),
    ("train: {epochs: 2}  ", "students: [lent]", 7, "unknown model 'lent'; did you mean 'lenet'?"),
    ("train: {epochs: 2}  ", "budget: 0", 7, "data.digits.budget is 0; it must be greater than 0"),
    ("train: {epochs: 2}  ", "size: 5000", 7, "data.digits.size is 5000; it is not allowed: height and width"),
    ("alphas: [0.5]", "alphas: [0.5, -1]", 8, "data.digits.alphas[1] is -1; it must be greater than or equal to 0"),
    ("alphas: [0.5]", "alphas: [0.5, 0.5]", 8, "0.5 is listed twice"),
    ("thief: {epochs: 3}", "thief: {momentum: 1}", 11, "data.other.thief.momentum is 1; it must be less than 1"),
    (
        "model: lenet",
        "model: lent",
        14,
        "originals.LeNet.model is 'lent'; it is not allowed: unknown model 'lent'; did",
    ),
    ("model: lenet", "model: my.module:factory", 14, None),
    ("model: lenet", "model: 'my.module:'", 14, "a network of your own is `module:factory`"),
    ("model: lenet", "model: my..module:factory", 14, "a network of your own is `module:factory`"),
    ("model: lenet", "model: my/module:factory", 14, "a network of your own is `module:factory`"),
    (
        "model: lenet",
        "pretrained: true\n    model: lenet",
        14,
        "originals.LeNet.pretrained is True; pretrained weights need",
    ),
    ("  LeNet:", "  Le\\Net:", 13, "it is not allowed: a name is printable"),
    ("precision: bfloat16", "precision: bfloat8", 17, "it must be 'float32' or 'bfloat16'; did you mean 'bfloat16'?"),
    ("batch_size: 64", "batch_size: 0", 18, "train.batch_size is 0; it must be greater than 0"),
    ("train: {epochs: 1,", "train: {epochs: 1e-3,", 18, "train.epochs is 0.001; it must be a valid integer"),
    ("batch_size: 64", "learning_rate: 1e-3", 18, None),
    ("batch_size: 64", "learning_rate: .inf", 18, "train.learning_rate is '.inf'; it must be a valid number"),
    ("batch_size: 64", "learning_rate: 0", 18, "train.learning_rate is 0; it must be greater than 0"),
    ("batch_size: 64", "nesterov: off", 18, None),
    ("adapt: {epochs: 2} ", "adapt: {epochs: [2]}", 19, "adapt.epochs is [2]; it must be a valid integer"),
    ("adapt: {epochs: 2} ", "adapt: [epochs]", 19, "adapt is ['epochs']; it must be a mapping"),
    ("[ptq, qat]", "[ptq, ptq]", 21, "ptq is listed twice"),
    ("[ptq, qat]", "[]", 21, "evasion.adaptations is []; it must have at least 1 item"),
    (
        "[ptq, qat]",
        "[ptq, quat]",
        21,
        "evasion.adaptations[1] is 'quat'; it must be 'ptq', 'qat', 'finetune', 'distil', 'distil+ptq', 'distil+qat', ",
    ),
    ("target: mobile", "target: server", 22, None),
    (
        "target: mobile",
        "runtime: inductor",
        22,
        "evasion.runtime is 'inductor'; it does not take target 'mobile'; choose",
    ),
    ("target: mobile", "count: 0", 22, "evasion.count is 0; it must be greater than 0"),
    ("target: mobile", "shard: 0", 22, "evasion.shard is 0; it must be greater than 0"),
    ("target: mobile", "classes: [1, 1]", 22, "1 is listed twice"),
    ("target: mobile", "classes: [-1]", 22, "evasion.classes[0] is -1"),
    (
        "preset: pgd",
        "preset: pdg",
        24,
        "evasion.attacks.pgd.preset is 'pdg'; it is not allowed: unknown attack 'pdg'; did you",
    ),
    (
        "{stop: never}",
        "{stop: nevr}",
        24,
        "evasion.attacks.pgd.change.stop is 'nevr'; it must be 'goal', 'fooled', 'never' or 'believed'",
    ),
    ("{stop: never}", "{stp: never}", 24, "evasion.attacks.pgd.change: unknown field 'stp'; did you mean 'stop'?"),
    ("{stop: never}", "{seed: 1}", 24, "evasion.attacks.pgd.change.seed: the study's seeds are given"),
    ("{stop: never}", "{steps: 1}", 24, "evasion.attacks.pgd.change.steps: the preset depends on it"),
    ("{stop: never}", "{epsilon: 1}", 24, "evasion.attacks.pgd.change.epsilon: the preset depends on it"),
    ("{stop: never}", "{rule: balance}", 24, "evasion.attacks.pgd.change: rule 'balance' follows both margins"),
    ("    diva:", "    di/va:", 25, "it is not allowed: a name is printable"),
    ("epsilon: 4", "epsilon: 256", 27, "evasion.attacks.diva.epsilon is 256; it must be less than or equal to 255"),
    ("c: 2}", "c: -2}", 28, "evasion.attacks.diva.change.objective.diva.c is -2; it must be"),
    (
        "type: diva,",
        "type: dva,",
        28,
        "evasion.attacks.diva.change.objective.type is 'dva'; it must be 'cross-entropy', ",
    ),
    ("shown: diva", "shown: dva", 29, "evasion.shown is 'dva'; it must be one of the attacks: pgd, diva"),
    ("shown: diva", "count: 3", 20, "evasion.shown is missing"),
    ("[qat, divqat]", "[qat, divqat, divqat]", 31, "divqat is listed twice"),
    ("[qat, divqat]", "[]", 31, "theft.rows is []; it must have at least 1 item"),
    ("[mobile, server]", "[mobile]\n  other_rows: []", 33, "theft.other_rows is []; it must have at least 1 item"),
    ("[qat, divqat]", "[qat, divquat]", 31, "theft.rows[1] is 'divquat'; it must be "),
    ("[mobile, server]", "[mobile, mobile]", 32, "mobile is listed twice"),
    ("[mobile, server]", "[]", 32, "theft.targets is []; it must have at least 1 item"),
    ("[mobile, server]", "[mobil]", 32, "did you mean 'mobile'?"),
    ("{student: lenet}", "{studnt: lenet}", 33, "theft.attack: unknown field 'studnt'; did you mean 'student'?"),
    ("{student: lenet}", "{student: lent}", 33, "theft.attack.student: unknown model 'lent'; did you mean 'lenet'?"),
    ("{student: lenet}", "{labels: hard}", 33, "theft.attack.labels: every victim is stolen with soft and with hard"),
    (
        "{student: lenet}",
        "{training: {epochs: 1}}",
        33,
        "theft.attack.training: an attacker's training is changed by `thief`",
    ),
    ("{student: lenet}", "{views: 0}", 33, "theft.attack.views is 0; it must be greater than 0"),
    (
        "learning_rate: 0.05",
        "learning_rate: fast",
        34,
        "theft.thief.learning_rate is 'fast'; it must be a valid number",
    ),
    (
        "[resnet8]",
        "[resnet9]",
        35,
        "theft.students[0] is 'resnet9'; it is not allowed: unknown model 'resnet9'; did you",
    ),
    ("[resnet8]", "[lenet, lenet]", 35, "lenet is listed twice"),
    ("[resnet8]", "[lenet]\n  allowance: {low: 3}", 36, "theft.allowance: low is 3 and high 2; low must be below high"),
    ("[resnet8]", "[lenet]\n  allowance: {l2: 3}", 36, "theft.allowance: unknown field 'l2'; did you mean 'l1'?"),
    ("[resnet8]", "[lenet]\n  alphas: [1, -2]", 36, "theft.alphas[1] is -2; it must be greater than or equal to 0"),
]


@pytest.fixture
def read(tmp_path):
    return partial(read_text, tmp_path)


@pytest.mark.parametrize(("old", "new", "line", "told"), CHANGES)
def test_each_wrong_value_is_told_with_its_line(tmp_path, old, new, line, told):
    require_told(tmp_path, TEXT, (old, new), line, told)


@pytest.mark.parametrize(
    ("old", "new", "whole"),
    [
        ("[0, 1] ", "[0, one] ", "3: seeds[1] is 'one'; it must be a valid integer"),
        ("[0, 1] ", "[] ", "3: seeds is []; it must have at least 1 item"),
        ("epochs: 1,", "epochs: 1.5,", "18: train.epochs is 1.5; it must be a valid integer"),
        ("device: cpu}   ", "nesterov: maybe}", "18: train.nesterov is 'maybe'; it must be true or false"),
        (
            "[mobile, server]",
            "[moblie]",
            "32: theft.targets[0] is 'moblie'; it must be 'mobile', 'server', 'fbgemm' or 'qnnpack'; did you mean "
            "'mobile'?",
        ),
        ("[ptq, qat]", "[int4]", f"21: evasion.adaptations[0] is 'int4'; it must be {ADAPTED}"),
    ],
)
def test_no_word_is_of_the_checks_own(read, tmp_path, old, new, whole):
    with pytest.raises(RecipeError) as caught:
        read(TEXT.replace(old, new))
    assert str(caught.value) == f"{tmp_path / 'study.yaml'}:{whole}"


def test_what_a_profile_lays_over_is_told_with_the_profiles_lines(read, tmp_path):
    path = tmp_path / "study.yaml"
    with pytest.raises(RecipeError) as caught:
        read(TEXT, "laid")
    assert str(caught.value).split("; and")[0] == (
        f"{path}:41: data.digits.train.batch_size is 0; it must be greater than 0; "
        f"{path}:39: adapt.epochs is 0; it must be greater than 0"
    )


def test_many_errors_are_counted(read, tmp_path):
    with pytest.raises(RecipeError) as caught:
        read("a: 1\nb: 1\nc: 1\nprofiles:\n  as_it_is:\n")
    message = str(caught.value)
    assert message.count(str(tmp_path)) == 5
    assert message.endswith("; and 2 more")


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("[digits, mnist]", ["digits", "mnist"]),
        ("{mnist: , digits: {}}", ["mnist", "digits"]),
        ("digits", "data is 'digits'; it must be a mapping"),
        ("3", "data is 3; it must be a mapping"),
        ("[]", "data is "),
        ("{}", "data is "),
        ("", "data is None"),
        ("[digits, digits]", "a list of data sets names each once"),
        ("[3]", "a list of data sets names each once"),
        ("[{digits: {}}]", "a list of data sets names each once"),
        ("[[digits]]", "a list of data sets names each once"),
        ("[a/b]", "data.a/b is 'a/b'; it is not allowed: a name is printable"),
        ("{digits: 3}", "data.digits is 3; it must be "),
        ("{digits: [train]}", "data.digits is ['train']; it must be "),
    ],
)
def test_data_sets_may_be_a_list_of_names(read, tmp_path, data, names):
    text = f"study: a\ntitle: b\ndata: {data}\noriginals: {{LeNet: {{model: lenet}}}}\n"
    text += "theft: {rows: [qat]}\nprofiles: {as_it_is: {}}\n"
    if isinstance(names, list):
        assert list(read(text).data) == names
        return
    with pytest.raises(RecipeError) as caught:
        read(text)
    assert str(caught.value).startswith(f"{tmp_path / 'study.yaml'}:3: ")
    assert names in str(caught.value)


def test_something_has_to_be_studied(read):
    text = TEXT[: TEXT.index("evasion:")] + "profiles:\n  as_it_is:\n"
    with pytest.raises(RecipeError, match=r"yaml:1: there is nothing to study; give evasion, theft or both$"):
        read(text)


@pytest.mark.parametrize(
    "field", ["queries: cifar10", "budget: 3", "rows: [qat]", "students: [lenet]", "alphas: [1]", "thief: {epochs: 1}"]
)
def test_what_changes_a_theft_needs_one(read, field):
    text = TEXT[: TEXT.index("theft:")] + "profiles:\n  as_it_is:\n"
    text = text.replace("    alphas: [0.5]  ", "").replace("    thief: {epochs: 3}", f"    {field}")
    name = field.partition(":")[0]
    with pytest.raises(RecipeError, match=rf"yaml:11: data\.other\.{name} is given; it changes a theft, and the study"):
        read(text)


def test_a_study_comes_back_from_json_as_it_was(read):
    study = read(TEXT)
    text = study.model_dump_json()
    back = Study.model_validate_json(text)
    assert back == study
    assert back.model_dump_json() == text
    assert Study.model_validate(json.loads(text)) == study
    assert [list(names) for names in (back.data, back.originals, back.evasion.attacks)] == [
        ["digits", "other"],
        ["LeNet", "ResNet"],
        ["pgd", "diva"],
    ]
    assert back.data["digits"].train == {"epochs": 2}


def test_json_needs_no_more_than_the_file(read):
    content = yaml.safe_load(TEXT)
    del content["profiles"]
    assert Study.model_validate_json(json.dumps(content)) == read(TEXT)
    with pytest.raises(RecipeError, match=r"^Study\.data\.digits\.train: unknown field 'epoch'; did you mean 'epochs'"):
        Study.model_validate({**content, "data": {"digits": {"train": {"epoch": 1}}}})


def test_changes_of_training_are_laid_in_order(read):
    study = read(TEXT)
    digits, other = study.data.values()
    lenet, resnet = study.originals.values()
    # Nothing, the study, the data set, the network; the seed of the cell.
    given = {"batch_size": 64, "device": "cpu", "seed": 7}
    assert study.training(other, lenet, 7) == TrainSettings(epochs=1, **given)
    assert study.training(digits, lenet, 7) == TrainSettings(epochs=2, **given)
    assert study.training(digits, resnet, 7) == TrainSettings(epochs=4, precision="bfloat16", **given)
    assert study.training(digits, resnet, 7).device == "cpu"


def test_changes_of_adapting_start_from_the_defaults_of_qat(read):
    study = read(TEXT.replace("size: 16 ", "size: 16\ncalibration_images: 9\nobserve_epochs: 1"))
    found = study.adapting(study.data["digits"], study.originals["ResNet"], 5)
    plain = QatSettings()
    assert found.train == plain.train.replace(epochs=2, seed=5)
    assert (found.calibration.calibration_images, found.calibration.seed, found.observe_epochs) == (9, 5, 1)
    alive = study.replace(batch_norm="alive", live_epochs=1).adapting(
        study.data["digits"], study.originals["ResNet"], 5
    )
    assert alive == found.replace(batch_norm="alive", live_epochs=1)
    with pytest.raises(RecipeError, match="live_epochs is 1, and batch_norm is not alive; set it to alive"):
        read(TEXT.replace("size: 16 ", "size: 16\nlive_epochs: 1"))
    more = study.data["digits"].replace(adapt={"epochs": 8})
    network = study.originals["ResNet"].replace(adapt={"learning_rate": 0.5})
    assert study.adapting(more, network, 5).train == plain.train.replace(epochs=8, learning_rate=0.5, seed=5)


def test_changes_of_stealing_start_from_the_attacks_own_training(read):
    study = read(TEXT)
    default = Knockoff().training
    found = study.stealing(study.data["digits"], 5)
    assert found.student == "lenet"
    assert found.seed == found.training.seed == 6
    assert found.training == default.replace(epochs=5, learning_rate=0.05, seed=6, device="cpu")
    assert found.training.device == "cpu"
    assert study.stealing(study.data["other"], 5).training.epochs == 3
    assert default.batch_size != TrainSettings().batch_size == found.training.replace(batch_size=128).batch_size


def test_an_attack_is_its_preset_with_changes(read):
    attacks = read(TEXT).evasion.attacks
    assert attacks["pgd"].attack == presets(8, 20)["pgd"].replace(stop="never")
    diva = presets(4, 20)["diva-2022"]
    assert attacks["diva"].attack == diva.replace(objective=diva.objective.replace(c=2.0))


@pytest.mark.parametrize(
    ("name", "profiles"),
    [("diva", "smoke digits small paper"), ("divqat", "smoke small slope data-free paper")],
)
def test_the_papers_studies_can_be_read(request, name, profiles):
    path = request.config.rootpath / "studies" / f"{name}.yaml"
    assert list(yaml.safe_load(path.read_text(encoding="utf-8"))["profiles"]) == profiles.split()
    for profile in profiles.split():
        study = read_study(path, profile)
        assert study.study == study.paper == name
        assert Study.model_validate_json(study.model_dump_json()) == study


def test_every_line_number_of_this_text_is_right():
    for number, line in enumerate(TEXT.splitlines(), 1):
        assert int(re.search(r"# (\d+)$", line)[1]) == number
