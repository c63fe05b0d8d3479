"""Models trained over partitions: in one pass where their statistics add up, in rounds of ``pt.iterate`` elsewhere."""

from partitioner.training.clusters import fit_kmeans
from partitioner.training.design import Design
from partitioner.training.federated import federate
from partitioner.training.keeping import keep, keep_card, keep_metrics, kept_model
from partitioner.training.lasso import fit_lasso
from partitioner.training.linear import fit_linear, fit_pca
from partitioner.training.logistic import fit_logistic
from partitioner.training.mixture import fit_mixture
from partitioner.training.moments import find_neighbors, fit_encoder, fit_imputer, fit_naive_bayes, fit_scaler
from partitioner.training.partitions import Partition, partitions

__all__ = [
    "Design",
    "Partition",
    "federate",
    "find_neighbors",
    "fit_encoder",
    "fit_imputer",
    "fit_kmeans",
    "fit_lasso",
    "fit_linear",
    "fit_logistic",
    "fit_mixture",
    "fit_naive_bayes",
    "fit_pca",
    "fit_scaler",
    "keep",
    "keep_card",
    "keep_metrics",
    "kept_model",
    "partitions",
]
