"""ONNX graphs as differentiable modules: float operators, and the integer ones of ONNX Runtime's optimised graphs."""
