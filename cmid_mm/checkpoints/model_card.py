"""Model card of a folder for timm, from the content of its ``config.json``."""
import json
import re

from .normalisation import parse_config


def model_card(config: dict, name: str) -> str:
    """Text of ``README.md``, from the content of ``config.json``."""
    meta, preset = config['cmid_mm'], config['pretrained_cfg']
    loading = meta.get('loading') or {}
    training = parse_config(meta.get('config')) or {}
    known = dict(
        architecture=config['architecture'], sizes=_plain(config['model_args']),
        features=f'{config["num_features"]} per image or cell',
        pretraining='CMID (arXiv 2304.09670), the ' + str(meta['encoder']),
        epoch=meta.get('epoch'), data=_data_of(training), bands=meta['bands'],
        band_indices=loading.get('band_indices'),
        units=_units(loading),
        mean=f'{_plain(meta["mean"])} in 0..255, {_plain(preset["mean"])} in 0..1',
        std=f'{_plain(meta["std"])} in 0..255, {_plain(preset["std"])} in 0..1',
        image_size=f'{preset["input_size"][-1]} px', licence=preset['license'],
        source=meta.get('source'), written_by=f'cmid-mm {meta.get("cmid_mm_version")}')
    rows = [f'| {key.replace("_", " ")} | {_cell(value)} |'
            for key, value in known.items() if value is not None]
    parts = [
        f'---\nlicense: {json.dumps(preset["license"])}\nlibrary_name: timm\ntags:\n'
        '- image-feature-extraction\n- remote-sensing\n- timm\n---',
        f'# {name}', 'A backbone for remote sensing images, pre-trained without labels.',
        '| | |\n| --- | --- |\n' + '\n'.join(rows), '## Use',
        '```python\nimport timm\nimport torch\n\n'
        f"model = timm.create_model('local-dir:{name}', pretrained=True, num_classes=0).eval()\n"
        '# images: float32 (B, bands, H, W) in 0..1\n'
        'mean, std = (torch.tensor(model.pretrained_cfg[key])[:, None, None]\n'
        "             for key in ('mean', 'std'))\n"
        'vectors = model((images - mean) / std)                   # (B, features)\n'
        'maps = model.forward_features((images - mean) / std)     # layout of the architecture\n'
        '```',
        f"From the Hugging Face Hub the name is `hf-hub:OWNER/{name}`."]
    if meta.get('probes'):
        parts += ['## Probes of the frozen features, in percent', _probes(meta['probes'])]
    if meta.get('config'):
        fence = '`' * (1 + max(map(len, re.findall('`+', meta['config'])), default=2))
        parts += ['## Config of the training', f'{fence}python\n{meta["config"].strip()}\n{fence}']
    return '\n\n'.join(parts)


def _probes(probes: dict) -> str:
    metrics = list(dict.fromkeys(name for values in probes.values() for name in values))
    lines = [['encoder', *metrics], ['---'] * (1 + len(metrics))] + [
        [encoder, *(f'{values[name]:.1f}' if name in values else '' for name in metrics)]
        for encoder, values in probes.items()]
    return '\n'.join(f'| {" | ".join(map(_cell, line))} |' for line in lines)


def _units(loading: dict) -> str:
    if not loading:
        return 'not stated'
    value_range = loading.get('value_range')
    if value_range is None:
        return '8-bit values 0..255'
    return (f'raw values, {_plain(value_range)} (low, high per band) mapped to 0..255; 8-bit '
            'values as they are')


def _data_of(training: dict) -> str | None:
    dataset = (training.get('train_dataloader') or {}).get('dataset') or {}
    root = dataset.get('data_root') if isinstance(dataset, dict) else None
    return root if isinstance(root, str) and root else None


def _plain(value) -> str:
    """Numbers in six digits, in lists and dicts too."""
    if isinstance(value, dict):
        return ', '.join(f'{key}={_plain(item)}' for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return f'[{", ".join(map(_plain, value))}]'
    return f'{value:.6g}' if isinstance(value, float) else str(value)


def _cell(value) -> str:
    """A value as one cell of a table."""
    return ' '.join(str(value).split()).replace('|', r'\|')
