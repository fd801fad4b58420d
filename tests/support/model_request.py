"""Request for a model, for tests that load one."""

from earshot.tagger import ModelRequest

REQUEST = ModelRequest(
    model="auto",
    device="cpu",
    engine="torch",
    precision="fp32",
    window=None,
    offline=False,
    fstride=None,
    tstride=None,
    input_tdim=None,
    hop=1.0,
    sources=1,
)
"""``--model auto`` with PyTorch on the processor, one source and a hop of a second."""
