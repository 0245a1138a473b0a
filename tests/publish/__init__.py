"""Tests of the published report."""
