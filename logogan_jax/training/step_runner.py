"""Compiled programs of several training steps, run one ahead of the host."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from logogan_jax.core import timing
from logogan_jax.data.sources import Source
from logogan_jax.distributed.data_parallel import REPLICATED, DataParallel
from logogan_jax.training import cpu_estimate, flops, metric_rows
from logogan_jax.training.metric_rows import MetricRows
from logogan_jax.training.schedule import Schedule
from logogan_jax.training.train_state import TrainState
from logogan_jax.training.train_step import TrainStep

QUICKSTART = "python -m logogan_jax.main --config=configs/quickstart.py"


class StopRequest(Protocol):
    """Whoever may ask a run to stop."""

    def requested(self, step: int) -> bool:
        """Return whether to stop at a step; asked once at every step that a dispatch ends with."""
        ...


class CompiledStep(NamedTuple):
    """A compiled program of some steps, and the seconds that tracing and compiling it took."""

    run: jax.stages.Compiled
    tracing: float
    compiling: float


class Dispatched(NamedTuple):
    """What one program left: the step it ended with, the metrics of its steps, and a snapshot if one was due."""

    step: int
    metrics: MetricRows
    snapshot: Any


class StepRunner:
    """Compiles a train step, `steps_per_dispatch` steps in one program, and runs it.

    Attributes:
        source: where the batches come from; for `program` alone, the class of it is enough.
        layout: how the state lies on the devices, as `train_state.layout` says.
        steps_per_dispatch: steps of a program; the last of a run may have fewer.
        steps_run: steps run so far.
    """

    def __init__(
        self,
        train_step: TrainStep,
        source: Source | type[Source],
        parallel: DataParallel,
        layout: Any = REPLICATED,
        *,
        steps_per_dispatch: int,
        unroll: bool,
        say: Callable[[str], None],
    ):
        self.source: Any = source
        self.layout = layout
        self.steps_per_dispatch = steps_per_dispatch
        self.steps_run = 0
        self._train_step = train_step
        self._parallel = parallel
        self._unroll = unroll
        self._say = say
        self._programs: dict[int, Any] = {}
        self._compiled: dict[int, CompiledStep] = {}
        self._last_metrics: MetricRows | None = None
        self._state: Any = None  # a TrainState from the first `restart` on
        self._step = 0
        self._restarted = False
        self._stopping = False

    def program(self, count: int) -> Any:
        """Return the program of `count` steps, a function (state, feed) -> (state, metrics) to compile or to call."""
        # Few lengths occur: the whole one, and what is left up to a multiple or to the end.
        if count not in self._programs:
            multi_step = make_multi_step(self._train_step, self.source, count, unroll=self._unroll)
            self._programs[count] = self._parallel.map_and_jit(
                multi_step, self.source.specs, state=self.layout, results=(self.layout, REPLICATED)
            )
        return self._programs[count]

    def size(self, step: int, last: int) -> int:
        """Return how many steps the program that follows a step has.

        Programs end at multiples of steps_per_dispatch, so a resumed run dispatches the same ones.
        """
        return min(self.steps_per_dispatch - step % self.steps_per_dispatch, last - step)

    def compile(self, state: TrainState, step: int, last: int) -> CompiledStep:
        """Return the compiled program that follows a step, compiled on first use; `state` is only looked at."""
        count = self.size(step, last)
        if count not in self._compiled:
            # Only its shapes and its layout matter here.
            feed = self.source.at(step, count)
            began = time.perf_counter()
            program = self.program(count)
            # Compiled ahead of time, so that the first step's time is not the compiler's, and a shape that changes is
            # an error instead of a silent second compilation.
            lowered = program.lower(state, feed)
            tracing = time.perf_counter() - began
            # Said once, before the compiler's work: whoever wants something quicker can stop now.
            if not self._compiled and self._parallel.devices[0].platform == "cpu":
                self._say(_duration_hint(flops.count_flops(program, state, feed) / count, last - step))
            began = time.perf_counter()
            compiled = lowered.compile()
            compiling = time.perf_counter() - began
            self._say(f"Compiled in {timing.format_duration(compiling)}.")
            self._compiled[count] = CompiledStep(compiled, tracing, compiling)
        return self._compiled[count]

    def discard_compiled(self) -> None:
        """Let the next call of `compile` trace and compile again."""
        self._programs = {}
        self._compiled = {}

    def run(self, state: TrainState, step: int, last: int) -> tuple[TrainState, MetricRows]:
        """Dispatch the program that follows a step, which takes the buffers of `state`.

        Returns:
            The state after it and the metrics of its steps, which the devices may still be computing.
        """
        count = self.size(step, last)
        compiled = self.compile(state, step, last)
        state, metrics = compiled.run(state, self.source.at(step, count))
        # The host stays at most one dispatch ahead, so that a request to stop is heard at once. It waits after the next
        # dispatch, not before it: the devices always have a program to go on with.
        jax.block_until_ready(self._last_metrics)
        self._last_metrics = metrics
        self.steps_run += count
        return state, metrics

    def lookahead(
        self,
        state: TrainState,
        step: int,
        schedule: Schedule,
        stop: StopRequest,
        snapshot: Callable[[TrainState], Any],
    ) -> Iterator[Dispatched]:
        """Run from a step to the last of the schedule, or to a request to stop; yield what each program leaves.

        While the caller deals with one, the devices run the next, except where an evaluation is due: it has the
        devices to itself. `snapshot(state)` is computed by the devices where anything is due, since the next program
        takes the state's buffers. `restart`, called meanwhile, discards the program that is running.
        """
        self.restart(state, step)
        self._stopping = False
        dispatched = None
        # The last turn dispatches nothing: it yields what the last program left.
        while dispatched or self._goes_on(schedule):
            # The seconds of an evaluation are left out of the pace, so no step may run beside it.
            alone = dispatched is not None and schedule.evaluate(dispatched.step)
            following = None
            if self._goes_on(schedule) and not alone:
                following = self.run(self._state, self._step, schedule.last)
            # Reset only now: from here on it tells whether the caller, who gets `dispatched`, asks for a restart.
            self._restarted = False
            if dispatched:
                yield dispatched
            dispatched = None
            # After a roll-back what the devices have computed meanwhile belongs to no run.
            if following and not self._restarted:
                dispatched = self._advance(*following, schedule, stop, snapshot)

    def restart(self, state: TrainState, step: int) -> None:
        """Let the next program start from this state."""
        self._state = state
        self._step = step
        self._restarted = True

    @property
    def state(self) -> TrainState:
        """The state after the last program that `lookahead` has yielded."""
        return self._state

    @property
    def step(self) -> int:
        """The step of that state."""
        return self._step

    def _goes_on(self, schedule: Schedule) -> bool:
        return self._step < schedule.last and not self._stopping

    def _advance(self, state, metrics, schedule, stop, snapshot) -> Dispatched:
        self._step += self.size(self._step, schedule.last)
        self._state = state
        # Asked here and nowhere else: a request that comes later waits for the next step, which is then saved.
        self._stopping = stop.requested(self._step)
        # What was trained until now is saved, whatever the periods say.
        if self._stopping:
            schedule.save_next()
        # Asked of the devices before the next program, which takes the buffers of this state.
        taken = snapshot(state) if schedule.any(self._step) else None
        return Dispatched(self._step, metrics, taken)


def make_multi_step(train_step: TrainStep, source: Any, count: int, *, unroll: bool) -> Callable:
    """Make multi_step(state, feed) -> (state, MetricRows): `count` steps of one replica in one program.

    `source.batch(feed, i)` is the batch of the i-th of these steps. Accelerators scan them, so that one step is
    compiled, however many there are. A CPU unrolls them: inside a while loop XLA's CPU backend does not use its fast
    convolution (five filter gradients took 1,345 ms, unrolled 42).
    """

    if unroll or count == 1:

        def multi_step(state: TrainState, feed: Any) -> tuple[TrainState, MetricRows]:
            # Metrics of each step, not their mean: the first number that is not finite has to be found.
            rows = []
            for i in range(count):
                # Inside of the program: where the images lie on the devices, only their numbers come from the host.
                state, metrics = train_step(state, source.batch(feed, i))
                rows.append(metric_rows.row(metrics))
            return state, jax.tree.map(lambda *rows: jnp.stack(rows), *rows)

    else:

        def multi_step(state: TrainState, feed: Any) -> tuple[TrainState, MetricRows]:
            def body(state: TrainState, i: jax.Array) -> tuple[TrainState, MetricRows]:
                state, metrics = train_step(state, source.batch(feed, i))
                return state, metric_rows.row(metrics)

            return jax.lax.scan(body, state, jnp.arange(count))

    return multi_step


def _duration_hint(flops_per_step: float, steps: int) -> str:
    """Return how long the steps will take on this CPU, in words, and what is quicker if that is long."""
    # The loop forbids transfers that nobody asked for; this measurement makes some.
    with jax.transfer_guard("allow"):
        seconds = cpu_estimate.seconds(flops_per_step) * steps
    hint = f" Logos in minutes: {QUICKSTART}" if seconds > 3600 else ""
    return f"On this CPU {steps:,} steps should take about {timing.format_duration(seconds)}.{hint}"
