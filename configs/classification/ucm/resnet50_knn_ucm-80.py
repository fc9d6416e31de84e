# k-NN accuracy of a ResNet-50 on UC Merced (80 % of each class); nothing is trained.
_base_ = ['../_base_/models/resnet50_knn.py', '../_base_/recipes/knn_ucm-80.py']
