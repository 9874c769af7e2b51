"""Resources of a run, computed before it starts."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx

from pixelprior.data.words import plural
from pixelprior.system.devices import put_batch
from pixelprior.training.flops import product_flops
from pixelprior.training.layout import bytes_on_each_device
from pixelprior.training.program import make_program
from pixelprior.training.step import compile_step, count_parameters
from pixelprior.training.task import Task


class Plan(NamedTuple):
    """Resources that a run needs.

    Attributes:
        title: description of the data.
        num_devices: number of devices of the run.
        num_parameters: number of trainable parameters.
        flops_per_image: floating-point operations of a step's products per image, see
            `product_flops`.
        state_bytes: memory on each device for the weights, their average, and the optimizer's
            state.
        step_bytes: memory on each device for a step, including the state; None if the backend does
            not report it.
        compile_seconds: time to compile the step.
    """

    title: str
    num_devices: int
    num_parameters: int
    flops_per_image: float
    state_bytes: int
    step_bytes: int | None
    compile_seconds: float

    def words(self) -> str:
        """Format the plan for people."""
        step = "not known here" if self.step_bytes is None else f"{self.step_bytes / 1e6:,.1f} MB"
        return "\n".join(
            [
                f"{self.title}, {plural(self.num_devices, 'device')}",
                f"parameters              {self.num_parameters:,}",
                f"GFLOP per image         {self.flops_per_image / 1e9:,.3f}",
                f"state on each device    {self.state_bytes / 1e6:,.1f} MB",
                f"a step on each device   {step}",
                f"seconds to compile      {self.compile_seconds:.1f}",
            ]
        )


def make_plan(task: Task, config: Mapping[str, Any], mesh: jax.sharding.Mesh) -> Plan:
    """Compile the step of a run for shapes alone: no weight is made, none is moved.

    Args:
        task: task to train.
        config: see `pixelprior.experiment.TASKS`.
        mesh: the devices.
    """
    graph, weights = nnx.split(nnx.eval_shape(task.make))
    program = make_program(task, config, graph, weights, mesh)
    batch = put_batch(next(task.batches()), mesh)
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
