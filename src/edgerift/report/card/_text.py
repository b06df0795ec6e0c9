"""The card as a person reads it in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift.report.card._card import Card
from edgerift.report.shared._guarded import coverage_words
from edgerift.report.shared._words import percent


def card_text(card: Card) -> RenderableType:
    """Lay a card out as tables for rich: a row for each of original, twin and builds, then what differs."""
    made = "build of another tool" if card.provenance is None else f"{card.provenance.method} for {card.target}"
    title = f"{made}, {card.images} test images of {card.data}"
    mismatches = [Text(f"{found[0].upper()}{found[1:]}.", "yellow") for found in card.mismatches]
    guards = [Text(f"{name}: {coverage_words(part)}") for name, part in card.guarded.items()]
    pruned = [_sparsity(card)] if card.sparsity else []
    return Group(_answers(card, title), _machines(card), *pruned, Text(_verdict(card)), *guards, *mismatches)


def _sparsity(card: Card) -> Table:
    table = Table(title="Zeros of the pruned model; unstructured ones make it no faster in int8", title_justify="left")
    table.add_column("layer")
    for heading in ("weights", "0 in float", "0 in int8"):
        table.add_column(heading, justify="right")
    for name, layer in card.sparsity.items():
        codes = "" if layer.zero_codes is None else percent(layer.zero_codes, 2)
        table.add_row(name, f"{layer.weights:,}", percent(layer.zeros, 2), codes)
    return table


def _answers(card: Card, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in ("accuracy", "95 % interval", "agreement", "only original right", "only build right", "l1"):
        table.add_column(heading, justify="right")
    for name, value in card.accuracy.items():
        low, high = card.accuracy_interval[name]
        row = [name, percent(value, 2), f"{percent(low)} to {percent(high)}"]
        if name in card.quadrants:
            part = card.quadrants[name]
            row += [
                percent(card.agreement[name], 2),
                str(part["only_original_right"]),
                str(part["only_build_right"]),
            ]
            row.append(f"{card.l1[name]:.4f}")
        table.add_row(*row)
    return table


def _machines(card: Card) -> Table:
    table = Table()
    table.add_column("")
    for heading in ("kB", "ms/image", "images/s", "integer MACs", "logits equal to twin", "largest LSB"):
        table.add_column(heading, justify="right")
    for name in ("original", *card.fingerprint):
        row = [name, f"{card.size_bytes[name] / 1000:.1f}", f"{card.latency_ms[name]:.3f}"]
        row.append(f"{card.images_per_second[name]:,.0f}")
        if name in card.integer_macs:
            row.append(percent(card.integer_macs[name]))
        if name in card.fidelity:
            found = card.fidelity[name]
            row += [percent(found.equal_logits, 2), f"{found.max_lsb:.1f}"]
        table.add_row(*row)
    return table


def _verdict(card: Card) -> str:
    lines = []
    for name in card.fingerprint:
        part = card.quadrants[name]
        changed = percent((part["only_original_right"] + part["only_build_right"]) / card.images, 2)
        lines.append(
            f"{name}: {part['only_original_right']} of {card.images} images are right on the original but wrong on "
            f"this build, {part['only_build_right']} the other way round ({changed} differ in correctness)."
        )
    return "\n".join(lines)
