"""Image sets on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from edgerift.errors import DataError

CONVERTED = "refs/convert/parquet"
SPLITS = ("train", "test", "val", "dev", "eval")
"""The prefixes of the split names that `open_folder` knows."""


def fetch(repository: str, config: str | None, wanted: str) -> Path:
    """Download the Parquet files of a hub dataset, or find an earlier download.

    A dataset that keeps no Parquet files itself is taken from the copy that the hub converts. No code of the dataset is
    run. `wanted` is the name that the user gave. Raises `DataError` where the hub cannot be reached or has no such
    dataset.
    """
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError

    folder = f"{config}/" if config else ""
    patterns = [f"{folder}*{_any_case(split)}*.parquet" for split in SPLITS]
    for revision in (None, CONVERTED):
        try:
            snapshot = huggingface_hub.snapshot_download(
                repository, repo_type="dataset", revision=revision, allow_patterns=patterns
            )
        except RepositoryNotFoundError as error:
            raise DataError(
                f"the Hugging Face hub has no open dataset '{repository}'; "
                "check the name, or log in where it asks for it"
            ) from error
        except (OSError, ValueError) as error:
            raise DataError(
                f"'{wanted}' is not on this machine and the Hugging Face hub did not answer; "
                f"put its Parquet files into FOLDER/{wanted} and pass --data-root FOLDER "
                "(or set EDGERIFT_DATA)"
            ) from error
        if any(Path(snapshot).rglob("*.parquet")):
            return Path(snapshot)
    raise DataError(f"the hub dataset '{repository}' has no Parquet files for '{config or 'train'}'; give another")


def _any_case(word: str) -> str:
    """Write a word as a pattern of a file name that takes both cases of every letter."""
    return "".join(f"[{letter}{letter.upper()}]" for letter in word)
