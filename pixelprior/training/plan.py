"""What a run will need, known before it is begun."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx

from pixelprior.system.devices import put_batch
from pixelprior.training.flops import product_flops
from pixelprior.training.layout import bytes_on_each_device
from pixelprior.training.program import make_program
from pixelprior.training.step import compile_step, count_parameters
from pixelprior.training.task import Task


class Plan(NamedTuple):
    """What a run will need.

    Attributes:
        title: what it is about.
        num_devices: how many devices it is spread over.
        num_parameters: numbers that gradients move.
        flops_per_image: floating-point operations of a step's products, see `product_flops`.
        state_bytes: on each device: weights, their average, and the optimizer's state.
        step_bytes: on each device: all that a step needs, the state included; None if the backend
            does not tell.
        compile_seconds: how long the step took to compile.
    """

    title: str
    num_devices: int
    num_parameters: int
    flops_per_image: float
    state_bytes: int
    step_bytes: int | None
    compile_seconds: float

    def words(self) -> str:
        """For people."""
        step = "not known here" if self.step_bytes is None else f"{self.step_bytes / 1e6:,.1f} MB"
        return "\n".join(
            [
                f"{self.title}, {self.num_devices} device(s)",
                f"parameters              {self.num_parameters:,}",
                f"GFLOP per image         {self.flops_per_image / 1e9:,.3f}",
                f"state on each device    {self.state_bytes / 1e6:,.1f} MB",
                f"a step on each device   {step}",
                f"seconds to compile      {self.compile_seconds:.1f}",
            ]
        )


def make_plan(task: Task, config: Mapping[str, Any], mesh: jax.sharding.Mesh) -> Plan:
    """Compiles the step of a run, for shapes alone: no weight is made, none is moved.

    Args:
        task: what is to be trained.
        config: see `pixelprior.experiment.TASKS`.
        mesh: the devices.
    """
    graph, weights = nnx.split(nnx.eval_shape(task.make))
    program = make_program(task, config, graph, weights, mesh)
    batch = put_batch(next(task.batches(0)), mesh)
    _, cost = compile_step(program.step, program.state, batch)
    return Plan(
        task.title,
        mesh.size,
        count_parameters(program.state.weights, task.trainable),
        product_flops(program.step, program.state, batch) / config["batch_size"],
        bytes_on_each_device(program.state),
        cost.memory_bytes,
        cost.compile_seconds,
    )
