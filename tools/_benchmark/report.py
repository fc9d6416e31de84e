"""Report of the results: lines of text and a picture."""
from collections.abc import Iterator

from .step import PHASES


def lines(results: dict) -> Iterator[str]:
    """Lines with all measurements, part by part.

    Args:
        results (dict): Part -> variant -> numbers, with what ``benchmark.py`` adds.
    """
    for part, title, show in (
            ('step', 'step on synthetic input', _step),
            ('loader', 'loader alone; one core: images per second of processor time', _loader),
            ('train', 'training with loader and hooks', _train)):
        if part in results:
            yield f'\n{title}; median (quartiles)'
            for name, numbers in results[part].items():
                for number, line in enumerate(show(numbers)):
                    yield f'  {"" if number else name:<9} {line}'


def _step(numbers: dict) -> Iterator[str]:
    yield f'{_rate(numbers["images_per_second"])}{_ratio(numbers)}, {numbers["precision"]}'
    yield (f'{numbers["flops_per_image"] / 1e9:.1f} GFLOP an image, '
           f'{numbers["flops_per_second"] / 1e12:.3g} TFLOP/s, {numbers["utilisation"]:.1%} of '
           f'the {numbers["matrix_rate"] / 1e12:.3g} of a matrix product')
    peak = numbers['peak_bytes']
    yield (f'memory: state {_size(numbers["state_bytes"])}, peak of a step above it '
           + ('not measured' if peak is None else _size(peak)))
    yield ', '.join(f'{phase} {numbers["breakdown"][phase]["share"]:.1%}' for phase in PHASES)


def _loader(numbers: dict) -> Iterator[str]:
    yield (f'one core: {_rate(numbers["per_core"])}{_ratio(numbers)}, '
           f'{numbers["bytes_per_sample"] / 1e6:.3f} MB a sample')
    many = numbers['with_workers']
    yield f'{numbers["workers"]} workers' + (f': {_rate(many)}' if many else '')


def _train(numbers: dict) -> Iterator[str]:
    yield (f'{_rate(numbers["images_per_second"])}, waiting for data '
           f'{numbers["waiting_share"]:.1%} of the time')


def _rate(numbers: dict) -> str:
    low, high = numbers['quartiles']
    return f'{numbers["median"]:.4g} images/s ({low:.4g} to {high:.4g})'


def _ratio(numbers: dict) -> str:
    """Ratio of adjacent steps or batches; empty for the baseline."""
    if 'ratio' not in numbers:
        return ''
    low, high = numbers['ratio']['quartiles']
    return f', {numbers["ratio"]["median"]:.3g} times the baseline ({low:.3g} to {high:.3g})'


def _size(count: int) -> str:
    return f'{count / 2**30:.2f} GiB' if count >= 2**30 else f'{count / 2**20:.1f} MiB'


def draw(results: dict, path: str) -> None:
    """Write a picture: images/s of each part, and the seconds of each phase of the step.

    Args:
        results (dict): See :func:`lines`.
        path (str): PNG file.
    """
    # the object interface, because pyplot searches for a display
    from matplotlib.figure import Figure
    parts = [(title, results[part], key) for part, key, title in (
        ('step', 'images_per_second', 'step, synthetic input'),
        ('loader', 'per_core', 'loader, one core'),
        ('train', 'images_per_second', 'training, end to end')) if part in results]
    panels = len(parts) + ('step' in results)
    figure = Figure(figsize=(1.5 + 3.2 * panels, 2.6), layout='constrained')
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for axis, (title, found, key) in zip(axes, parts):
        medians = [numbers[key]['median'] for numbers in found.values()]
        bars = [[abs(numbers[key]['quartiles'][side] - median)
                 for numbers, median in zip(found.values(), medians)] for side in (0, 1)]
        axis.barh(list(found), medians, xerr=bars, capsize=3)
        axis.set_title(title, fontsize=8)
        axis.set_xlabel('images/s', fontsize=8)
    if 'step' in results:
        for name, numbers in results['step'].items():
            start = 0.
            for number, phase in enumerate(PHASES):
                length = numbers['breakdown'][phase]['median']
                axes[-1].barh([name], [length], left=[start], color=f'C{number}', label=phase)
                start += length
        axes[-1].set_title('phases of a step', fontsize=8)
        axes[-1].set_xlabel('seconds', fontsize=8)
        handles, labels = axes[-1].get_legend_handles_labels()
        figure.legend(handles[:len(PHASES)], labels[:len(PHASES)], fontsize=6,
                      loc='outside lower center', ncols=len(PHASES))
    axes[0].invert_yaxis()
    machine = results['machine']
    figure.suptitle(f'{machine["device"]}, {machine["processor"]}, {machine["threads"]} '
                    f'threads, batch {results["images"]}', fontsize=9)
    figure.savefig(path, dpi=110)
