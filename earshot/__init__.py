"""Earshot: the program, and its Python interface. The only package that imports the others."""
