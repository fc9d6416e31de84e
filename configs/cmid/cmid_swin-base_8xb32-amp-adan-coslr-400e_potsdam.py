# CMID on crops of ISPRS Potsdam, 400 epochs; else the recipe of MillionAID. Statistics are
# MillionAID's, as published; `python tools/dataset_statistics.py data/potsdam/crops` prints
# those of the crops, which suit better where the result is not to be compared.
_base_ = './cmid_swin-base_8xb32-amp-adan-coslr-200e_millionaid.py'

train_dataloader = dict(dataset=dict(data_root='data/potsdam/crops'))
train_cfg = dict(max_epochs=400)
