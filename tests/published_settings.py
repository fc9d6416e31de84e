"""What a configuration of the published code means in this project's terms."""


def reconstruction_head_of(config):
    """Config of the reconstruction head; settings that are absent have published values."""
    weight = config.get('fft_weight', 1.0)
    # published: without fft_focal the whole Fourier term is gone
    frequency = weight > 0 and config.get('fft_focal', True)
    return dict(
        type='CMIDReconstructionHead',
        pixel_loss=dict(
            type='FocalL1Loss',
            alpha=config.get('alpha', 0.2),
            gamma=config.get('focal_gamma', 1.0),
            activation=config.get('activate', 'sigmoid'),
            add_l1=config.get('residual', False),
            loss_weight=config.get('loss_weight', 1.0)),
        frequency_loss=dict(type='FocalFrequencyLoss', loss_weight=weight) if frequency else None,
        visible_weight=config.get('unmask_weight', 0.0),
        frequency_visible_weight=config.get('fft_unmask_weight', 0.001),
        frequency_fill=config.get('fft_unmask_replace', 'mixed'))


def biases_before_batch_norm(config):
    """Published names of biases whose gradient is nothing but rounding."""
    if not config['use_bn']:
        return set()
    layers = range(config.get('num_layers', 3) - 1)
    return {f'{side}class_projector.mlp.{3 * layer}.bias'
            for layer in layers for side in ('', 'branch_')}
