"""Optimisers by name, as plain values -> optax transformation."""

import optax


def _decayed(learning_rate, decay):
    # Keras 2's time-based schedule; a decay of 0 is a constant rate.
    return lambda count: learning_rate / (1.0 + decay * count)


def adam(*, learning_rate, b1, b2, decay=0.0):
    """Adam (Kingma & Ba 2015)."""
    return optax.adam(_decayed(learning_rate, decay), b1=b1, b2=b2)


def rmsprop(*, learning_rate, decay=0.0):
    """RMSprop as Keras has it: rho 0.9, accumulator from 0, epsilon outside the root."""
    return optax.rmsprop(_decayed(learning_rate, decay), decay=0.9, eps=1e-7, initial_scale=0.0, eps_in_sqrt=False)


def sgd(*, learning_rate):
    """Plain gradient descent: linear in the gradient, so tests can hold device counts against each other."""
    return optax.sgd(learning_rate)


OPTIMIZERS = {"adam": adam, "rmsprop": rmsprop, "sgd": sgd}
