"""Schedules by their values, optimizers by the formulas they stand for."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cxr_jax.optim import OPTIMIZERS, SCHEDULES, by_depth, optimizer, schedule


def values(made, steps):
    return np.asarray([made(step) for step in range(steps)])


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_warm_up_is_linear_and_reaches_the_peak(name):
    rise = values(schedule(name, lr=0.1, total_steps=40, warmup_steps=4), 5)
    np.testing.assert_allclose(rise, [0.02, 0.04, 0.06, 0.08, 0.1], rtol=1e-5)


@pytest.mark.smoke
def test_constant_stays():
    np.testing.assert_allclose(values(schedule("constant", lr=0.1, total_steps=9), 9), 0.1)


def test_cosine_falls_along_half_a_period():
    fall = values(schedule("cosine", lr=0.1, total_steps=20, warmup_steps=4), 21)[4:]
    np.testing.assert_allclose(
        fall, 0.05 * (1 + np.cos(np.pi * np.arange(17) / 16)), rtol=1e-5, atol=1e-8
    )


@pytest.mark.parametrize("warmup_steps", [0, 10])
def test_step_drops_at_fractions_of_the_whole_run(warmup_steps):
    made = schedule("step", lr=0.1, total_steps=100, warmup_steps=warmup_steps)
    for step, expected in [(10, 0.1), (49, 0.1), (50, 0.01), (74, 0.01), (75, 0.001), (99, 0.001)]:
        np.testing.assert_allclose(made(step), expected, rtol=1e-5)


def test_step_may_drop_twice_at_once():
    made = schedule("step", lr=0.1, total_steps=3, drops=(0.4, 0.5), drop_factor=0.5)
    np.testing.assert_allclose(values(made, 3), [0.1, 0.1, 0.025], rtol=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_one_step_is_a_run_too(name):
    np.testing.assert_allclose(schedule(name, lr=0.1, total_steps=1)(0), 0.1, rtol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "linear"}, "schedule must be one of constant, cosine, step, got 'linear'"),
        ({"lr": 0.0}, "lr must be positive"),
        ({"total_steps": 0}, "total_steps must be at least 1"),
        ({"warmup_steps": 11}, "warmup_steps must be in 0 … total_steps = 10, got 11"),
        ({"warmup_steps": 6}, "drops must be fractions"),
        ({"drops": (1.5,)}, "drops must be fractions"),
        ({"drop_factor": 1.0}, "drop_factor"),
    ],
)
def test_a_wrong_schedule_is_refused(wrong, message):
    arguments = {"name": "step", "lr": 0.1, "total_steps": 10, **wrong}
    with pytest.raises(ValueError, match=message):
        schedule(arguments.pop("name"), **arguments)


def run(made, gradients, params):
    """The parameters after each gradient."""
    state, path = made.init(params), []
    for gradient in gradients:
        updates, state = made.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        path.append(params)
    return path


WEIGHTS = {"kernel": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "bias": jnp.array([0.3, -0.7])}
GRADIENTS = [
    {
        "kernel": jnp.asarray(rng.normal(size=(2, 2)), jnp.float32),
        "bias": jnp.asarray(rng.normal(size=2), jnp.float32),
    }
    for rng in map(np.random.default_rng, range(3))
]


def by_formula(update, *, lr=0.01, l2=0.0, decoupled=0.0):
    """Run an update rule written in NumPy over the gradients; decay the kernel alone."""
    finals = {}
    for name, value in WEIGHTS.items():
        w, memory = np.asarray(value, np.float64), {}
        decays = name == "kernel"
        for step, gradients in enumerate(GRADIENTS, start=1):
            g = np.asarray(gradients[name], np.float64) + l2 * decays * w
            w = w - lr * (update(g, memory, step) + decoupled * decays * w)
        finals[name] = w
    return finals


def adam(g, memory, step):
    memory["m"] = 0.9 * memory.get("m", 0.0) + 0.1 * g
    memory["v"] = 0.999 * memory.get("v", 0.0) + 0.001 * g**2
    m, v = memory["m"] / (1 - 0.9**step), memory["v"] / (1 - 0.999**step)
    return m / (np.sqrt(v) + 1e-8)


def rmsprop(g, memory, step):
    memory["v"] = 0.9 * memory.get("v", 0.0) + 0.1 * g**2
    return g / np.sqrt(memory["v"] + 1e-7)


def sgd(g, memory, step):
    memory["m"] = 0.8 * memory.get("m", 0.0) + g
    return memory["m"]


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adam", by_formula(adam, l2=0.1)),
        ("adamw", by_formula(adam, decoupled=0.1)),
        ("rmsprop", by_formula(rmsprop, l2=0.1)),
        ("sgd", by_formula(sgd, l2=0.1)),
    ],
)
def test_each_optimizer_follows_its_formula(name, expected):
    made = optimizer(name, 0.01, weight_decay=0.1, momentum=0.8)
    final = run(made, GRADIENTS, WEIGHTS)[-1]
    for leaf, value in expected.items():
        np.testing.assert_allclose(final[leaf], value, rtol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_equals_optax_alias(name):
    alias = {
        "adam": optax.adam(0.01),
        "adamw": optax.adamw(0.01, weight_decay=0.0),
        "rmsprop": optax.rmsprop(0.01, decay=0.9, eps=1e-7),
        "sgd": optax.sgd(0.01, momentum=0.9),
    }[name]
    ours, theirs = (run(m, GRADIENTS, WEIGHTS)[-1] for m in (optimizer(name, 0.01), alias))
    for leaf in WEIGHTS:
        np.testing.assert_array_equal(ours[leaf], theirs[leaf])


def test_gradients_are_clipped_by_their_global_norm():
    made = optimizer("sgd", 1.0, momentum=0.0, clip_norm=0.5)
    (after,) = run(made, GRADIENTS[:1], WEIGHTS)
    moved = {name: after[name] - WEIGHTS[name] for name in WEIGHTS}
    np.testing.assert_allclose(optax.tree.norm(moved), 0.5, rtol=1e-5)


def test_the_schedule_is_followed():
    made = optimizer("sgd", schedule("step", lr=0.1, total_steps=2, drops=(0.5,)), momentum=0.0)
    first, second = run(made, GRADIENTS[:2], WEIGHTS)
    np.testing.assert_allclose(
        first["bias"] - second["bias"], 0.01 * GRADIENTS[1]["bias"], rtol=1e-4
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": "lion"}, "optimizer must be one of adam, adamw, rmsprop, sgd, got 'lion'"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"momentum": 1.0}, "momentum"),
        ({"clip_norm": 0.0}, "clip_norm must be positive, got 0.0; None never clips"),
    ],
)
def test_a_wrong_optimizer_is_refused(wrong, message):
    arguments = {"name": "sgd", **wrong}
    with pytest.raises(ValueError, match=message):
        optimizer(arguments.pop("name"), 0.1, **arguments)


DEPTHS = {"head": 0, "late": 1, "early": 2}


def test_earlier_parameters_change_later_and_less():
    """By hand: depth d is divided by 2**d, and waits for 3 d steps."""
    params = {name: jnp.zeros(()) for name in DEPTHS}
    slow = by_depth(lambda _: DEPTHS, deepest=2, decay=2.0, unfreeze_every=3)
    transform = optax.chain(optax.sgd(1.0), slow)
    state, moved = transform.init(params), []
    for _ in range(7):
        updates, state = transform.update({name: jnp.ones(()) for name in DEPTHS}, state, params)
        moved.append([-float(updates[name]) for name in DEPTHS])
    assert moved == 3 * [[1, 0, 0]] + 3 * [[1, 0.5, 0]] + [[1, 0.5, 0.25]]


def test_without_decay_and_freezing_depth_changes_nothing():
    updates = {name: jnp.full((), 0.3) for name in DEPTHS}
    transform = by_depth(lambda _: DEPTHS, deepest=2, decay=1.0)
    found, _ = transform.update(updates, transform.init(updates))
    assert found == updates


def test_by_depth_refuses_what_would_speed_up_or_go_back():
    with pytest.raises(ValueError, match=r"decay must be at least 1, got 0\.5"):
        by_depth(lambda _: DEPTHS, deepest=2, decay=0.5)
    with pytest.raises(ValueError, match="unfreeze_every must be at least 0, got -1"):
        by_depth(lambda _: DEPTHS, deepest=2, unfreeze_every=-1)
