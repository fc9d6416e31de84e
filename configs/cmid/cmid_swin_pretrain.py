# The short name of the paper's main recipe: Swin-B on MillionAID.
_base_ = './cmid_swin-base_8xb32-amp-adan-coslr-200e_millionaid.py'
