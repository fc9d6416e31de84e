"""Tables and curves of a study, from the result.json of its finished runs."""
import json
import math
from statistics import fmean, stdev

# 0.975 quantiles of Student's t for 1 to 30 degrees of freedom; source: NIST/SEMATECH
# e-Handbook of Statistical Methods, section 1.3.6.7.2. The last one serves for more.
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)


def summarize(values):
    """Mean of some numbers and half of its 95 % confidence interval, None for one number."""
    half = None
    if len(values) > 1:
        quantile = T_QUANTILES[min(len(values) - 1, len(T_QUANTILES)) - 1]
        half = quantile * stdev(values) / math.sqrt(len(values))
    return dict(mean=fmean(values), interval=half, values=values)


def mean_curve(runs):
    """Mean of the probes during the training, at the points that all runs of a variant have.

    Returns:
        list[dict]: ``samples`` and ``metrics``, as in ``probes.json``.
    """
    curves = [{entry['samples']: entry['metrics'] for entry in run['curve']} for run in runs]
    common = sorted(set.intersection(*map(set, curves))) if curves else []
    return [dict(samples=samples, metrics={
        name: fmean(curve[samples][name] for curve in curves)
        for name in curves[0][samples]}) for samples in common]


def summarize_study(work_dir, variants, metrics=None):
    """Means and intervals over the seeds.

    Args:
        work_dir (Path): Has ``VARIANT/seedN/result.json`` of the finished runs.
        variants (Iterable[str]): Their names.
        metrics (list[str], optional): Names for the table. Defaults to None: all.

    Returns:
        dict: ``metrics``, those of the names that a run reported; ``missing``, the others;
        ``reported``, all that the runs reported; ``variants``: name -> ``seeds``, ``samples``,
        ``minutes``, ``images_per_second`` and ``metrics`` (see :func:`summarize`), ``curve``.
    """
    reported, rows = set(), {}
    for variant in variants:
        runs = [json.loads(path.read_text())
                for path in (work_dir / variant).glob('seed*/result.json')]
        runs.sort(key=lambda run: run['seed'])
        values = {}
        for run in runs:
            for name, value in run['metrics'].items():
                values.setdefault(name, []).append(value)
        speeds = [run['images_per_second'] for run in runs if run['images_per_second']]
        reported |= set(values)
        rows[variant] = dict(
            seeds=[run['seed'] for run in runs],
            samples=fmean(run['samples'] for run in runs) if runs else None,
            minutes=fmean(run['seconds'] / 60 for run in runs) if runs else None,
            images_per_second=summarize(speeds) if speeds else None,
            metrics={name: summarize(found) for name, found in values.items()},
            curve=mean_curve(runs))
    wanted = metrics or sorted(reported)
    return dict(metrics=[name for name in wanted if name in reported],
                missing=[name for name in wanted if name not in reported],
                reported=sorted(reported), variants=rows)


def show_value(value):
    """``mean ± half interval`` of :func:`summarize` as text, ``-`` for None."""
    if value is None:
        return '-'
    digits = 1 if abs(value['mean']) >= 2 else 3
    text = f'{value["mean"]:.{digits}f}'
    return text if value['interval'] is None else f'{text} ± {value["interval"]:.{digits}f}'


def markdown_table(summary):
    """A row for each variant, a column for each metric."""
    head = ['variant', 'runs', 'samples', 'minutes', 'images a second', *summary['metrics']]
    rows = [head, ['---'] * len(head)]
    for variant, row in summary['variants'].items():
        numbers = [f'{row["samples"]:,.0f}', f'{row["minutes"]:.1f}'] if row['seeds'] else ['-'] * 2
        rows.append([variant, str(len(row['seeds'])), *numbers,
                     show_value(row['images_per_second']),
                     *(show_value(row['metrics'].get(name)) for name in summary['metrics'])])
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def draw_curves(summary, path):
    """Plot each metric against the samples trained on, if probes ran during a training.

    Variants that are not trained are dashed lines.
    """
    from matplotlib.figure import Figure
    shown = [name for name in summary['metrics'] if any(
        name in entry['metrics'] for row in summary['variants'].values() for entry in row['curve'])]
    if not shown:
        return
    figure = Figure(figsize=(5 * len(shown), 4), layout='constrained')
    for name, axis in zip(shown, figure.subplots(1, len(shown), squeeze=False)[0]):
        for number, (variant, row) in enumerate(summary['variants'].items()):
            points = [(entry['samples'], entry['metrics'][name]) for entry in row['curve']
                      if name in entry['metrics']]
            style = dict(color=f'C{number % 10}', label=variant)
            if points:
                axis.plot(*zip(*points), marker='.', **style)
            elif row['samples'] == 0 and name in row['metrics']:
                axis.axhline(row['metrics'][name]['mean'], linestyle='--', **style)
        axis.set(xlabel='samples trained on', ylabel=name)
        axis.legend(fontsize='x-small')
    figure.savefig(path, dpi=120)


def write_results(work_dir, name, variants, metrics=None):
    """Write ``results.json``, ``.md`` and ``.png``; returns :func:`summarize_study`'s."""
    summary = summarize_study(work_dir, variants, metrics)
    (work_dir / 'results.json').write_text(
        json.dumps(dict(study=name, **summary), indent=1) + '\n')
    (work_dir / 'results.md').write_text(
        f'# {name}\n\nMeans over the runs, ± half of the 95 % confidence interval (Student\'s t).'
        f'\n\n{markdown_table(summary)}', encoding='utf-8')
    draw_curves(summary, work_dir / 'results.png')
    return summary
