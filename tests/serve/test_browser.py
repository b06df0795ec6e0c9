"""The page at `/` in a real browser: room for it, no complaint of its policy, and an image that is classified."""

from collections.abc import Iterator
from pathlib import Path

import chromium
import numpy as np
import pytest
import torch
from PIL import Image
from served import SHAPE, TOKEN, SumsBuild, listening, service

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with listening(service()) as found:
        yield f"http://{found}/"


def choose(browser: chromium.Page, file: Path) -> None:
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    node = browser.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
    browser.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])


def classified(browser: chromium.Page, file: Path, token: str) -> str:
    """Send a file, and wait for what the page says then."""
    choose(browser, file)
    return str(
        browser.evaluate(
            f"""new Promise((done) => {{
                const state = document.getElementById("state");
                state.textContent = "";
                new MutationObserver(() => state.textContent && done(state.textContent))
                    .observe(state, {{ childList: true }});
                document.getElementById("token").value = "{token}";
                document.querySelector("button").click();
            }})"""
        )
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_an_image_is_classified_on_every_screen(
    browser: chromium.Page, address: str, tmp_path: Path, width: int, scheme: str
) -> None:
    pixels = np.random.default_rng(width).integers(0, 256, (SHAPE.height, SHAPE.width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    browser.requests.clear()
    browser.complaints.clear()
    browser.open(address, width=width, scheme=scheme)
    assert "images left" in classified(browser, tmp_path / "image.png", TOKEN)
    browser.evaluate("new Promise((done) => setTimeout(done, 100))")
    told = browser.evaluate("[...document.querySelectorAll('tbody tr')].map((row) => row.innerText.split('\\t'))")
    scores = SumsBuild().predict(torch.from_numpy(pixels).permute(2, 0, 1)[None]).softmax(1)[0]
    wanted = sorted(((float(score), str(place)) for place, score in enumerate(scores)), reverse=True)
    assert told == [[name, f"{100 * score:.1f} %"] for score, name in wanted]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []
    assert {request.split("/")[2] for request in browser.requests if request.startswith("http")} == {address[7:-1]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_refusal_can_be_read(browser: chromium.Page, address: str, tmp_path: Path, scheme: str) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "image.png")
    browser.open(address, width=375, scheme=scheme)
    assert "token" in classified(browser, tmp_path / "image.png", "a-token-of-nobody")
    styles = "(([text, ground]) => [getComputedStyle(text).color, getComputedStyle(ground).backgroundColor])"
    colours = browser.evaluate(f"{styles}([document.getElementById('state'), document.body])")
    assert contrast(*colours) >= 4.5


def contrast(*colours: str) -> float:
    """Compute the contrast of two colours `rgb(r, g, b)`, as WCAG 2 defines it."""
    luminance = []
    for colour in colours:
        levels = [int(level) / 255 for level in colour.removeprefix("rgb(").rstrip(")").split(",")]
        linear = [level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels]
        luminance.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(luminance) + 0.05) / (min(luminance) + 0.05)
