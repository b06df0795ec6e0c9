"""`.tflite` files as differentiable modules that compute as LiteRT's kernels do: in float, or on 8-bit integers."""
