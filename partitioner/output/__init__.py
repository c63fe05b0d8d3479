"""What a run writes for others: its modes and versions, published at once, assembled from the latest commits, exported."""
