"""The networks, each written once, in Keras 3 with `keras.ops` alone."""
