"""Contrastive Mask Image Distillation."""
import copy
from contextlib import nullcontext

import torch
from mmpretrain.models.selfsup.base import BaseSelfSupervisor
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from cmid_mm.utils.errors import CMIDError

from ..preprocessing.mask_token import masking
from .backbone_probe import probe_backbone
from .cell_matching import location_grid, match_cells, take_cells
from .encoder_settings import (
    choose_joint_views,
    choose_memory_format,
    log_settings,
    warn_of_few_cells,
)
from .recipe import refuse_auto
from .stage_maps import require_stage, stage_maps
from .window_attention import use_fused_attention


@MODELS.register_module()
class CMID(BaseSelfSupervisor):
    """Masked image modelling with global contrast and local self-distillation (CMID).

    A student encodes two masked views of an image. Three losses train it: reconstruction of
    the masked pixels; contrast of the image's global vector with those of other images; and
    cross-entropy between the prototype assignments of matched cells of both views. Targets
    of the latter two come from a teacher, a moving average of the student, which encodes the
    unmasked views. Source: arXiv 2304.09670.

    ``backbone.*`` keys of a checkpoint are those of the plain mmpretrain backbone.

    Args:
        backbone (dict): Any mmpretrain backbone whose output is a feature map.
        decoder (dict): Features to image. Channels, stride and bands are set from the backbone
            and the data preprocessor.
        global_projector (dict): Features to one vector per image; channels are set.
        dense_projector (dict): Cells to prototype scores; channels are set.
        reconstruction_head (dict): Loss of the reconstruction.
        global_head (dict): Loss of the global vectors; contains the queue.
        local_head (dict): Loss of matched cells; contains the centre.
        data_preprocessor (dict): ``CMIDDataPreprocessor``.
        image_size (int): Side of the views in pixels. Defaults to 224.
        num_matches (int): Cells that are matched in each direction, at most all; -1 for
            all. Defaults to 20.
        mask_mode (str): ``'add'`` adds the mask token to the masked outputs of the stem,
            ``'replace'`` replaces them by it. Defaults to 'add'.
        mask_stem (str, optional): Name of the backbone's module to whose output the token
            is added; detected where None.
        feature_of (str): Whose features are extracted and predicted: ``'student'``,
            ``'teacher'``, or ``'both'``, see ``predict``. Defaults to 'student'.
        place_stage (int, optional): Stage, from 1 on, whose maps ``predict`` gives in addition
            to the last ones. Defaults to None.
        joint_views (bool | str): Both views pass the backbone as one batch. ``'auto'`` does so
            where it changes no result: without batch norm, whose statistics would be those of
            both views. Defaults to 'auto'.
        channels_last (bool | str): Order of the maps in memory. ``'auto'`` for
            convolutional backbones. Defaults to 'auto'.
        fused_attention (bool): Swin's window attention through torch's fused attention,
            where torch has a kernel for it. Defaults to True.
        init_cfg (dict, optional): Initialisation.

    Attributes:
        last_outputs (dict): Detached intermediates of the last loss, for monitoring hooks:
            ``keys`` and ``scores`` of the teacher, ``grids`` and ``matches``, lists over
            the two views or directions; see ``global_loss`` and ``local_loss``.

    Raises:
        CMIDError: An unknown mode, or sizes that do not fit together.
    """

    def __init__(self,
                 backbone: dict,
                 decoder: dict,
                 global_projector: dict,
                 dense_projector: dict,
                 reconstruction_head: dict,
                 global_head: dict,
                 local_head: dict,
                 data_preprocessor: dict,
                 image_size: int = 224,
                 num_matches: int = 20,
                 mask_mode: str = 'add',
                 mask_stem: str | None = None,
                 feature_of: str = 'student',
                 place_stage: int | None = None,
                 joint_views: bool | str = 'auto',
                 channels_last: bool | str = 'auto',
                 fused_attention: bool = True,
                 init_cfg: dict | None = None):
        refuse_auto('CMID', dense_projector=dense_projector, global_head=global_head,
                    local_head=local_head)
        super().__init__(
            backbone=backbone, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if mask_mode not in ('add', 'replace'):
            raise CMIDError(f"mask_mode must be 'add' or 'replace', not {mask_mode!r}")
        if feature_of not in ('student', 'teacher', 'both'):
            raise CMIDError("feature_of must be 'student', 'teacher' or 'both', "
                             f'not {feature_of!r}')
        self.image_size = image_size
        self.num_matches = num_matches
        self.mask_mode = mask_mode
        self.feature_of = feature_of
        self.place_stage = place_stage
        if place_stage is not None:
            # an unknown stage is an error now and not at the first probe
            require_stage(self.backbone, place_stage)
        self.last_outputs = {}

        bands = self.data_preprocessor.bands
        shape = probe_backbone(self.backbone, bands, image_size, mask_stem)
        self.check_mask_cells(shape)
        warn_of_few_cells(image_size, shape.stride)
        self.stem = shape.stem
        self.joint_views = choose_joint_views(joint_views, self.backbone)
        self.memory_format = choose_memory_format(channels_last, len(shape.token_shape) == 4)
        fused = use_fused_attention(self.backbone) if fused_attention else 0
        self.mask_token = nn.Parameter(torch.zeros(shape.token_shape))
        self.decoder = MODELS.build(
            dict(in_channels=shape.channels, stride=shape.stride, bands=bands) | decoder)
        channels = dict(in_channels=shape.channels)
        self.global_projector = MODELS.build(channels | global_projector)
        self.dense_projector = MODELS.build(channels | dense_projector)
        self.reconstruction_head = MODELS.build(reconstruction_head)
        self.global_head = MODELS.build(global_head)
        self.local_head = MODELS.build(local_head)
        scores = len(self.dense_projector.prototypes.weight_g), self.local_head.center.shape[1]
        if scores[0] != scores[1]:
            raise CMIDError(f'dense_projector.num_prototypes={scores[0]} and '
                            f'local_head.num_prototypes={scores[1]} must be equal')
        self.teacher = nn.ModuleDict({
            name: copy.deepcopy(getattr(self, name))
            for name in ('backbone', 'global_projector', 'dense_projector')
        }).requires_grad_(False)
        # now, because DistributedDataParallel assigns its buckets by the parameters it gets
        self.to(memory_format=self.memory_format)
        log_settings(self.joint_views, self.memory_format, fused)

    def check_mask_cells(self, shape) -> None:
        """Raise CMIDError where an output of the stem would be masked in part."""
        cells = self.data_preprocessor.mask_grid(self.image_size)
        if shape.stem_size[0] % cells[0] or shape.stem_size[1] % cells[1]:
            raise CMIDError(
                f'{cells[0]} x {cells[1]} mask cells do not divide the {shape.stem_size[0]} x '
                f'{shape.stem_size[1]} outputs of the stem: data_preprocessor.mask_cell '
                f'must be a multiple of {self.image_size // shape.stem_size[0]} px')

    def init_weights(self) -> None:
        """Initialise the student, then start the teacher from it."""
        super().init_weights()
        for name, module in self.teacher.items():
            module.load_state_dict(getattr(self, name).state_dict())

    @torch.no_grad()
    def update_teacher(self, momentum: float) -> None:
        """Update the teacher by a moving average of the student's parameters.

        Buffers are not changed: the teacher's batch norm has its own statistics of unmasked views.

        Args:
            momentum (float): Share of the old teacher.
        """
        teacher, student = [], []
        for name, module in self.teacher.items():
            teacher.extend(module.parameters())
            student.extend(getattr(self, name).parameters())
        torch._foreach_lerp_(teacher, student, 1 - momentum)

    def forward(self,
                inputs,
                data_samples: list[DataSample] | None = None,
                mode: str = 'tensor'):
        """Entry point for mmengine: ``'loss'``, ``'predict'`` (image vectors) or ``'tensor'``."""
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)

    def extract_feat(self, inputs: Tensor, encoder: str | None = None) -> tuple:
        """Feature maps of (B, C, H, W) normalised images, nothing masked."""
        teacher = (encoder or self.feature_of) == 'teacher'
        return (self.teacher['backbone'] if teacher else self.backbone)(inputs)

    def predict(self, inputs: Tensor | list, data_samples: list[DataSample]) -> list[DataSample]:
        """Set ``feature``, (C,) float32, the spatial mean of the last map, of each sample.

        With ``feature_of='both'`` that is the student's, and ``student_feature`` and
        ``teacher_feature`` are set too. Samples with a mask (``gt_seg_map``) get ``map``,
        (C, h, w) float32, or ``student_map`` and ``teacher_map``, and those of
        ``place_stage`` in the same way as ``stage_map``.

        Args:
            inputs (Tensor | list[Tensor]): (B, C, H, W) normalised images, or (1, C, H, W)
                each where they differ in size.
            data_samples (list[DataSample]): B samples.
        """
        if isinstance(inputs, list):
            return [self.predict(image, [sample])[0]
                    for image, sample in zip(inputs, data_samples)]
        fields = {self.feature_of: ('', )}
        if self.feature_of == 'both':
            fields = dict(student=('', 'student_'), teacher=('teacher_', ))
        for encoder, prefixes in fields.items():
            maps = self.place_maps(inputs, encoder)
            features = maps['map'].mean((2, 3)).float()
            for number, sample in enumerate(data_samples):
                for prefix in prefixes:
                    sample.set_field(features[number], f'{prefix}feature', dtype=Tensor)
                    if 'gt_seg_map' in sample:
                        for name, values in maps.items():
                            sample.set_field(
                                values[number].float(), f'{prefix}{name}', dtype=Tensor)
        return data_samples

    def place_maps(self, inputs: Tensor, encoder: str) -> dict[str, Tensor]:
        """``map``, the last one, and ``stage_map`` of ``place_stage`` where it is set.

        Args:
            inputs (Tensor): (B, C, H, W), normalised.
            encoder (str): ``'student'`` or ``'teacher'``.

        Returns:
            dict[str, Tensor]: (B, channels, h, w) each.
        """
        if self.place_stage is None:
            return dict(map=self.extract_feat(inputs, encoder)[-1])
        backbone = self.backbone if encoder == 'student' else self.teacher['backbone']
        with stage_maps(backbone, self.place_stage) as found:
            last = self.extract_feat(inputs, encoder)[-1]
        return dict(map=last, stage_map=found[0])

    def image_groups(self, batch: dict) -> list[Tensor]:
        """Normalised images of a collated test batch: (B, C, H, W) each, one size an entry."""
        inputs = self.data_preprocessor(batch, False)['inputs']
        return inputs if isinstance(inputs, list) else [inputs]

    def student_map(self, images: Tensor, mask: Tensor | None = None) -> Tensor:
        """Last feature map of the student.

        Args:
            images (Tensor): (B, C, S, S), masked pixels already filled.
            mask (Tensor, optional): (B, S, S), true = masked; None masks nothing.

        Returns:
            Tensor: (B, channels, S / stride, S / stride).
        """
        context = nullcontext()
        if mask is not None:
            stem = self.backbone.get_submodule(self.stem)
            context = masking(stem, mask, self.mask_token, self.mask_mode)
        with context:
            return self.backbone(images.contiguous(memory_format=self.memory_format))[-1]

    @torch.no_grad()
    def teacher_map(self, images: Tensor) -> Tensor:
        """Last feature map of the teacher: (B, C, S, S) to (B, channels, h, w)."""
        images = images.contiguous(memory_format=self.memory_format)
        return self.teacher['backbone'](images)[-1]

    def encode(self, inputs: dict) -> tuple[list, list]:
        """Feature maps of both views: masked views by the student, unmasked ones by the teacher.

        Args:
            inputs (dict): See ``CMIDDataPreprocessor``.

        Returns:
            tuple[list, list]: Maps of the student and of the teacher, (B, channels, h, w) each.
        """
        images, masked, masks = (inputs[key] for key in ('images', 'masked_images', 'masks'))
        if self.joint_views:
            student = self.student_map(torch.cat(masked), torch.cat(masks))
            return list(student.chunk(2)), list(self.teacher_map(torch.cat(images)).chunk(2))
        student = [self.student_map(*view) for view in zip(masked, masks)]
        # the second view first, as published: running statistics depend on the order
        teacher = [self.teacher_map(image) for image in images[::-1]]
        return student, teacher[::-1]

    def reconstruct(self, masked_images: Tensor, mask: Tensor) -> Tensor:
        """Images reconstructed from masked ones: (B, C, S, S) to the same shape.

        Args:
            masked_images (Tensor): (B, C, S, S), masked pixels already filled.
            mask (Tensor): (B, S, S), true = masked.
        """
        return self.decoder(self.student_map(masked_images, mask))

    def loss(self, inputs: dict, data_samples=None) -> dict:
        """The three losses of a batch.

        Args:
            inputs (dict): Lists over the two views, see ``CMIDDataPreprocessor``.

        Returns:
            dict: loss_reconstruction, loss_global, loss_local; scalars.
        """
        images, masks = inputs['images'], inputs['masks']
        self.check_size(images[0])
        student, teacher = self.encode(inputs)
        return dict(
            loss_reconstruction=self.reconstruction_loss(student, images, masks),
            loss_global=self.global_loss(student, teacher),
            loss_local=self.local_loss(student, teacher, inputs['boxes']))

    def check_size(self, images: Tensor) -> None:
        """Raise CMIDError where views (B, C, H, W) have another size than the model."""
        if images.shape[-2:] != (self.image_size, self.image_size):
            raise CMIDError(f'views of {images.shape[-1]} px, but model.image_size is '
                             f'{self.image_size}: both must be the same')

    def reconstruction_loss(self, student: list, images: list, masks: list) -> Tensor:
        """Mean over the views of the reconstruction head's loss."""
        losses = [
            self.reconstruction_head.loss(self.decoder(features), image, mask)
            for features, image, mask in zip(student, images, masks)
        ]
        return 0.5 * (losses[0] + losses[1])

    def global_loss(self, student: list, teacher: list) -> Tensor:
        """Contrast of images.

        Args:
            student (list[Tensor]): (B, C, h, w) of each masked view.
            teacher (list[Tensor]): (B, C, h, w) of each unmasked view.
        """
        queries = [self.global_projector(features) for features in student]
        with torch.no_grad():
            keys = [self.teacher['global_projector'](features) for features in teacher]
        self.last_outputs['keys'] = keys
        return self.global_head.loss(queries, keys)

    def local_loss(self, student: list, teacher: list, boxes: list) -> Tensor:
        """Self-distillation of matched cells: view 0 to 1 and view 1 to 0.

        Args:
            student (list[Tensor]): (B, C, h, w) of each masked view.
            teacher (list[Tensor]): (B, C, h, w) of each unmasked view.
            boxes (list[Tensor]): (B, 5) of each view, see ``location_grid``.
        """
        grids = [location_grid(box, student[0].shape[-2:]) for box in boxes]
        matches = [
            match_cells(grids[0], grids[1], self.num_matches),
            match_cells(grids[1], grids[0], self.num_matches)
        ]
        scores = [
            self.dense_projector(take_cells(features, index))
            for features, (index, _) in zip(student, matches)
        ]
        with torch.no_grad():
            targets = [
                self.teacher['dense_projector'](take_cells(features, index))
                for features, (_, index) in zip(teacher[::-1], matches)
            ]
        self.last_outputs.update(scores=targets, grids=grids, matches=matches)
        losses = [self.local_head.loss(*pair) for pair in zip(scores, targets)]
        return 0.5 * (losses[0] + losses[1])
