"""Mark of the driver's replies among Ray's own output."""

MARK = "@@"
