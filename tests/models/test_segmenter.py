import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.models import DenseNetConfig, SegmenterConfig, apply, init

ENCODER = DenseNetConfig(block_sizes=(1, 1), num_classes=2, growth_rate=4, stem_features=8)
CONFIG = SegmenterConfig(encoder=ENCODER, num_masks=3, decoder_width=4)


@pytest.mark.smoke
@pytest.mark.parametrize("shape", [(32, 32, 1), (33, 21, 1)])
def test_masks_have_the_images_size_and_the_head_is_the_classifiers(shape):
    variables = init(jax.random.key(0), CONFIG, shape)
    images = jax.random.normal(jax.random.key(1), (2, *shape))
    outputs, _ = apply(CONFIG, variables, images, train=False)
    assert outputs["mask"].shape == (2, *shape[:2], 3)
    assert outputs["mask"].dtype == outputs["label"].dtype == jnp.float32
    without_decoder = {
        kind: {name: tree for name, tree in trees.items() if name != "decoder"}
        for kind, trees in variables.items()
    }
    logits, _ = apply(ENCODER, without_decoder, images, train=False)
    np.testing.assert_allclose(outputs["label"], logits, atol=1e-6)


def test_training_updates_the_statistics_of_encoder_and_decoder():
    variables = init(jax.random.key(0), CONFIG, (32, 32, 1))
    images = jax.random.normal(jax.random.key(1), (2, 32, 32, 1))
    _, statistics = apply(CONFIG, variables, images, train=True)
    for before, after in zip(
        jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(statistics), strict=True
    ):
        assert not np.allclose(before, after)


def test_every_pixel_sees_its_own_place():
    """A bright pixel moves the mask's logits where it is, whatever the halvings."""
    variables = init(jax.random.key(0), CONFIG, (32, 32, 1))
    images = jnp.zeros((2, 32, 32, 1)).at[1, 5, 27].set(4.0)
    logits = apply(CONFIG, variables, images, train=False)[0]["mask"]
    changed = np.abs(logits[1] - logits[0]).sum(-1)
    assert changed[3:8, 25:30].mean() > 2 * changed.mean()


def test_a_config_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="num_masks must be at least 1, got 0"):
        SegmenterConfig(encoder=ENCODER, num_masks=0)
    with pytest.raises(ValueError, match="images must be at least 5 x 5 pixels"):
        init(jax.random.key(0), CONFIG, (4, 4, 1))
