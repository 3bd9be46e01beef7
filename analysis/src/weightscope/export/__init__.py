"""A run for other programs' eyes: TensorBoard event files, Weights & Biases offline runs."""
