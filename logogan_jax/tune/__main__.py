"""Tune: python -m logogan_jax.tune --config=configs/wgan56.py --trials=40 [--jobs=2] [--config.train.steps=4000].

Every trial is an ordinary run of `logogan_jax.main` with other values of some keys (logogan_jax/tune/search_space.py),
judged by the KID of its evaluations; what is worse than most is stopped early. A key that is given on the command
line stays as given. The same command goes on with a study; from a second terminal or machine it joins in.

All trials have the same seed, hence the same first weights (where sizes agree), order of images and latents of the
evaluations: what differs between two KIDs is then less the luck of the draw and more the values that are compared.
Tuning the seed too would choose luck. The price is that the best may owe something to this seed, and the lowest of
many noisy numbers is too low by nature; the interval is that of the measurement alone. The report says so, beside
the command that trains the best.
"""

import pathlib
from typing import Any

from absl import flags
from ml_collections import config_flags

from logogan_jax.core import cli, files, installation, locks, nested, progress
from logogan_jax.core.errors import UserError
from logogan_jax.tune import gpu_assignment, report, search, search_space

_FOLDERS = ("trials", "logs", "locks")  # in the folder of a study


def define() -> None:
    """Define the flags of the command."""
    config_flags.DEFINE_config_file("config", None, "what to tune: a file of configs/", lock_config=True)
    flags.DEFINE_string("workdir", None, "folder of the study; default: runs/tune-<config name>")
    flags.DEFINE_integer("trials", 40, "trials of the study in all, with those that there are", lower_bound=1)
    flags.DEFINE_integer("jobs", None, "trials at a time; default: one for each GPU, one on a CPU", lower_bound=1)


def main(train: tuple[str, ...] = search.TRAIN) -> None:
    """Run the command; `train` is the command of its trials."""
    try:
        from logogan_jax.tune import scheduler
        from logogan_jax.tune.study import Study
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise UserError(f"tuning needs optuna: {installation.install_command('tune')}") from None

    plan = _plan(train)
    search.check(plan)
    folder = _folder(plan)
    _prepare(folder, plan)
    study = Study(folder, plan)
    total = flags.FLAGS.trials
    gpus = gpu_assignment.list_gpus()
    environments = gpu_assignment.assign_gpus(gpus, flags.FLAGS.jobs or max(1, len(gpus)))

    def write_report() -> None:
        trials = study.trials()
        page = report.render_page(plan, folder, trials, total=total, importance=study.param_importance())
        with study.exclusive(), files.atomic_write(folder / "report.html") as partial:
            partial.write_text(page, encoding="utf-8")

    write_report()
    with progress.Bar("trial", total, unit="trials") as bar:
        bar.say(f"{len(plan.ranges)} keys, {len(environments)} at a time, in {folder}; see {folder / 'report.html'}")
        scheduler.run_study(study, plan, folder, trials=total, environments=environments, bar=bar, report=write_report)
    write_report()
    print(report.summarize(plan, folder, study.trials()))


def _plan(train: tuple[str, ...]) -> search.Plan:
    """Return the Plan of the command line."""
    flag: Any = flags.FLAGS["config"]
    file = config_flags.get_config_filename(flag)
    overrides = dict(config_flags.get_override_values(flag))
    base = nested.flatten(flags.FLAGS.config.to_dict())
    return search.Plan(file, base, overrides, search_space.read_ranges(file, base, fixed=overrides), train)


def _folder(plan: search.Plan) -> pathlib.Path:
    """Return the folder of the study."""
    workdir = flags.FLAGS.workdir or f"runs/tune-{pathlib.Path(plan.file).stem}"
    if "://" in workdir:
        raise UserError(f"--workdir={workdir}: a study needs a folder of this machine, or a shared one")
    return files.expand(workdir)


def _prepare(folder: pathlib.Path, plan: search.Plan) -> None:
    """Make the folder of a study; raise a UserError if it holds something else, or a study of another plan."""
    try:
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        with locks.hold_lock(folder / "locks" / "study"):
            others = [path.name for path in sorted(folder.iterdir()) if path.name not in _FOLDERS]
            if others and not (folder / "study.json").exists():
                raise UserError(f"--workdir={folder} holds {others[0]} but no study (no study.json): choose another")
            search.save_or_compare(plan, folder / "study.json")
    except OSError as error:
        raise UserError(f"--workdir={folder} cannot be written ({error.strerror}): choose another") from None


def command() -> None:
    """Run this module as the command logogan-tune."""
    cli.run(main, define, required=["config"])


if __name__ == "__main__":
    command()
