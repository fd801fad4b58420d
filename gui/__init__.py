"""The live window, drawn thirty times a second. The only package that imports Qt and pyqtgraph."""
