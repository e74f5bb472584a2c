"""Add an inner method: gradient steps with Polyak's heavy-ball momentum."""

import numpy as np

from sklearn_sqrtlasso.learning.alternating import Method

MOMENTUM = 0.9


def _heavy_ball(search, solver):
    """Take steps with momentum; a step that does not do better is halved.

    Polyak, "Some methods of speeding up the convergence of iteration methods", USSR
    Computational Mathematics and Mathematical Physics 4(5), 1964.
    """
    theta, move = search.theta, np.zeros_like(search.theta)
    value, gradient = search.block.evaluate(theta)
    search.see(theta, value)
    step = solver.step or search.memory.get("step") or search.first_step(gradient)
    for _ in range(solver.n_steps):
        move = theta.dtype.type(MOMENTUM) * move - theta.dtype.type(step) * gradient
        value, gradient = search.block.evaluate(theta + move)
        if search.see(theta + move, value):
            theta = theta + move
        else:
            _, gradient = search.block.evaluate(theta)
            move, step = np.zeros_like(theta), step / 2
    search.memory["step"] = float(step)


METHODS = {
    "heavy_ball": Method(_heavy_ball, "gradient steps with heavy-ball momentum"),
}
