"""The live window: what is heard, drawn thirty times a second. The only importer of Qt and pyqtgraph."""
