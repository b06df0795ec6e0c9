import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR

from edgerift.errors import RecipeError
from edgerift.train import TrainSettings, learning_rate


def test_cosine_is_torchs_own() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    reference = CosineAnnealingLR(optimizer, T_max=40)
    settings = TrainSettings(learning_rate=0.3)
    for step in range(40):
        assert learning_rate(settings, step, 40) == pytest.approx(reference.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        reference.step()


def test_warmup_rises_linearly_and_cosine_starts_behind_it() -> None:
    settings = TrainSettings(learning_rate=0.4, warmup_steps=4)
    assert [learning_rate(settings, step, 14) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert learning_rate(settings, 9, 14) == pytest.approx(0.2)
    assert learning_rate(settings.replace(warmup_steps=20), 13, 14) == pytest.approx(0.4 * 14 / 20)


def test_constant_schedule_stays() -> None:
    settings = TrainSettings(learning_rate=0.4, schedule="constant", warmup_steps=2)
    assert [learning_rate(settings, step, 100) for step in (0, 1, 2, 99)] == pytest.approx([0.2, 0.4, 0.4, 0.4])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -1.0),
        ("momentum", 1.0),
        ("label_smoothing", 1.0),
        ("weight_decay", -0.1),
        ("schedule", "step"),
        ("precision", "float16"),
        ("seed", -1),
        ("device", "tpu"),
    ],
)
def test_settings_out_of_range(field: str, value: object) -> None:
    with pytest.raises(RecipeError, match=rf"TrainSettings\.{field} is "):
        TrainSettings(**{field: value})
