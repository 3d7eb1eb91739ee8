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

from absl import flags
from ml_collections import config_flags

from logogan_jax.core import cli, files, installation, progress
from logogan_jax.core.errors import UserError
from logogan_jax.tune import gpu_assignment, journal_lock, report, scheduler, search_space
from logogan_jax.tune import search as plans

_PARTS = ("trials", "logs", "locks")  # of the folder of a study
TRAIN = plans.TRAIN  # the command that trains; tests give another


def define():
    """The flags of the command."""
    config_flags.DEFINE_config_file("config", None, "what to tune: a file of configs/", lock_config=True)
    flags.DEFINE_string("workdir", None, "folder of the study; default: runs/tune-<config name>")
    flags.DEFINE_integer("trials", 40, "trials of the study in all, those that there are included", lower_bound=1)
    flags.DEFINE_integer("jobs", None, "trials at a time; default: one for each GPU, one on a CPU", lower_bound=1)


def main():
    """The command."""
    try:
        from logogan_jax.tune import study as studies
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise UserError(f"tuning needs optuna: {installation.install_command('tune')}") from None

    plan = _plan()
    plans.check(plan)
    if "://" in (flags.FLAGS.workdir or ""):
        raise UserError(f"--workdir={flags.FLAGS.workdir}: a study needs a folder of this machine, or a shared one")
    folder = pathlib.Path(flags.FLAGS.workdir or f"runs/tune-{pathlib.Path(plan.file).stem}").expanduser()
    _prepare(folder, plan)
    study, gpus, total = studies.Study(folder, plan), gpu_assignment.list_gpus(), flags.FLAGS.trials
    environments = gpu_assignment.assign_gpus(gpus, flags.FLAGS.jobs or max(1, len(gpus)))

    def write_report():
        trials = study.trials()
        page = report.render_page(plan, folder, trials, total=total, importance=study.param_importance())
        with study.exclusive(), files.atomic_write(folder / "report.html") as partial:
            partial.write_text(page)

    write_report()
    with progress.Bar("trial", total, unit="trials") as bar:
        bar.say(f"{len(plan.ranges)} keys, {len(environments)} at a time, in {folder}; see {folder / 'report.html'}")
        scheduler.run_study(study, plan, folder, trials=total, environments=environments, bar=bar, report=write_report)
    write_report()
    print(report.summarize(plan, folder, study.trials()))


def _plan():
    flag = flags.FLAGS["config"]
    file, given = config_flags.get_config_filename(flag), dict(config_flags.get_override_values(flag))
    base = _flat(flags.FLAGS.config.to_dict())
    return plans.Plan(file, base, given, search_space.read_ranges(file, base, fixed=given), TRAIN)


def _flat(tree, prefix=""):
    flat = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _prepare(folder, plan):
    """Make the folder of a study, or see that it is one of the same plan."""
    try:
        for part in _PARTS:
            (folder / part).mkdir(parents=True, exist_ok=True)
        with journal_lock.hold_lock(folder / "locks" / "study"):
            foreign = [path.name for path in sorted(folder.iterdir()) if path.name not in _PARTS]
            if foreign and not (folder / "study.json").exists():
                raise UserError(f"--workdir={folder} holds {foreign[0]} but no study (no study.json): choose another")
            plans.save_or_compare(plan, folder / "study.json")
    except OSError as error:
        raise UserError(f"--workdir={folder} cannot be written ({error.strerror}): choose another") from None


def command() -> None:
    """Run this module as the command logogan-tune."""
    cli.run(main, define, required=["config"])


if __name__ == "__main__":
    command()
