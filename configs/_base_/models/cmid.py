# CMID around a backbone that the child names; channels and strides are read from it.
model = dict(
    type='CMID',
    image_size=224,
    num_matches=20,
    decoder=dict(type='CMIDDecoder'),
    global_projector=dict(
        type='CMIDGlobalProjector', hidden_channels=2048, out_channels=256),
    dense_projector=dict(
        type='CMIDDenseProjector',
        hidden_channels=2048,
        bottleneck_channels=256,
        num_prototypes=2048),
    reconstruction_head=dict(type='CMIDReconstructionHead'),
    global_head=dict(
        type='CMIDGlobalHead',
        embed_dims=256,
        queue_size=65536,
        loss=dict(type='QueueContrastLoss', temperature=0.2)),
    local_head=dict(type='CMIDLocalHead', num_prototypes=2048),
    data_preprocessor=dict(
        type='CMIDDataPreprocessor',
        # MillionAID; `python tools/dataset_statistics.py FOLDER` prints those of a folder
        mean=[86.182, 91.928, 85.374],
        std=[34.655, 34.476, 35.879],
        photometric=dict(type='PhotometricDistortion'),
        mask_cell=32,
        mask_ratio=0.6))
