"""The operators of `.tflite` files, each registered by the module that translates it."""
