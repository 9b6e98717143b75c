"""From Keras models to a bundle of ONNX graphs."""
