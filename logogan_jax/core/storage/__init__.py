"""Runs and data in buckets (gs://, s3://), and the folders of this machine that stand for them."""
