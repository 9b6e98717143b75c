"""From a trained Keras model to a bundle: tf2onnx, graph passes, storage, parity.

Importing this package is cheap; TensorFlow is imported only by what traces a Keras model.
"""
