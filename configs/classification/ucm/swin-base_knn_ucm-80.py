# k-NN accuracy of a Swin-B on UC Merced (80 % of each class); nothing is trained.
_base_ = ['../_base_/models/swin-base_knn.py', '../_base_/recipes/knn_ucm-80.py']
