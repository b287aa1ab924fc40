"""Tests, one file for each part of the house."""
