"""Attacks on both servers, each as one function that tests and a siege can call."""
