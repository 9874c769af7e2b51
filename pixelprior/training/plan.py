"""Resources of a run, computed before it starts."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from flax import nnx

from pixelprior.data.words import plural
from pixelprior.system.devices import put_batch
from pixelprior.training.collectives import collective_bytes
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
        exchanged_bytes: data that each device receives from the others in a step, by kind of
            operation, see `collective_bytes`.
        compile_seconds: time to compile the step.
    """

    title: str
    num_devices: int
    num_parameters: int
    flops_per_image: float
    state_bytes: int
    step_bytes: int | None
    exchanged_bytes: Mapping[str, int]
    compile_seconds: float

    def words(self) -> str:
        """Format the plan for people."""
        step = "not known here" if self.step_bytes is None else f"{self.step_bytes / 1e6:,.1f} MB"
        exchanged = ", ".join(
            f"{size / 1e6:,.1f} MB {kind}" for kind, size in self.exchanged_bytes.items()
        )
        return "\n".join(
            [
                f"{self.title}, {plural(self.num_devices, 'device')}",
                f"parameters              {self.num_parameters:,}",
                f"GFLOP per image         {self.flops_per_image / 1e9:,.3f}",
                f"state on each device    {self.state_bytes / 1e6:,.1f} MB",
                f"a step on each device   {step}",
                *([f"exchanged in a step     {exchanged}"] if exchanged else []),
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
    compiled, cost = compile_step(program.step, program.state, batch)
    return Plan(
        task.title,
        mesh.size,
        count_parameters(program.state.weights, task.trainable),
        product_flops(program.step, program.state, batch) / config["batch_size"],
        bytes_on_each_device(program.state),
        cost.memory_bytes,
        collective_bytes(compiled.as_text()),
        cost.compile_seconds,
    )
