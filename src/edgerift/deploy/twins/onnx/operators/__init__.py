"""The operators of ONNX graphs, each registered by the module that translates it."""
