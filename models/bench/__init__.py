"""Speed of models on this machine, compared with Hugging Face's."""
