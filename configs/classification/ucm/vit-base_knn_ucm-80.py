# k-NN accuracy of a ViT-B/16 on UC Merced (80 % of each class); nothing is trained.
_base_ = ['../_base_/models/vit-base_knn.py', '../_base_/recipes/knn_ucm-80.py']
