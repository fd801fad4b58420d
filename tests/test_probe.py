import torch
from torch.nn import functional as F  # noqa: N812

from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.training.batches import Batch
from models.training.probe import fit_head


def test_the_head_alone_learns_what_the_network_can_tell_apart() -> None:
    torch.manual_seed(0)
    config = AstConfig(
        width=32, depth=1, heads=2, mlp_width=64, fstride=16, tstride=16, input_tdim=32, label_dim=3
    )
    network = AudioSpectrogramTransformer(config).train()
    classes = torch.arange(24) % 3
    rows = torch.randn(3, 32, 128)[classes] + 0.3 * torch.randn(24, 32, 128)
    targets = F.one_hot(classes, 3).float()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fit_head(network, [Batch(rows[:16], targets[:16], 0), Batch(rows[16:], targets[16:], 0)], F.cross_entropy)
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"mlp_head.1.weight", "mlp_head.1.bias"}
    assert network.training
    assert torch.equal(network.eval()(rows).argmax(1), classes)


def test_patches_are_dropped_while_training_only() -> None:
    config = AstConfig(
        width=32, depth=1, heads=2, mlp_width=64, fstride=16, tstride=16, input_tdim=128, label_dim=3
    )
    network = AudioSpectrogramTransformer(config).eval()
    rows = torch.randn(2, 128, 128)
    logits = network(rows)
    network.drop_patches(0.75)
    assert torch.equal(network(rows), logits)
    assert network.forward_features(rows).shape == (2, 2 + 64, 32)
    assert network.train().forward_features(rows).shape == (2, 2 + 16, 32)
    network.drop_patches(0)
    assert network.forward_features(rows).shape == (2, 2 + 64, 32)
