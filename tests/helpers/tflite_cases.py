"""One table of `.tflite` files with one operator each, on random grids."""

import tflite_layer_cases
import tflite_plain_cases
from tflite_table import CASES, images_for

__all__ = ["CASES", "images_for", "tflite_layer_cases", "tflite_plain_cases"]
