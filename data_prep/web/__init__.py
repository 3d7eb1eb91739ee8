"""Asking servers for lists and images."""
