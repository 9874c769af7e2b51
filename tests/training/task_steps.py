"""Training steps of a task by themselves, without the loop."""

import jax

from pixelprior.training.step import make_train_step


def step_of(task, graph, optimizer, *, loss=None, **settings):
    """A compiled step of a task, with averages of the weights over some ten steps."""
    settings = {"ema_decay": 0.9, "key": jax.random.key(0)} | settings
    of_task = {"after_step": task.after_step, "trainable": task.trainable}
    return make_train_step(graph, optimizer, loss or task.loss, **of_task, **settings)
