"""The paper profiles of both studies beside what their papers say, value by value."""

from pathlib import Path

import pytest

from edgerift.harden import paper_name
from edgerift.study import read_study, setting_values

STUDIES = Path(__file__).resolve().parents[2] / "studies"

#: Khaled et al. 2025, arXiv:2512.23948: the setting, its value, and the section or table that it comes from.
PAPER = [
    ("original.model", "resnet18", "IV-A3"),
    ("original.epochs", 50, "IV-A3"),
    ("quantization.train.learning_rate", 0.01, "IV-A3"),
    ("quantization.train.momentum", 0.9, "IV-A3"),
    ("quantization.train.nesterov", False, "IV-A3: SGD with momentum; Nesterov is named for clones alone"),
    ("quantization.train.weight_decay", 5e-4, "IV-A3"),
    ("quantization.train.schedule", "cosine", "IV-A3"),
    ("thief.students", ["resnet34", "mobilenet_v2", "shufflenet_v2"], "IV-A3 and figures 3 to 5"),
    ("thief.labels", "soft", "III-A"),
    ("thief.budget", 50_000, "IV-A3"),
    ("thief.training.learning_rate", 0.01, "IV-A3"),
    ("thief.training.schedule", "cosine", "IV-A3"),
    ("thief.training.nesterov", True, "IV-A3"),
    ("thief.training.momentum", 0.9, "IV-A3"),
    ("thief.training.weight_decay", 5e-4, "IV-A3"),
    ("thief.queries (cifar10)", "cifar100", "IV-A2"),
    ("thief.queries (cifar100)", "cifar10", "IV-A2"),
    ("thief.queries (gtsrb)", "cifar10", "IV-A2"),
    ("thief.queries (svhn)", "cifar10", "IV-A2"),
    ("rows", ["large", "ptq", "qat", "rs", "dcp", "divqat", "divqat+rs", "divqat+dcp"], "Tables III and IV"),
    ("rows of other targets", ["qat", "divqat"], "Table V"),
    ("targets", ["fbgemm", "qnnpack"], "III-C and Table V: server and mobile; the backends' names are PyTorch's"),
    ("allowance.l1", 0.6, "Tables III to V"),
    ("allowance.accuracy_drop", None, "Tables III to V: no limit is named"),
    ("data-free.rows", ["large", "ptq", "qat", "rs", "dcp", "divqat"], "Table III"),
    *(
        (f"{attack}.{field}", value, "IV-A3")
        for attack in ("dfme", "maze-dfme")
        for field, value in (
            ("student", "resnet34_8x"),
            ("budget", 20_000_000),
            ("clone.optimizer", "sgd"),
            ("clone.learning_rate", 0.1),
            ("clone.weight_decay", 5e-4),
            ("clone.milestones", [0.1, 0.3, 0.5]),
            ("clone.factor", 0.3),
        )
    ),
]

#: What the paper leaves open and its authors' earlier code (arXiv:2309.01838) says.
EARLIER_CODE = [
    ("thief.training.epochs", 50),
    ("thief.training.batch_size", 64),
    ("answers.reverse-sigmoid.gamma (cifar10)", 0.1),
    ("answers.deception.gamma (cifar100)", 0.1),
]


#: What both leave open, and ours.
OURS = [
    ("original.learning_rate", 0.1),
    ("quantization.train.epochs", 20),
    # Three quarters of the training; PyTorch's own never stand still unless they are told to.
    ("quantization.observe_epochs", 15),
    # PyTorch's own quantization-aware training has it.
    ("quantization.batch_norm", "alive"),
    # Of tables III to V; the victim's own.
    ("thief.student", "resnet18"),
]

#: Pyla, Yenugutala and Addanki, "Exploring DIVA attack on edge models": the same. Their sections have no page numbers.
DIVA = [
    ("size", 32, "5: 32*32*3"),
    ("original.model (ResNet)", "resnet50", "5.2.1"),
    ("original.model (DenseNet)", "densenet121", "5.1.2: DenseNet; 121 is Keras's smallest"),
    ("original.model (MobileNet)", "timm:mobilenetv1_100", "5.1.3: MobileNet, which in Keras is the first version"),
    ("original.stem", "imagenet", "5: Keras's pretrained models"),
    ("original.pretrained", True, "5: trained on ImageNet, then fine-tuned"),
    ("evasion.count (ResNet)", 4000, "5.2.1"),
    ("evasion.count (DenseNet)", 1000, "5.2.2"),
    ("evasion.count (MobileNet)", 2000, "5.2.3"),
    ("evasion.split", "train", "5.2.1: images from the training set"),
    ("attack.objective.c (diva)", 1.0, "4"),
    ("attack.epsilon", 8, "4"),
    ("attack.step (diva)", 1.0, "4"),
    ("attack.step (pgd)", 1.0, "4"),
    ("attack.steps", 20, "4"),
    ("attack.start", "clean", "4, equation 3: from the image itself"),
    ("attack.knows (diva)", "both", "4: white box"),
    ("attack.knows (semi-black-box)", "build", "3"),
    ("attack.knows (black-box)", "answers", "3"),
    ("pictures.attack", "diva", "5.1.1"),
    ("pictures.points", 1000, "5.1.1: 1000 samples"),
]


@pytest.fixture(scope="module")
def values():
    return setting_values(read_study(STUDIES / "divqat.yaml", "paper"))


def test_every_setting_of_the_first_paper_is_that_of_the_profile():
    study = read_study(STUDIES / "diva.yaml", "paper")
    named, values = {name: value for name, value, _ in DIVA}, setting_values(study)
    assert len(named) == len(DIVA)
    assert {name: values[name] for name in named} == named
    assert set(study.data) == {"cifar10", "mnist"}  # Section 5.
    # Quantization-aware training, 5.2.1; the other two adaptations of section 1 are the study's own rows.
    assert {"qat", "prune", "distil"} <= set(values["evasion.adaptations"])
    assert not any(name.endswith(("(cifar10)", "(mnist)")) for name in named)


def test_every_setting_of_the_paper_is_that_of_the_profile(values):
    named = {name: (value, where) for name, value, where in PAPER}
    assert len(named) == len(PAPER)
    assert {name: values[name] for name in named} == {name: value for name, (value, _) in named.items()}
    open_ones = dict((*EARLIER_CODE, *OURS))
    assert {name: values[name] for name in open_ones} == open_ones


def test_no_data_set_has_another_value_than_the_table_says(values):
    """What is given for one data set alone is there by name, or the table would be of the other sets."""
    told = {name for name, *_ in (*PAPER, *EARLIER_CODE, *OURS)}
    assert {name for name in values if name.endswith(")")} - told == {
        f"alphas ({name})" for name in ("cifar10", "cifar100", "gtsrb", "svhn")
    }


def test_the_first_target_is_the_papers_server(values):
    assert [paper_name(target) for target in values["targets"]] == ["server", "mobile"]


@pytest.mark.parametrize("profile", ["smoke", "small", "slope", "data-free", "paper"])
def test_tables_iii_and_iv_are_of_servers_in_every_profile(profile):
    assert paper_name(setting_values(read_study(STUDIES / "divqat.yaml", profile))["targets"][0]) == "server"


def test_a_network_is_named_where_it_differs():
    values = setting_values(read_study(STUDIES / "diva.yaml", "small"))
    assert values["original.model (ResNet)"] == "resnet8"
    assert setting_values(read_study(STUDIES / "diva.yaml", "smoke"))["original.adversary.steps (Robust)"] == 1
    assert values["original.epochs (mnist)"] == 1
    assert (values["evasion.count"], values["evasion.split"], values["prune.sparsity"]) == (200, "test", 0.8)
    assert not any(name.startswith("thief") for name in values)
