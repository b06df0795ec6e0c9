"""What a study reads of its image sources."""

from __future__ import annotations

from edgerift import images
from edgerift.images import ImagesSettings, Size


class Sources:
    """What is read of image sources, each once: it is the same for every seed."""

    def __init__(self) -> None:
        self._fingerprints: dict[str, str] = {}
        self._classes: dict[tuple[str, str | None], int] = {}

    def describe(
        self, source: str, size: Size, seed: int, labels: str | None = None, **fields: float
    ) -> ImagesSettings:
        """Describe images, with the fingerprint of their content."""
        described = ImagesSettings.model_validate(
            {"source": source, "size": size, "seed": seed, "labels": labels, **fields}
        )
        if source not in self._fingerprints:
            self._fingerprints[source] = images.resolve(described).fingerprint
        return described.replace(fingerprint=self._fingerprints[source])

    def classes(self, described: ImagesSettings) -> int:
        """Count the classes of images."""
        read = described.source, described.labels
        if read not in self._classes:
            self._classes[read] = len(images.class_names(described))
        return self._classes[read]
