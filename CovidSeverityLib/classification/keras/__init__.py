"""Networks and weights of Keras."""
