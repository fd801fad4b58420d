"""Teaching: a sound of the user's own, from a few examples, as a head on the embeddings of a model."""
