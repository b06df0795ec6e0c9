"""Make float and int8 `.tflite` files with TensorFlow's converter: `python benchmarks/tflite_files.py DIR`.

It needs TensorFlow, which pins versions of its own: use an environment of its own. DIR holds the `digits.npz` that
`benchmarks/foreign_files.py DIR` wrote. With `--given KEPT` it is the ResNet-8 that `benchmarks/verify.py --keep KEPT`
trained, with its weights.
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


def resnet8(weights: Any) -> Any:
    """ResNet-8 for normalised images, with weights `[C_out,C_in,H,W]`."""
    layers = tf.keras.layers
    image = tf.keras.Input(weights["images"].shape[2:] + weights["images"].shape[1:2])

    def convolved(value: Any, name: str, strides: int = 1) -> Any:
        kernel = weights[f"{name}.weight"].transpose(2, 3, 1, 0)
        biased, bias = f"{name}.bias" in weights, [weights[f"{name}.bias"]] if f"{name}.bias" in weights else []
        layer = layers.Conv2D(kernel.shape[3], kernel.shape[0], strides, padding="same", use_bias=biased)
        result = layer(value)
        layer.set_weights([kernel, *bias])
        return result

    def normalised(value: Any, name: str) -> Any:
        layer = layers.BatchNormalization(epsilon=1e-5)
        result = layer(value)
        layer.set_weights([weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")])
        return result

    value = layers.ReLU()(normalised(convolved(image, "0"), "1"))
    for name, strides in (("3", 1), ("4", 2), ("5", 2)):
        inner = layers.ReLU()(normalised(convolved(value, f"{name}.conv1", strides), f"{name}.norm1"))
        inner = normalised(convolved(inner, f"{name}.conv2"), f"{name}.norm2")
        beside = convolved(value, f"{name}.shortcut", strides) if f"{name}.shortcut.weight" in weights else value
        value = layers.ReLU()(inner + beside)
    last = layers.Dense(weights["8.bias"].shape[0])
    scores = last(layers.GlobalAveragePooling2D()(value))
    last.set_weights([weights["8.weight"].T, weights["8.bias"]])
    return tf.keras.Model(image, scores)


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
    parser.add_argument("--given", type=Path, metavar="KEPT")
    given = parser.parse_args()
    out = given.out
    stored = dict(np.load(out / "digits.npz" if given.given is None else given.given / "given.npz"))
    images = stored["images"].transpose(0, 2, 3, 1).astype(np.float32) / 255
    tf.keras.utils.set_random_seed(0)
    if given.given is None:
        model = network()
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=tf.keras.optimizers.Adam(2e-3), loss=loss)
        model.fit(images[:TRAINED], stored["labels"][:TRAINED], batch_size=64, epochs=4, verbose=0)
    else:
        out.mkdir(parents=True, exist_ok=True)
        model, images = resnet8(stored), (255 * images - 128) / 127.5
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
