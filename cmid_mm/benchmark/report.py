"""The results for people: lines and a picture."""
from collections.abc import Iterator

from .breakdown import PHASES


def lines(results: dict) -> Iterator[str]:
    """Everything that was measured, part by part.

    Args:
        results (dict): Of ``measure``.
    """
    parts = dict(step=_step, loader=_loader, train=_train, start=_start,
                 attention=_attention)
    for part, show in parts.items():
        if part in results:
            yield ''
            yield from show(results[part])
    for reason in results.get('not_measured', []):
        yield f'not measured: {reason}'


def _step(found: dict) -> Iterator[str]:
    yield 'step on synthetic input (median, quartiles; ratio of neighbouring steps)'
    width = max(map(len, found))
    for name, numbers in found.items():
        peak = numbers['peak_bytes']
        yield (f'  {name:<{width}}  {_rate(numbers["images_per_second"])}'
               + (f', {_ratio(numbers["ratio"])}' if 'ratio' in numbers else '')
               + f', {numbers["precision"]}')
        yield (f'  {"":<{width}}  {numbers["flops_per_image"] / 1e9:.1f} GFLOP an image, '
               f'{numbers["flops_per_second"] / 1e12:.3g} TFLOP/s, '
               f'{numbers["utilisation"]:.1%} of a matrix product\'s '
               f'{numbers["matrix_rate"] / 1e12:.3g}')
        yield (f'  {"":<{width}}  memory: {_size(numbers["state_bytes"])} stay, '
               + ('a step\'s peak could not be measured' if peak is None else
                  f'{_size(peak)} more at the peak of a step ({numbers["peak_meaning"]})'))
        shares = ', '.join(f'{phase} {numbers["breakdown"][phase]["share"]:.1%}'
                           for phase in PHASES)
        yield f'  {"":<{width}}  {shares}'
        yield f'  {"":<{width}}  {waits(numbers["waiting"], numbers["waits_by_cuda"])}'


def waits(places: dict, by_cuda: int | None, most: int = 4) -> str:
    """What a step waits for, in a line.

    Args:
        places (dict[str, int]): Of ``waiting_places``.
        by_cuda (int, optional): Of ``waits_by_cuda``.
        most (int): So many places are named. Defaults to 4.
    """
    names = [f'{count} x {place}' for place, count in places.items()]
    if len(names) > most:
        names[most:] = [f'{len(names) - most} other places']
    count = sum(places.values())
    told = '' if by_cuda is None else f'; CUDA reports {by_cuda}'
    return (f'{count} {"call makes" if count == 1 else "calls make"} the host wait for an '
            f'accelerator{told}' + ''.join(f'; {name}' for name in names))


def _loader(found: dict) -> Iterator[str]:
    yield ('loader alone (one core: images a second of processor time, no workers, one '
           'thread, variants in turn)')
    width = max(map(len, found))
    for name, numbers in found.items():
        yield (f'  {name:<{width}}  one core: {_rate(numbers["per_core"])}'
               + (f', {_ratio(numbers["ratio"])}' if 'ratio' in numbers else '')
               + f', {numbers["bytes_per_sample"] / 1e6:.3f} MB a sample')
        many = numbers['with_workers']
        if many is None:
            yield f'  {"":<{width}}  no workers in the config'
            continue
        processor = ('' if many['per_cpu_second'] is None else
                     f', {many["per_cpu_second"]:.1f} a second of processor time')
        yield (f'  {"":<{width}}  {numbers["workers"]} workers: '
               f'{_rate(many["images_per_second"])}, {many["per_worker"]:.1f} each{processor}')


def _train(found: dict) -> Iterator[str]:
    yield 'training with loader and hooks (one variant after the other; loader of the config)'
    width = max(map(len, found))
    for name, numbers in found.items():
        yield (f'  {name:<{width}}  {_rate(numbers["images_per_second"])}, waiting for data '
               f'{numbers["waiting_share"]:.1%} of the time')


def _start(found: dict) -> Iterator[str]:
    yield 'start, seconds in fresh processes'
    width = max(map(len, found))
    for name, stages in found.items():
        told = ', '.join(f'{stage.replace("_", " ")} {numbers["median"]:.2f}'
                         for stage, numbers in stages.items())
        yield f'  {name:<{width}}  {told}'


def _attention(found: dict) -> Iterator[str]:
    yield (f'window attention alone, without its linear layers, forward and backward, '
           f'{found["precision"]} (written out and fused in turn)')
    width = max(map(len, found['stages']))
    for name, numbers in [*found['stages'].items(), ('all', found['all'])]:
        low, high = numbers['ratio']['quartiles']
        size = ('' if 'windows' not in numbers else
                f' of {numbers["windows"]} windows and {numbers["heads"]} heads, '
                f'{numbers["shifted"]} shifted')
        yield (f'  {name:<{width}}  {1e3 * numbers["eager"]["median"]:.4g} ms -> '
               f'{1e3 * numbers["fused"]["median"]:.4g} ms, {numbers["ratio"]["median"]:.3g} '
               f'times as fast ({low:.3g} to {high:.3g}): {numbers["blocks"]} blocks{size}')
    yield (f'  greatest difference, of the greatest number: values '
           f'{found["difference"]["values"]:.1g}, gradients '
           f'{found["difference"]["gradients"]:.1g}')


def _rate(numbers: dict) -> str:
    low, high = numbers['quartiles']
    return f'{numbers["median"]:.4g} images/s ({low:.4g} to {high:.4g})'


def _ratio(numbers: dict) -> str:
    low, high = numbers['quartiles']
    return f'{numbers["median"]:.3g} times the first ({low:.3g} to {high:.3g})'


def _size(count: int) -> str:
    return f'{count / 2**30:.2f} GiB' if count >= 2**30 else f'{count / 2**20:.1f} MiB'


def draw(results: dict, path: str) -> None:
    """Write a picture: images a second of each part, and where the time of a step goes.

    Args:
        results (dict): Of ``measure``, with one part of step, loader and train at least.
        path (str): PNG file.
    """
    # the object interface: pyplot would look for a display
    from matplotlib.figure import Figure
    rates = [(title, {name: numbers[key] for name, numbers in results[part].items()})
             for part, key, title in (
                 ('step', 'images_per_second', 'step, synthetic input'),
                 ('loader', 'per_core', 'loader, one core'),
                 ('train', 'images_per_second', 'training, end to end')) if part in results]
    steps = results.get('step', {})
    panels = len(rates) + bool(steps)
    figure = Figure(figsize=(1.5 + 3.2 * panels, 1.8 + 0.35 * len(results['variants'])),
                    layout='constrained')
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    for axis, (title, numbers) in zip(axes, rates):
        _draw_rates(axis, title, numbers)
    if steps:
        _draw_phases(axes[-1], steps)
        figure.legend(*axes[-1].get_legend_handles_labels(), loc='outside lower center',
                      fontsize=6, ncols=len(PHASES))
    axes[0].set_yticks(range(len(results['variants'])), results['variants'], fontsize=7)
    axes[0].invert_yaxis()
    machine = results['machine']
    figure.suptitle(f'{machine["device"]}, {machine["processor"]}, {machine["threads"]} '
                    f'threads, batch {results["images"]}', fontsize=9)
    figure.savefig(path, dpi=110)


def _draw_rates(axis, title: str, found: dict) -> None:
    medians = [numbers['median'] for numbers in found.values()]
    around = [[abs(numbers['quartiles'][side] - numbers['median']) for numbers in found.values()]
              for side in (0, 1)]
    axis.barh(range(len(found)), medians, xerr=around, capsize=3)
    axis.set_title(title, fontsize=8)
    axis.set_xlabel('images a second', fontsize=8)


def _draw_phases(axis, steps: dict) -> None:
    start = [0.] * len(steps)
    for phase in PHASES:
        lengths = [numbers['breakdown'][phase]['median'] for numbers in steps.values()]
        axis.barh(range(len(steps)), lengths, left=start, label=phase)
        start = [one + two for one, two in zip(start, lengths)]
    axis.set_title('phases of a step', fontsize=8)
    axis.set_xlabel('seconds', fontsize=8)
