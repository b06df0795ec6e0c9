"""Make float and int8 `.tflite` files with TensorFlow's converter: `python benchmarks/tflite_files.py DIR`.

It needs TensorFlow, which pins versions of its own: use an environment of its own. DIR holds the `digits.npz` that
`benchmarks/foreign_files.py DIR` wrote.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

TRAINED = 1200
CALIBRATED = 512


def network() -> Any:
    """Convolutions with batch normalisations, one of them depthwise, a mean and a dense layer."""
    layers = tf.keras.layers
    normalised = [layers.BatchNormalization(), layers.ReLU()]
    return tf.keras.Sequential(
        [
            tf.keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            *normalised,
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
            layers.Conv2D(32, 1, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )


def converted(model: Any, images: Any, **settings: Any) -> bytes:
    """Convert, quantized where a representative data set is asked for."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)

    def calibration() -> Iterator[list[Any]]:
        for image in images[:CALIBRATED]:
            yield [image[None]]

    if settings.pop("calibrate", False):
        converter.representative_dataset = calibration
    for name, value in settings.items():
        setattr(converter, name, value)
    return bytes(converter.convert())


def main() -> None:
    """Train and convert."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    stored = np.load(out / "digits.npz")
    images = stored["images"].transpose(0, 2, 3, 1).astype(np.float32) / 255
    tf.keras.utils.set_random_seed(0)
    model = network()
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=tf.keras.optimizers.Adam(2e-3), loss=loss)
    model.fit(images[:TRAINED], stored["labels"][:TRAINED], batch_size=64, epochs=4, verbose=0)
    smaller, whole = [tf.lite.Optimize.DEFAULT], [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    ends = {"inference_input_type": tf.int8, "inference_output_type": tf.int8}
    kinds: dict[str, dict[str, Any]] = {
        "float": {},
        "litert-dynamic": {"optimizations": smaller},
        "litert-int8": {
            "optimizations": smaller,
            "calibrate": True,
            "target_spec": tf.lite.TargetSpec(supported_ops=whole),
            **ends,
        },
    }
    for name, settings in kinds.items():
        path = out / f"{name}.tflite"
        path.write_bytes(converted(model, images, **settings))
        print(path)


if __name__ == "__main__":
    main()
