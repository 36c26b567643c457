"""Tests of the simulator's AWS Lambda."""
