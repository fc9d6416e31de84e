# k-NN accuracy of a ResNet-50 on AID (20 % of each class); nothing is trained.
_base_ = ['../_base_/models/resnet50_knn.py', '../_base_/recipes/knn_aid-20.py']
