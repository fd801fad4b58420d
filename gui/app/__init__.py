"""The windows themselves, their keyboard shortcuts and Qt's event loop."""
