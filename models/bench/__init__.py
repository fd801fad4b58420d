"""What a window costs on this machine, and what it would cost in Hugging Face's hands."""
