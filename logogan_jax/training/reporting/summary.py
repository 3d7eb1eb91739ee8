"""How a run went, in numbers: summary.json."""

import platform

import jax

import logogan_jax
from logogan_jax.core import files


def write(run, seconds, **ending):
    """Write summary.json of a run whose loop took some seconds and ended so -> its contents."""
    images = run.dispatch.done * run.config.train.batch_size * run.made.model.objective.real_batches_per_step
    device = run.made.parallel.devices[0]
    result = {
        **ending,
        "steps": run.config.train.steps,
        "seconds": run.reporter.seconds + seconds,
        "evaluation_seconds": run.watch.seconds,
        "images_per_second": images / (seconds - run.watch.seconds),
        **run.watch.summary(),
        **({"cost": {"dollars": run.budget.spent(), "dollars_per_hour": run.budget.price}} if run.budget.price else {}),
        "events": run.reporter.events,
        "processes": jax.process_count(),
        "devices": len(run.made.parallel.devices),
        "device_kind": device.device_kind,
        "versions": {
            "logogan_jax": logogan_jax.__version__,
            "python": platform.python_version(),
            "jax": jax.__version__,
        },
        "data_fingerprint": run.made.about.fingerprint,
    }
    files.write_json(run.workdir / "summary.json", result)
    return result
