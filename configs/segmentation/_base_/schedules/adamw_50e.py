_base_ = './sgd_50e.py'

optim_wrapper = dict(
    # float32, as the paper trained Swin-B
    type='OptimWrapper',
    optimizer=dict(
        _delete_=True, type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys=dict(
            relative_position_bias_table=dict(decay_mult=0.0),
            pos_embed=dict(decay_mult=0.0),
            cls_token=dict(decay_mult=0.0))))
