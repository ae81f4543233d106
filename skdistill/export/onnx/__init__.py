"""A student, or a pipeline that ends in one, as an ONNX file."""
