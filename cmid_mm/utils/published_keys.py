"""Names of the published checkpoints and what they are called here."""

# prefixes of the published file -> prefixes here; first match wins
PREFIXES = (
    ('online_encoder.mask_token', 'mask_token'),
    ('online_encoder.model.', 'backbone.'),
    ('branch_encoder.', 'teacher.backbone.'),
    ('mim2org.decoder_pred.0.', 'decoder.project.'),
    ('online_projector.', 'global_projector.'),
    ('branch_projector.', 'teacher.global_projector.'),
    ('class_projector.', 'dense_projector.'),
    ('branch_class_projector.', 'teacher.dense_projector.'),
    ('class_loss.center', 'local_head.center'),
    ('queue_ptr', 'global_head.queue_ptr'),
    ('queue', 'global_head.queue'),
)
# names inside the projectors
PARTS = (
    ('layer.0.0.', 'hidden.'),
    ('layer.0.1.', 'norm.'),
    ('layer.0.3.', 'out.'),
    ('last_layer.', 'prototypes.'),
    # a single layer is no sequence in the published file
    ('mlp.weight', 'mlp.0.weight'),
    ('mlp.bias', 'mlp.0.bias'),
)


def from_published(key: str) -> str:
    """This project's name of a published key; raises KeyError for an unknown one."""
    for prefix, ours in PREFIXES:
        if key.startswith(prefix):
            rest = key[len(prefix):]
            return ours + (part_from_published(rest) if 'projector.' in prefix else rest)
    raise KeyError(f'{key} is no key of a published CMID checkpoint')


def part_from_published(key: str) -> str:
    """The same for a name inside a projector, without its prefix."""
    for part, ours in PARTS:
        if key.startswith(part):
            return ours + key[len(part):]
    return key


def convert_published(state: dict) -> dict:
    """State dict of a published pre-training file to this project's names and layouts.

    Args:
        state (dict[str, Tensor]): Field ``model`` of the file.
    """
    converted = {from_published(key): value for key, value in state.items()}
    if 'global_head.queue' in converted:
        # published queues hold one key a column
        converted['global_head.queue'] = converted['global_head.queue'].t().contiguous()
    return converted
