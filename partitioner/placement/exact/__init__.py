"""The models that cp_sat hands to the solver."""
