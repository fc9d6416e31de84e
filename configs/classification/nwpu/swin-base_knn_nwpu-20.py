# k-NN accuracy of a Swin-B on NWPU-RESISC45 (20 % of each class); nothing is trained.
_base_ = ['../_base_/models/swin-base_knn.py', '../_base_/recipes/knn_nwpu-20.py']
